"""What cuts a text into words, and where in it they stand."""

from __future__ import annotations

import re
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError, Text
from eraser.words import CUTTERS, cut_words, cutter_for, find_words, gaps, is_unspaced, joined

ODD = "a.,:;!?'’-_·#@%& \t\n\u00a0\u2028\x1c\u0301\u200b\u200d\u202e\ufeff\u00ad"
ODD += "0٣éßनिไทร์ย电影ーか한글שلا😀🏽🇺🇳ﷺ½"
texts = st.text(st.sampled_from(ODD), max_size=40) | st.text(max_size=20)


def cut(text, how):
    return [text[start:end] for start, end in cut_words(text, how)]


@given(texts)
def test_white_space_cuts_as_python_does(text):
    assert cut(text, "whitespace") == text.split()


@given(texts, st.sampled_from(list(CUTTERS)))
def test_words_are_in_order_and_between_them_is_nothing_to_be_seen(text, how):
    spans = cut_words(text, how)
    assert all(start < end for start, end in spans)
    before = text[: spans[0][0]] if spans else text
    for between in (before, *gaps(text, spans)):
        assert all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in between)


@given(texts, st.sampled_from(list(CUTTERS)))
def test_words_are_found_again_in_their_text(text, how):
    spans = cut_words(text, how)
    words = [text[start:end] for start, end in spans]
    assert find_words(text, words) == spans
    assert (
        "".join(map("".join, zip(words, gaps(text, spans), strict=True)))
        == text[spans[0][0] if spans else len(text) :]
    )


@given(texts)
def test_finer_cutters_cut_within_the_words_of_the_others(text):
    whole, signs, single = (cut_words(text, how) for how in CUTTERS)
    for fine, coarse in ((signs, whole), (single, signs)):
        assert all(any(a <= start and end <= b for a, b in coarse) for start, end in fine)


@given(texts.filter(lambda text: not re.search(r"\s[\u0300-\u036f\u0e31-\u0e4e\u200d🏽]", text)))
def test_no_character_as_it_is_read_is_cut_apart(text):
    edges = {n for found in regex.finditer(r"\X", text) for n in found.span()}
    for how in ("punctuation", "characters"):
        inside = [n for span in cut_words(text, how) for n in span if n not in edges]
        assert all(unicodedata.category(text[n - 1]) in ("Cc", "Cf", "Zs") for n in inside)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A film, dull.", ["A", "film", ",", "dull", "."]),
        ("don't rock’n’roll well-known co\u00adop", ["don't", "rock’n’roll", "well-known", "co\u00adop"]),
        ("3.5, 1,000 10:30 3٫5.", ["3.5", ",", "1,000", "10:30", "3٫5", "."]),
        ("wow!!! ... a--b ?!", ["wow", "!!!", "...", "a", "--", "b", "?", "!"]),
        ("'quoted' dogs' -5", ["'", "quoted", "'", "dogs", "'", "-", "5"]),
        ("e.g. the U.S.", ["e.g.", "the", "U.S."]),
        ("#tag @you snake_case C++", ["#", "tag", "@", "you", "snake_case", "C", "++"]),
        ("👩🏽\u200d🚀🎉🎉 ❤️", ["👩🏽\u200d🚀", "🎉", "🎉", "❤️"]),
        ("cafe\u0301s, naïve", ["cafe\u0301s", ",", "naïve"]),
        ("कहानी अच्छी है।", ["कहानी", "अच्छी", "है", "।"]),
        ("می\u200cروم، خوب", ["می\u200cروم", "،", "خوب"]),
        ("慢，但好看。", ["慢", "，", "但好看", "。"]),
        ("ခြင်း နေ့", ["ခြင်း", "နေ့"]),
        ("a\u200bb \u202ec\u202c", ["a", "b", "c"]),
        ("\u200b", []),
    ],
)
def test_signs_are_words_of_their_own(text, words):
    assert cut(text, "punctuation") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("慢，但iPhone好看。", ["慢", "，", "但", "iPhone", "好", "看", "。"]),
        ("カメラー、3.5個", ["カ", "メ", "ラ", "ー", "、", "3.5", "個"]),
        ("สนุกขึ้น", ["ส", "นุ", "ก", "ขึ้", "น"]),
        ("ຫຼິ້ນ ခြင်း", ["ຫຼິ້", "ນ", "ခြ", "င်", "း"]),
        ("좋다, don't", ["좋다", ",", "don't"]),
    ],
)
def test_characters_of_scripts_without_spaces_are_words(text, words):
    assert cut(text, "characters") == words


@pytest.mark.parametrize(
    ("text", "unspaced"),
    [
        ("故事很慢。", True),
        ("話は遅いが、楽しい iPhone", True),
        ("เรื่องเริ่มช้า แต่สนุกขึ้นเรื่อยๆ นักแสดงเก่งมาก", True),
        ("故事 很 慢 ， 但 好看", False),
        ("เรื่อง เริ่ม ช้า แต่ สนุก", False),
        ("A film by 黒澤明, slow", False),
        ("이야기는 느리다", False),
        ("12 🎉", False),
        ("", False),
    ],
)
def test_whether_a_text_has_spaces_between_words(text, unspaced):
    assert is_unspaced(text) == unspaced


def test_what_cuts_is_what_was_asked_for_or_what_most_texts_need():
    slow, film = "故事很慢。", "A slow film."
    assert cutter_for([slow], "whitespace", "punctuation") == ("whitespace", None)
    assert cutter_for([film, slow], None, "punctuation") == ("punctuation", None)
    assert cutter_for([], None, "whitespace") == ("whitespace", None)
    told = "words: characters, as 2 of 3 texts are written without spaces between words"
    assert cutter_for([slow, film, slow], None, "whitespace") == ("characters", told)
    told = "words: characters, as the text is written without spaces between words"
    assert cutter_for([slow], None, "punctuation") == ("characters", told)


@pytest.mark.parametrize(
    "ask", [lambda: cut_words("a", "words"), lambda: cutter_for(["a"], "words", "whitespace")]
)
def test_another_way_to_cut_is_refused(ask):
    with pytest.raises(
        InputError, match=r"^expected words cut by whitespace, punctuation, characters, got 'words'$"
    ):
        ask()


@given(st.lists(st.text("ab\u0301电", max_size=3)))
def test_words_of_a_data_set_are_joined_by_single_spaces(words):
    text, spans = joined(words)
    assert text == " ".join(word for word in words if word)
    assert [text[start:end] for start, end in spans] == words
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "words", "told"),
    [
        ("a film", ["a", "song"], "t: expected the word 'song', got 'film'"),
        ("a dull film", ["a", "film"], "t: expected the word 'film', got 'dull film'"),
        ("a film !", ["a", "film"], "t: expected a text that ends with its last word, got '!'"),
        ("film a", ["a", "film"], "t: expected the word 'a', got 'film a'"),
        ("a", ["a", "a"], "t: expected the word 'a', got ''"),
    ],
)
def test_words_that_are_not_those_of_a_text_are_refused(text, words, told):
    with pytest.raises(InputError, match=rf"\A{re.escape(told)}\Z"):
        _ = Text("t", tuple(words), {"t": 0}, (0,), None, text).plain
