"""Which examples the pages Annotators and Errors look at, and what they say of it."""

from __future__ import annotations

from html import unescape

import pytest

from tests.helpers.app.pages import checked, keyed, markup
from tests.helpers.app.runs import write
from tests.helpers.app.stored import write_stored

SPREAD = "25 of the 40 examples of test, spread over the split"


def few(at):
    """Ask for 25 of the 40 examples."""
    return checked(next(s for s in at.selectbox if s.label == "Examples").set_value(25).run())


@pytest.fixture
def run(tmp_path, sample):
    return write_stored(write(tmp_path / "run"), sample, limit=40)


@pytest.mark.parametrize("source", ["the open model", "run run"])
def test_few_examples_are_spread_over_the_split(open_app, run, sample, source):
    at = open_app("Annotators", runs=[run], method="attention", source=source)
    kept = " that the run keeps" if source == "run run" else ""
    assert f"examples that pass the filters, among all 40 examples of test{kept}." in markup(at)
    wanted = {sample.splits["test"][i * 40 // 25].id for i in range(25)}
    assert set(keyed(few(at).selectbox, "example").options) == wanted
    assert f"pass the filters, among 25 of the 40 examples of test{kept}, spread over" in markup(at)


def test_errors_say_of_which_examples(open_app):
    at = few(open_app("Errors", model="dense", method="random"))
    assert f" of 25 predictions are wrong ({SPREAD})." in markup(at)


def test_a_run_of_which_texts_are_left_out_says_so(open_app, tmp_path, sample):
    few_kept = write_stored(write(tmp_path / "few"), sample, limit=6)
    at = open_app("Errors", runs=[few_kept], method="attention", source="run few")
    assert "The run keeps 6 of 40 examples: only those with annotators' marks." in plain(at)
    assert "of 6 predictions are wrong (all 6 examples of test that the run keeps)." in plain(at)
    all_kept = write_stored(write(tmp_path / "all"), sample, limit=40)
    at = open_app("Errors", runs=[all_kept], method="attention", source="run all")
    assert "The run keeps" not in plain(at)


def plain(at):
    return unescape(markup(at))
