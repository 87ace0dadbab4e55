"""The button that looks for the fewest words whose removal changes the answer."""

from __future__ import annotations

from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import MOST_WORDS

from eraser import Fault, InputError
from tests.helpers.app.pages import checked, keyed


def test_no_flip_is_offered_in_a_text_that_is_too_long_for_one(open_app):
    at = open_app()
    for n in (MOST_WORDS, MOST_WORDS + 1):
        checked(keyed(at.text_area, "text").set_value("warm " * n).run())
        assert keyed(at.button, "flip").disabled == (n > MOST_WORDS)
    assert f"in texts of up to {MOST_WORDS} words" in keyed(at.button, "flip").help


def test_a_flip_that_is_refused_is_not_asked_for_again(open_app, monkeypatch):
    def refuse(*_):
        raise InputError(Fault.of("not in this text"))

    monkeypatch.setattr(cached, "flip", refuse)
    at = open_app()
    checked(keyed(at.button, "flip").click().run())
    assert at.code[0].value == "not in this text"
    checked(at.run())
    assert not at.error
