"""A text is read as plain Hugging Face reads it, by tokenizers of every kind; words are characters of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import InputError, Text
from eraser.load import load
from eraser.words import CUTTERS
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE, words_read
from tests.helpers.paths import data
from tests.helpers.tokenizers import KINDS, SENTENCES

LONG = 100_000
ODD = (
    "  Two  spaces,\ttabs\u00a0and\n\nempty lines … end\n",
    "don't \u201cquote\u201d 3.5% (well-made)... e.g. #tag @you http://a.b/c?d=e",
    "[SEP] in <s> a </s> text <mask> of <unk> signs [MASK] <|endoftext|>",
    "\u202eright to left\u202c and zero\u200bwidth, co\u00adop, می\u200cروم",
    "ﷺ ½ ﬁ Ⅷ １２ ｶﾞ e\u0301te\u0301 \u0301x",
    "👩🏽\u200d🚀🎉🎉 ❤️ 1️⃣ 🇺🇳",
    "电影 film电影 好看ー。",
)
TEXTS = (*SENTENCES, *ODD)


def slow_words(offsets, spans):
    """Which words each piece belongs to, found by looking at each pair of piece and word."""
    sets = []
    for a, b in offsets:
        words = {w for w, (start, end) in enumerate(spans) if max(a, start) < min(b, end)}
        later = [w for w, (start, end) in enumerate(spans) if end > a and end > start]
        sets.append(words or {later[0] if later else len(spans) - 1})
    merged = True
    while merged:
        merged = False
        for one in sets:
            for other in sets:
                if one is not other and one & other and one != other and max(len(one), len(other)) > 1:
                    one |= other
                    merged = True
    return [(min(s), max(s) + 1) for s in sets]


def words_of_each(window):
    inside = window.word != OUTSIDE
    return list(zip(window.word[inside].tolist(), window.end[inside].tolist(), strict=True))


def offsets_of(tokenizer, string):
    plain = tokenizer(string, return_offsets_mapping=True, return_special_tokens_mask=True)
    special = plain["special_tokens_mask"]
    return [span for span, s in zip(plain["offset_mapping"], special, strict=True) if not s]


def encoded(tokenizer, text, max_length=LONG):
    return Encoder(tokenizer, max_length).encode([text])[0]


@pytest.fixture(params=KINDS)
def tokenizer(request, all_kinds):
    return all_kinds[request.param]


@pytest.mark.parametrize("how", CUTTERS)
@pytest.mark.parametrize("query", [None, "Is it  good?\nReally"])
def test_ids_and_types_are_plain_hugging_faces(tokenizer, how, query):
    for string in TEXTS:
        (window,) = encoded(tokenizer, Text.of("t", string, how, query))
        plain = tokenizer(*([string] if query is None else [query, string]), return_token_type_ids=True)
        assert window.ids.tolist() == plain["input_ids"]
        assert window.types.tolist() == plain["token_type_ids"]


@pytest.mark.parametrize("how", CUTTERS)
def test_pieces_belong_to_the_words_whose_characters_they_cover(tokenizer, how):
    for string in TEXTS:
        text = Text.of("t", string, how)
        (window,) = encoded(tokenizer, text)
        assert words_of_each(window) == slow_words(offsets_of(tokenizer, string), text.plain[1])


@pytest.mark.parametrize("how", CUTTERS)
def test_every_word_of_every_script_is_read(tokenizer, how):
    for string in SENTENCES:
        text = Text.of("t", string, how)
        assert words_read(encoded(tokenizer, text), len(text.words)).all()


@pytest.mark.parametrize("query", [None, "Good ?"])
def test_a_long_text_is_cut_and_nothing_of_it_is_lost(tokenizer, query):
    string = " ".join(SENTENCES[-1:] * 3) + "\n\n" + SENTENCES[0]
    text = Text.of("t", string, "punctuation", query)
    (whole,) = encoded(tokenizer, text)
    room = 17
    windows = encoded(tokenizer, text, int((whole.word == OUTSIDE).sum()) + room)
    assert len(windows) > 2
    inner = [w.at(w.word != OUTSIDE) for w in windows]
    read, wanted = (np.concatenate([w.ids for w in of]) for of in (inner, [whole.at(whole.word != OUTSIDE)]))
    largest = max(np.unique(whole.word[whole.word != OUTSIDE], return_counts=True)[1])
    if largest <= room:
        assert read.tolist() == wanted.tolist()
        for one, other in zip(inner, inner[1:], strict=False):
            assert one.end.max() <= other.word.min()
    first = int((whole.word != OUTSIDE).argmax())
    for window in windows:
        assert sum(window.word != OUTSIDE) <= room
        outside = window.ids[window.word == OUTSIDE]
        assert outside.tolist() == whole.ids[whole.word == OUTSIDE].tolist()
        assert (window.word[:first] == OUTSIDE).all()


@pytest.mark.parametrize("how", CUTTERS)
def test_a_word_goes_with_its_unit_and_with_nothing_else(tokenizer, how):
    text = Text.of("t", SENTENCES[0] + " good film", how)
    encoder = Encoder(tokenizer, LONG)
    (window,) = encoder.encode([text])[0]
    for word in range(len(text.words)):
        (left,) = encoder.remove([window], np.arange(len(text.words)) == word)
        stays = (window.word == OUTSIDE) | (word < window.word) | (word >= window.end)
        assert left.ids.tolist() == window.ids[stays].tolist()
        assert left.end.tolist() == window.end[stays].tolist()


PARTS = (
    *("film", "Ünïted", "电影", "好", "，", "。", "ไทย", "เร็ว", "कहानी", "سلام", "שלום", "ー"),
    *(".", "...", "don't", "3.5", " ", "  ", "\n", "\t", "\u00a0", "\u2028", "\x1c", "<s>", "[SEP]"),
    *("\u200b", "\u200d", "\u202e", "\ufeff", "\u00ad", "e\u0301", "\u0301", "ﷺ", "½"),
    *("👩🏽\u200d🚀", "🎉", "🇺🇳"),
)
TYPED = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_typed(kind, all_kinds):
    tokenizer = all_kinds[kind]

    @settings(max_examples=40)
    @given(TYPED, st.sampled_from(list(CUTTERS)))
    def holds(string, how):
        text = Text.of("t", string, how)
        if not text.words:
            return
        (window,) = encoded(tokenizer, text)
        plain = tokenizer(string)["input_ids"]
        assert window.ids.tolist() == plain or not plain
        assert words_of_each(window) == slow_words(offsets_of(tokenizer, string), text.plain[1])

    holds()


def test_words_of_a_data_set_are_read_as_its_words_between_spaces(tokenizer):
    words = ("The", "L", "an", "ter", "n", ",", "", "don't", "电影")
    (window,) = encoded(tokenizer, Text("t", words, {"t": 0}, (0,)))
    assert window.ids.tolist() == tokenizer("The L an ter n , don't 电影")["input_ids"]
    assert set(window.word.tolist()) - {OUTSIDE} == {0, 1, 2, 3, 4, 5, 7, 8}
    inside = window.word != OUTSIDE
    assert (window.end[inside] == window.word[inside] + 1).all()


@pytest.mark.parametrize("name", ["sample", "movies", "hatexplain", "multirc"])
def test_data_sets_of_words_are_read_as_lists_of_words_would_be(name, all_kinds):
    dataset = load(name, None if name == "sample" else data(name), ["test"])
    texts = [dataset.text(e) for e in dataset.splits["test"][:12]]
    for kind in ("bert", "mpnet", "xlm-r", "albert", "deberta-v2"):
        for text in texts:
            (window,) = encoded(all_kinds[kind], text)
            ids, words = as_list_of_words(all_kinds[kind], text)
            assert window.ids.tolist() == ids
            assert window.word.tolist() == words


def as_list_of_words(tokenizer, text):
    """Ids, and the word of each piece, of a tokenizer that is given words instead of a text."""
    lists = [list(text.words)] if text.query is None else [text.query.split(), list(text.words)]
    plain = tokenizer(*lists, is_split_into_words=True, verbose=False)
    pairs = zip(plain.word_ids(), plain.sequence_ids(), strict=True)
    return plain["input_ids"], [OUTSIDE if w is None or s != len(lists) - 1 else w for w, s in pairs]


def test_where_nothing_is_left_a_model_without_special_tokens_reads_its_beginning(all_kinds):
    encoder = Encoder(all_kinds["gpt2"], LONG)
    (window,) = encoder.encode([Text.of("t", "a film", "whitespace")])[0]
    (left,) = encoder.remove([window], np.array([True, True]))
    assert left.ids.tolist() == [encoder.tokenizer.bos_token_id]
    assert not left.has_words


def test_half_a_character_is_refused_by_its_text(all_kinds):
    told = r"^t7: expected text without lone surrogates, got '\\ud83d'$"
    with pytest.raises(InputError, match=told):
        encoded(all_kinds["bert"], Text.of("t7", "a \ud83d b", "whitespace"))
    with pytest.raises(InputError, match=told):
        encoded(all_kinds["bert"], Text.of("t7", "a b", "whitespace", "why \ud83d ?"))
