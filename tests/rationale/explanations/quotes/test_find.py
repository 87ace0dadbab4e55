"""Where a passage stands in a text: three ways, whole words only, never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser.words import cut_words
from rationale.explanations.quotes.find import WAYS, QuotedText

WRITTEN, FOLDED, RELAXED = WAYS


def text(string, how="whitespace"):
    return QuotedText(string, cut_words(string, how))


def found(string, quote):
    where = text(string).find(quote)
    return where.way, [string[a:b] for a, b in where.places]


@pytest.mark.parametrize(
    ("string", "quote", "way", "parts"),
    [
        ("A dull, slow film.", "dull", WRITTEN, ["dull"]),
        ("A dull, slow film.", " dull, slow ", WRITTEN, ["dull, slow"]),
        ("A Dull film.", "dull film", FOLDED, ["Dull film"]),
        ("Große Straße", "GROSSE", FOLDED, ["Große"]),
        ("A dull ,  slow film", "dull, slow", RELAXED, ["dull ,  slow"]),
        ("It 's dull", "it’s dull", RELAXED, ["It 's dull"]),
        ("a well-known\nplot", '"Well known plot"', RELAXED, ["well-known\nplot"]),
        ("un caf\u00e9 noir", "cafe\u0301", RELAXED, ["caf\u00e9"]),
        ("so 😀 good", "😀", WRITTEN, ["😀"]),
        ("dull and dull and Dull", "dull", WRITTEN, ["dull", "dull"]),
        ("aa a a", "a a", WRITTEN, ["a a"]),
        ("Stra\u00dfe", "strasse", FOLDED, ["Stra\u00dfe"]),
        ("un caf\u00e9 noir", "CAF\u00c9 NOIR", FOLDED, ["caf\u00e9 noir"]),
        ("no-table", "no table", RELAXED, ["no-table"]),
        ("notable, no\ntable", "no table", RELAXED, ["no\ntable"]),
        ("so\U0001f600 good", "so \U0001f600", RELAXED, ["so\U0001f600"]),
    ],
)
def test_a_passage_is_found_and_the_way_is_told(string, quote, way, parts):
    assert found(string, quote) == (way, parts)


@pytest.mark.parametrize(
    ("string", "quote", "inside"),
    [
        ("A dull film.", "boring", False),
        ("long and tedious", "long, tedious", False),
        ("He has no heart", "art", True),
        ("nothing", "thing", True),
        ("he was sleeping", "sleep", True),
        ("the café", "the caf", True),
        ("cafe\u0301 noir", "cafe", True),
        ("caf\u00e9 noir", "cafe", True),
        ("gro\u00df", "gros", True),
        ("\u00dfo", "so", True),
        ("a notable film", "no table", False),
        ("o\ufb03ce", "of fice", False),
        ("A dull film.", "...", False),
        ("A dull film.", "", False),
    ],
)
def test_what_does_not_stand_there_is_not_guessed(string, quote, inside):
    where = text(string).find(quote)
    assert (where.way, where.places, where.inside) == (None, (), inside)


def test_words_of_which_a_part_is_quoted_are_picked():
    whole = text("An emotional car-wreck, really.")
    assert whole.selected(whole.find("wreck").places).tolist() == [False, False, True, False]
    assert whole.selected(whole.find("emotional car").places).tolist() == [False, True, True, False]
    assert not whole.selected(()).any()


def test_scripts_without_spaces_are_cut_at_their_words():
    string = "这部电影非常无聊"
    whole = text(string, "characters")
    assert [string[i] for i in range(8) if whole.selected(whole.find("无聊").places)[i]] == ["无", "聊"]


words = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=8)


@given(words, st.data())
def test_words_that_are_quoted_as_they_are_are_found_as_written(parts, data):
    string = " ".join(parts)
    whole = text(string)
    if not whole.words:
        return
    first = data.draw(st.integers(0, len(whole.words) - 1))
    last = data.draw(st.integers(first, len(whole.words) - 1))
    quote = string[whole.words[first][0] : whole.words[last][1]]
    where = whole.find(quote)
    assert where.way == WRITTEN
    assert all(string[a:b] == quote.strip() for a, b in where.places)


@given(st.text(), st.text(min_size=1, max_size=3))
def test_whatever_is_found_is_the_passage(string, quote):
    where = text(string).find(quote)
    for a, b in where.places:
        there, said = ("".join(map(WAYS[where.way], t)) for t in (string[a:b], quote.strip()))
        assert said in there
