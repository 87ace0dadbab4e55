from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from eraser import Text
from rationale.trusting import edits
from rationale.trusting.edits import EDITS, edits_here, lower_case, one_synonym, one_typo, two_spaces

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


class Lexicon:
    """A WordNet of two words, as NLTK shows one."""

    SENSES = {"warm": ["warm", "lukewarm"], "film": ["movie", "film", "moving_picture"]}

    def synsets(self, word):
        names = self.SENSES.get(word)
        return [SimpleNamespace(lemma_names=lambda: names)] if names else []


def test_a_synonym_is_one_word_of_the_same_meaning_written_alike(monkeypatch):
    monkeypatch.setattr(edits, "wordnet", Lexicon)
    assert edits.synonyms("Film") == ["Movie"]
    assert (edits.synonyms("warm"), edits.synonyms("oh")) == (["lukewarm"], [])
    found = {one_synonym(TEXT, np.random.default_rng(n)).string for n in range(9)}
    assert found == {TEXT.string.replace("WARM", "Lukewarm")}  # "film;" is no word of a dictionary
    short = Text.of("z", "to be or not", "whitespace")
    assert one_synonym(short, RNG) is short
    assert "one synonym" in edits_here()


def test_without_its_library_there_is_no_synonym(monkeypatch):
    monkeypatch.setattr(edits, "wordnet", lambda: None)
    assert list(edits_here()) == ["lower case", "two spaces", "one typo"]


@pytest.mark.parametrize("name", edits_here())
@pytest.mark.parametrize("text", [TEXT, PAIR])
def test_every_word_keeps_its_place(name, text):
    found = EDITS[name](text, np.random.default_rng(1))
    assert len(found.words) == len(text.words)
    string, spans = found.plain
    assert tuple(string[a:b] for a, b in spans) == found.words
    assert (found.doc_starts, found.second) == (text.doc_starts, text.second)
