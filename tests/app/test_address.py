from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64encode

import pytest
from rationale_viewer.session.address import MOST_PACKED, MOST_UNPACKED, pack, unpack

from eraser import InputError
from tests.helpers.app.pages import TEXT, checked, component, keyed, markup


@pytest.mark.parametrize(
    "value", [{"text": "warm, שלום 👩\u200d💻\n<b>"}, {"out": [3, 1], "new": {"2": "x"}}, []]
)
def test_what_is_packed_is_unpacked(value):
    packed = pack(value)
    assert unpack(packed, "text") == value
    assert packed.replace("-", "").replace("_", "").isalnum()  # stands in an address as it is


def test_what_is_too_long_is_not_packed():
    assert pack("".join(map(chr, range(1000, 9000)))) is None
    assert pack("a" * (MOST_UNPACKED + 1)) is None


def bomb(n):
    return urlsafe_b64encode(zlib.compress(b'"' + b"a" * n + b'"', 9)).decode()


@pytest.mark.parametrize(
    "packed",
    ["", "x", "%", "a" * (MOST_PACKED + 1), bomb(3 * MOST_UNPACKED), pack({"text": TEXT})[:-4], "שלום"],
)
def test_what_was_changed_or_unpacks_to_too_much_is_refused(packed):
    with pytest.raises(
        InputError, match="was cut short or changed: what it holds of the text cannot be read"
    ):
        unpack(packed, "text")


def test_a_typed_text_and_its_changes_are_in_the_address(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    checked(out.set_value([1, 3]).run())
    shared = {name: at.query_params[name] for name in ("t", "edits")}
    shared = {k: v[0] if isinstance(v, list) else v for k, v in shared.items()}
    again = open_app(**shared)
    assert keyed(again.text_area, "text").value == TEXT
    assert "With 2 words deleted" in markup(again)
    assert component(again)["body"].count('class="w out"') == 2


def test_replaced_words_of_an_address_are_shown(open_app):
    at = open_app(t=pack({"text": TEXT}), edits=pack({"out": [0], "new": {"1": "<i>cold</i>"}}))
    assert "With 1 word deleted and 1 word replaced" in markup(at)
    assert "&lt;i&gt;cold&lt;/i&gt;" in component(at)["body"]
    checked(next(b for b in at.button if b.label == "Start over").click().run())
    assert "With 1 word" not in markup(at)
    assert "edits" not in at.query_params
    checked(next(b for b in at.button if b.label == "Undo").click().run())
    assert "With 1 word deleted and 1 word replaced" in markup(at)
    checked(keyed(at.toggle, "versions").set_value(True).run())
    assert "&lt;i&gt;cold" in component(at, "words-after")["body"]
    assert len(re.findall(r'class="w [^"]*was"', component(at, "words-before")["body"])) == 2
    checked(keyed(at.segmented_control, "how").set_value("mask").run())
    masked = component(at, "words-after")["body"]
    assert masked.count("▢") >= 1
    assert re.search(r'class="w [pnu]\d now"', masked)  # in colour
    assert "stands for a masked word" in markup(at)


def taken_out(at):
    """What stands in the list of words taken out."""
    return next(m for m in at.multiselect if m.key.startswith("out-"))


def test_the_address_says_whether_words_are_deleted_or_masked(open_app):
    at = open_app(t=pack({"text": TEXT}), edits=pack({"out": [3], "new": {}}))
    assert "With 1 word deleted" in markup(at)
    at = open_app(t=pack({"text": TEXT}), edits=pack({"out": [3], "new": {}}), how="mask")
    assert "With 1 word masked" in markup(at)


def test_the_next_text_is_shown_as_it_is(open_app):
    at = open_app(t=pack({"text": TEXT}), edits=pack({"out": [3], "new": {}}))
    assert taken_out(at).value == [3]
    checked(keyed(at.text_area, "text").set_value("Two dull hours, and the end is a joke").run())
    assert 'class="w out"' not in component(at)["body"]
    assert "edits" not in at.query_params
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    assert taken_out(at).value == [3]  # each text keeps its own


def test_a_typed_text_is_not_given_the_edits_of_the_text_before(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value("A warm, never-dull film").run())
    checked(taken_out(at).set_value([3]).run())
    checked(keyed(at.selectbox, "cut").set_value("whitespace").run())
    assert taken_out(at).value == []
    checked(keyed(at.selectbox, "taken").set_value("a001.txt").run())
    assert taken_out(at).value == []


def test_the_second_word_of_the_list_is_taken_out_too(open_app):
    at = open_app()
    checked(taken_out(at).set_value([1]).run())
    checked(taken_out(at).set_value([1, 3]).run())
    assert taken_out(at).value == [1, 3]


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ("xyz", "was cut short or changed: what it holds of the edits cannot be read"),
        (pack({"out": "many"}), "what it holds of the edits cannot be read"),
        (pack({"out": [99], "new": {}}), "the address holds edits of another text than these 15 words"),
    ],
)
def test_edits_that_do_not_fit_are_told(open_app, edits, told):
    at = open_app(t=pack({"text": TEXT}), edits=edits)
    assert at.error[0].value == "The changes of this link cannot be shown."
    assert told in at.code[0].value
    assert "With " not in markup(at)


@pytest.mark.parametrize("packed", ["xyz", pack([1]), pack({"text": 3})])
def test_a_text_that_cannot_be_read_is_told(open_app, packed):
    at = open_app(t=packed)
    assert at.error[0].value == "The text of this link cannot be shown."


def test_a_text_that_is_too_long_for_an_address_is_told(open_app):
    at = open_app()
    long = " ".join(f"w{i * 7919 % 100_003}" for i in range(3000))
    checked(keyed(at.text_area, "text").set_value(long).run())
    assert any("too long for an address" in c.value for c in at.caption)
    assert "t" not in at.query_params


def test_more_than_four_methods_are_told(open_app):
    five = ["attention", "rollout", "saliency", "random", "position"]
    at = open_app(compare=five, method="survivors")
    (told,) = [w.value for w in at.warning]
    assert told == "At most 4 methods stand side by side. Not shown: random, position."
    assert component(at)["body"].count("<i class") == 4 * component(at)["body"].count('class="w')
