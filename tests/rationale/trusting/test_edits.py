from __future__ import annotations

import numpy as np
import pytest

from eraser import Text
from rationale.trusting.edits import EDITS, lower_case, one_typo, two_spaces

RNG = np.random.default_rng(0)
TEXT = Text.of("x", "Oh, a WARM film; İt moved\nme.", "whitespace")
PAIR = Text.of("y", "A Man sleeps", "whitespace", query="He  Rests now", both=True)


def test_lower_case_keeps_letters_that_have_none_of_one_character():
    assert lower_case(TEXT, RNG).string == "oh, a warm film; İt moved\nme."


def test_two_spaces_for_one():
    assert two_spaces(TEXT, RNG).string == "Oh,  a  WARM  film;  İt  moved\nme."
    spread = two_spaces(PAIR, RNG)
    assert (spread.first, spread.string) == ("He    Rests  now", "A  Man  sleeps")


def test_a_typo_swaps_two_inner_letters_of_one_word():
    found = one_typo(TEXT, np.random.default_rng(0))
    changed = [(a, b) for a, b in zip(TEXT.words, found.words, strict=True) if a != b]
    assert changed in ([("moved", "mvoed")], [("moved", "moevd")])
    assert found.string == TEXT.string.replace(*changed[0])
    short = Text.of("z", "to be or not", "whitespace")
    assert one_typo(short, RNG) is short


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("text", [TEXT, PAIR])
def test_every_word_keeps_its_place(name, text):
    found = EDITS[name](text, np.random.default_rng(1))
    assert len(found.words) == len(text.words)
    string, spans = found.plain
    assert tuple(string[a:b] for a, b in spans) == found.words
    assert (found.doc_starts, found.second) == (text.doc_starts, text.second)
