from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError
from eraser.data.offsets import in_characters
from tests.helpers.exports import imported, marked, write

SIZES = {
    "codepoints": len,
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
    "bytes": lambda text: len(text.encode()),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a é中😀"), max_size=12)


@pytest.mark.parametrize("unit", SIZES)
@given(TEXTS, TEXTS, TEXTS)
def test_a_span_of_any_unit_is_the_same_words(unit, before, words, after):
    size = SIZES[unit]
    span = (size(before), size(before + words))
    assert in_characters(before + words + after, [span], unit) == [(len(before), len(before + words))]


@pytest.mark.parametrize(
    ("span", "unit", "told"),
    [
        ((1, 3), "utf16", "UTF-16 units, between characters, end <= 6, got [1, 3]"),
        ((0, 7), "utf16", "UTF-16 units, between characters, end <= 6, got [0, 7]"),
        ((0, 3), "bytes", "bytes of UTF-8, between characters, end <= 8, got [0, 3]"),
    ],
)
def test_offsets_inside_a_character_or_beyond_the_text_are_told(span, unit, told):
    with pytest.raises(InputError) as error:
        in_characters("😀 bad", [span], unit)
    assert str(error.value) == f"expected [start, end) in {told}"


ROWS = [
    {"text": "😀😀 Such a dull and long film", "label": "NEG", "rationale": [[12, 16]]},
    {"text": "😀😀 Such a warm and long film", "label": "POS", "rationale": [[12, 16]]},
]


def test_another_unit_is_proposed_where_most_spans_cut_words_and_used_where_it_is_named(tmp_path):
    path = write(tmp_path / "x.jsonl", ROWS)
    found = imported(path)
    assert [words for _, words in marked(found).values()] == ["dull and", "warm and"]
    told = "in texts with such characters 100% of the spans cut words; counted in UTF-16 units 0% would"
    assert f"{told}: try --offsets utf16" in found.notes
    assert [words for _, words in marked(imported(path, offsets="utf16")).values()] == ["dull", "warm"]


def test_nothing_is_proposed_where_spans_fit_as_they_are(tmp_path):
    rows = [row | {"rationale": [[10, 14]]} for row in ROWS]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert found.notes == ("form of the rationales: chars",)


def test_bytes_and_words_can_be_named(tmp_path):
    rows = [
        {"text": "Très ennuyeux film", "label": "NEG", "rationale": [[6, 14]]},
        ROWS[1] | {"rationale": []},
    ]
    path = write(tmp_path / "x.jsonl", rows)
    assert list(marked(imported(path, offsets="bytes")).values())[0] == ("NEG", "ennuyeux")
    rows[0]["rationale"] = [[1, 3]]
    by_word = imported(write(tmp_path / "y.jsonl", rows), offsets="tokens")
    assert list(marked(by_word).values())[0] == ("NEG", "ennuyeux film")


def test_a_unit_for_spans_of_words_is_refused(tmp_path):
    rows = [{"text": "A dull film", "label": "NEG", "rationale": [0, 1, 0]}, ROWS[1] | {"rationale": []}]
    path = write(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        imported(path, offsets="utf16")
    told = "--offsets utf16 is for spans of characters; it is known what these count"
    assert str(error.value) == f"{path}: {told}"


def test_chinese_spans_of_characters_stay_spans_of_characters(tmp_path):
    rows = [
        {"text": "这部电影非常无聊，我不推荐。", "label": "NEG", "rationale": [[4, 8]]},
        {"text": "这部电影非常好看，我很推荐。", "label": "POS", "rationale": [[4, 8]]},
    ]
    found = imported(write(tmp_path / "x.jsonl", rows), rationale_form="chars")
    assert [words for _, words in marked(found).values()] == ["非 常 无 聊", "非 常 好 看"]


def test_an_offset_of_many_digits_is_cut_in_the_message(tmp_path):
    rows = [ROWS[0] | {"rationale": [[2, int("9" * 4000)]]}, ROWS[1]]
    path = write(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        imported(path, offsets="utf16")
    told = "expected [start, end) in UTF-16 units, between characters, end <= 30"
    assert str(error.value) == f"{path}:1: test-00001: {told}, got [2, 99999999999999999999… (4,000 digits)]"
