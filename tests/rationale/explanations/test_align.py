"""Where tokens stand in a text, worked out by hand, and by real tokenizers, whose own offsets say it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import Text
from eraser.words import cut_words
from rationale.explanations.align import place_in, place_tokens, pooled, words_at
from rationale.explanations.readings import byte_of_letter, texts_of_bytes
from tests.helpers.tokenizers import KINDS


def told(tokens, string):
    """What stands where each token was placed; None where it was not."""
    return [None if p is None else string[slice(*p)] for p in place_tokens(tokens, string).places]


def test_pieces_lower_cased_and_without_accents_stand_where_they_come_from():
    string = "Ünder-whelming, CAFÉ ﬁlm…"
    tokens = ["[CLS]", "under", "-", "w", "##helm", "##ing", ",", "cafe", "film", ".", ".", ".", "[SEP]"]
    expected = [None, "Ünder", "-", "w", "helm", "ing", ",", "CAFÉ", "ﬁlm", "…", "…", "…", None]
    assert told(tokens, string) == expected
    assert place_tokens(tokens, string).special == (True, *[False] * 11, True)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["▁A", "▁", "dull", "▁film", "</s>"], ["A", "dull", "dull", "film", None]),
        (["<s>", "A", "Ġd", "ull", "Ġfilm"], [None, "A", "d", "ull", "film"]),
        (["a</w>", "dull</w>", "film</w>"], ["A", "dull", "film"]),
        (["A", "du@@", "ll", "film"], ["A", "du", "ll", "film"]),
        (["", "A ", "dull ", "film", ""], [None, "A", "dull", "film", None]),
        (["A", " dull", " film"], ["A", "dull", "film"]),
        (["a", "[UNK]", "film"], ["A", "dull", "film"]),
        (["[CLS]", "a", "dull"], [None, "A", "dull"]),  # cut short
    ],
)
def test_each_way_to_write_tokens_is_read(tokens, expected):
    assert told(tokens, "A dull film") == expected


def test_letters_of_bytes_are_put_together():
    letters = {byte: letter for letter, byte in byte_of_letter().items()}
    tokens = [
        "".join(letters[b] for b in part) for part in (b"caf", b"\xc3", b"\xa9", b" \xf0\x9f", b"\x98\x80")
    ]
    assert told(tokens, "café 😀") == ["caf", "é", "é", "😀", "😀"]
    assert told(["▁caf", "<0xC3>", "<0xA9>", "▁ok"], "café ok") == ["caf", "é", "é", "ok"]
    assert texts_of_bytes([b"\xff", b"a"]) == ["\ufffd", "a"]


def test_a_name_with_a_letter_of_the_bytes_alphabet_is_no_byte():
    assert told(["Ġorġ", "saw", "it"], "Ġorġ saw it") == ["Ġorġ", "saw", "it"]


def test_a_token_that_is_not_in_the_text_moves_no_other_one():
    assert told(["a", "really", "dull", "film"], "A dull film, really") == ["A", None, "dull", "film"]
    placed = place_tokens(["a", "really", "dull", "film"], "A dull film, really")
    assert (placed.found, placed.lost) == (3, 1)
    quoted = ["``", "dull", "''", "film"]  # another tokenizer's quotes
    assert told(quoted, '"dull" film') == [None, "dull", None, "film"]


def test_marks_that_stand_in_the_text_are_text():
    assert told(["[CLS]", "the", "[SEP]", "mark", "[SEP]"], "The [SEP] mark") == [
        None, "The", "[SEP]", "mark", None,
    ]  # fmt: skip


def test_unknown_tokens_are_placed_only_where_as_many_words_are_left():
    assert told(["[UNK]", "film", "[UNK]", "[UNK]"], "☃ film ☂ ☀") == ["☃", "film", "☂", "☀"]
    assert told(["a", "[UNK]", "film"], "A ☃ ☂ film") == ["A", None, "film"]


def test_the_query_is_no_part_of_the_text():
    text = Text("x", ("It", "was", "dull", "."), {"d": 0}, (0,), query="was it dull ?")
    tokens = ["[CLS]", "was", "it", "dull", "?", "[SEP]", "it", "was", "dull", ".", "[SEP]"]
    placed = place_in(text, tokens)
    assert placed.places[:6] == (None,) * 6
    assert placed.places[6:] == ((0, 2), (3, 6), (7, 11), (12, 13), None)
    assert placed.lost == 0
    assert place_in(text, ["it", "was", "dull", "."]).places == ((0, 2), (3, 6), (7, 11), (12, 13))
    turned = place_in(text, [*tokens[6:10], "[SEP]", *tokens[1:5]])
    assert turned.places == (*placed.places[6:10], *[None] * 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "string",
    [
        "Never dull: a warm, moving film. I don't think so!",
        "Ça va? Été à 3.5 %, naïve façade…",
        "这部电影非常无聊，我不推荐。 OK 😀😀 fine",
    ],
)
def test_tokens_of_real_tokenizers_stand_where_their_offsets_say(kind, string, all_kinds):
    tokenizer = all_kinds[kind]
    encoded = tokenizer(string, return_offsets_mapping=True, return_special_tokens_mask=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    spans = cut_words(string, "punctuation")
    placed = place_tokens(tokens, string)
    first, _ = words_at(placed.places, spans)
    own = [None if m else tuple(o) for o, m in zip(
        encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)]  # fmt: skip
    theirs, _ = words_at([_inside(o, string) for o in own], spans)
    for token, one, other, place in zip(tokens, first, theirs, own, strict=True):
        if place is not None and string[slice(*place)].strip() and token != tokenizer.unk_token:
            assert one == other or (one == -1 and tokenizer.unk_token in tokens), (token, place)
    if tokenizer.unk_token not in tokens:
        assert placed.lost == 0


def _inside(place, string):
    """The characters of a piece without the space before it."""
    if place is None:
        return None
    start, end = place
    while start < end and string[start].isspace():
        start += 1
    return (start, end) if start < end else None


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=8))
def test_the_text_s_own_characters_are_always_found(parts):
    string = "".join(parts)
    for part, place in zip(parts, place_tokens(parts, string).places, strict=True):
        if any(c.isalpha() and c.isascii() for c in part):
            assert place is not None


def test_a_word_has_the_sum_of_its_pieces():
    first, after = words_at([(0, 3), (3, 6), (7, 9), None], ((0, 6), (7, 9), (10, 12)))
    scores = np.array([1.0, -3.0, 0.5, 9.0])
    assert first.tolist() == [0, 0, 1, -1]
    cases = {"sum": -2.0, "max": 1.0, "max_magnitude": -3.0, "first": 1.0}
    for reduce, value in cases.items():
        found = pooled(first, after, scores, 3, reduce)
        assert found[:2].tolist() == [value, 0.5]
        assert np.isnan(found[2])


def test_a_token_of_several_words_is_shared_among_them():
    first, after = words_at([(0, 9), (9, 12)], ((0, 4), (5, 9), (9, 12)))
    assert pooled(first, after, np.array([3.0, 1.0]), 3, "sum").tolist() == [1.5, 1.5, 1.0]
    assert pooled(first, after, np.array([3.0, 1.0]), 3, "max").tolist() == [3.0, 3.0, 1.0]
    assert np.isnan(pooled(first, after, np.array([np.nan, 1.0]), 3, "sum")[:2]).all()


def test_words_without_characters_have_no_score():
    first, after = words_at([(0, 1), (2, 3)], ((0, 1), (1, 1), (2, 3)))
    found = pooled(first, after, np.array([1.0, 2.0]), 3, "sum")
    assert (found[0], found[2]) == (1.0, 2.0)
    assert np.isnan(found[1])
