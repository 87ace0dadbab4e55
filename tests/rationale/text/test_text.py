from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from eraser import InputError, Text
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE, Window, cut_ranges, length_batches, words_in_part, words_read


def text(words, id="t", sentences=(0,), query=None):
    return Text(id, tuple(words), {id: 0}, tuple(sentences), query)


@pytest.fixture
def encoder(tokenizer):
    return Encoder(tokenizer, 128)


def test_every_piece_knows_its_word(encoder, tokenizer):
    (windows,) = encoder.encode([text(["an", "unbelievableness", "film"])])
    (window,) = windows
    alone = [tokenizer(w, add_special_tokens=False)["input_ids"] for w in ("an", "unbelievableness", "film")]
    assert window.ids[1:-1].tolist() == [i for ids in alone for i in ids]
    assert window.word.tolist() == [OUTSIDE, *(n for n, ids in enumerate(alone) for _ in ids), OUTSIDE]


def test_window_ids_are_what_the_tokenizer_itself_would_make(encoder, tokenizer):
    words = "a warm and moving film , never dull".split()
    (windows,) = encoder.encode([text(words)])
    assert windows[0].ids.tolist() == tokenizer(" ".join(words))["input_ids"]


def test_query_words_are_read_but_belong_to_no_word(encoder, tokenizer):
    words, query = "the film is dull".split(), "is it good ?"
    (windows,) = encoder.encode([text(words, query=query)])
    expected = tokenizer(query, " ".join(words), return_token_type_ids=True)
    assert windows[0].ids.tolist() == expected["input_ids"]
    assert windows[0].types.tolist() == expected["token_type_ids"]
    assert [w for w in windows[0].word if w != OUTSIDE] == [0, 1, 2, 3]
    assert (windows[0].types[windows[0].word != OUTSIDE] == 1).all()


def test_texts_with_and_without_query_keep_their_order(encoder):
    texts = [text(["good"], "a"), text(["dull"], "b", query="what ?"), text(["film"], "c")]
    together = encoder.encode(texts)
    for one, windows in zip(texts, together, strict=True):
        (alone,) = encoder.encode([one])
        assert [w.ids.tolist() for w in alone] == [w.ids.tolist() for w in windows]


def test_long_text_is_read_whole_in_windows_cut_between_sentences(encoder):
    words = ["film"] * 300
    starts = tuple(range(0, 300, 50))
    (windows,) = encoder.encode([text(words, sentences=starts)])
    assert max(map(len, windows)) <= 128
    assert words_read(windows, 300).all()
    firsts = [w.word[w.word != OUTSIDE][0] for w in windows]
    assert firsts == [0, 100, 200]


def test_truncate_reads_the_first_window_only(tokenizer):
    (windows,) = Encoder(tokenizer, 128, "truncate").encode([text(["film"] * 300)])
    assert len(windows) == 1
    assert words_read(windows, 300).sum() == 126


@pytest.mark.parametrize("long_texts", ["window", "truncate"])
def test_one_word_longer_than_a_window_is_alone_and_its_end_is_not_read(tokenizer, long_texts):
    encoder = Encoder(tokenizer, 20, long_texts)
    (windows,) = encoder.encode([text(["xq" * 40, "film"], query="good ?")])
    (whole,) = Encoder(tokenizer, 512).encode([text(["xq" * 40, "film"], query="good ?")])[0]
    assert len(windows) == (2 if long_texts == "window" else 1)
    assert windows[0].ids.tolist() == [*whole.ids[:19], tokenizer.sep_token_id]
    lost = int((whole.word == 0).sum() - (windows[0].word == 0).sum())
    assert [w.lost for w in windows] == [lost, 0][: len(windows)]
    assert (words_in_part(windows), words_in_part([whole])) == (1, 0)
    assert [sorted(set(w.word.tolist()) - {OUTSIDE}) for w in windows] == [[0], [1]][: len(windows)]


def test_a_sentence_that_begins_in_a_word_without_pieces_is_cut_there(tokenizer):
    words = ["film"] * 9 + ["\u200b"] + ["film"] * 5
    (windows,) = Encoder(tokenizer, 14).encode([text(words, sentences=(0, 9))])
    assert [w.word[w.word != OUTSIDE].tolist() for w in windows] == [list(range(9)), list(range(10, 15))]


def test_ten_thousand_words(encoder):
    (windows,) = encoder.encode([text(["film"] * 10_000)])
    assert words_read(windows, 10_000).all()
    assert len(windows) == -(-10_000 // 126)


def test_one_word_longer_than_a_window_is_read_up_to_the_limit(encoder):
    (windows,) = encoder.encode([text(["ab" * 400])])
    assert all(len(w) <= 128 for w in windows)
    assert words_in_part(windows) == 0  # of which one piece is made


@pytest.mark.parametrize("lost", [0, 1])
def test_a_word_that_just_fills_a_window_is_read_whole(encoder, tokenizer, lost):
    (window,) = Encoder(tokenizer, 4000).encode([text(["xq" * 40])])[0]
    (first, *_) = Encoder(tokenizer, len(window) - lost).encode([text(["xq" * 40, "film"])])[0]
    assert (first.lost, words_in_part([first])) == (lost, lost)


def test_emoji_and_combining_characters_align(encoder, tokenizer):
    words = ["un", "café", "cafe\u0301", "👩\u200d👩\u200d👧", "\u202eabc", "ﷺ", "fin"]
    (windows,) = encoder.encode([text(words)])
    alone = [tokenizer(w, add_special_tokens=False)["input_ids"] for w in words]
    assert windows[0].ids[1:-1].tolist() == [i for ids in alone for i in ids]
    assert windows[0].word[1:-1].tolist() == [n for n, ids in enumerate(alone) for _ in ids]
    assert words_read(windows, len(words))[[0, 1, 2, 6]].all()


def test_word_without_pieces_is_unread_not_an_error(encoder):
    (windows,) = encoder.encode([text(["good", "", "\u200b", "film"])])
    assert words_read(windows, 4).tolist() == [True, False, False, True]


def test_empty_text_is_refused(encoder):
    with pytest.raises(InputError, match=r"^empty: the text has no words$"):
        encoder.encode([text([], "empty")])


def test_query_that_leaves_no_room_is_refused(encoder):
    with pytest.raises(
        InputError, match=r"^t: expected a query that leaves 8 of 128 pieces to the text, got 1\d\d"
    ):
        encoder.encode([text(["good"] * 3, query="film " * 123)])


def test_padding_side_of_the_tokenizer_does_not_matter(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    left = AutoTokenizer.from_pretrained(tmp_path, padding_side="left")
    texts = [text("a dull film".split()), text(["good"])]
    batches = []
    for one in (tokenizer, left):
        encoder = Encoder(one, 128)
        batches.append(encoder.collate([w for ws in encoder.encode(texts) for w in ws]))
    for a, b in zip(
        (batches[0].ids, batches[0].real, batches[0].word, batches[0].end),
        (batches[1].ids, batches[1].real, batches[1].word, batches[1].end),
        strict=True,
    ):
        assert (a == b).all()


def test_removed_words_lose_their_pieces_and_nothing_else(encoder):
    (windows,) = encoder.encode([text(["an", "unbelievableness", "film"])])
    (kept,) = encoder.remove(windows, np.array([False, True, False]))
    before = windows[0]
    assert kept.ids.tolist() == [i for i, w in zip(before.ids, before.word, strict=True) if w != 1]
    (masked,) = encoder.remove(windows, np.array([False, True, False]), "mask")
    assert len(masked) == len(before)
    assert (masked.ids[before.word == 1] == encoder.mask_id).all()
    assert (masked.ids[before.word != 1] == before.ids[before.word != 1]).all()


def test_window_emptied_by_removal_is_dropped_unless_all_are(encoder):
    (windows,) = encoder.encode([text(["film"] * 200)])
    first_gone = np.arange(200) < 126
    assert len(encoder.remove(windows, first_gone)) == 1
    (empty,) = encoder.remove(windows, np.ones(200, dtype=bool))
    assert not empty.has_words
    assert len(empty) == 2


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.sets(st.integers(0, 59)),
    st.integers(9, 30),
)
def test_ranges_cover_every_word_once_and_fit(pieces, starts, room):
    ranges = cut_ranges(np.array(pieces), sorted(starts), room)
    assert [w for a, b in ranges for w in range(a, b)] == list(range(len(pieces)))
    for a, b in ranges:
        assert sum(pieces[a:b]) <= room
    for a, b in ranges[:-1]:  # cut at the last sentence start that fits, or as late as can be
        fits = [e for e in range(a + 1, len(pieces) + 1) if sum(pieces[a:e]) <= room]
        sentence_ends = [e for e in fits if e in starts]
        assert b == (sentence_ends[-1] if sentence_ends else fits[-1])


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_length_batches_hold_each_once_and_stay_within_the_limit(lengths, limit):
    found = list(length_batches(lengths, limit))
    assert sorted(i for rows in found for i in rows) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) == 1 or len(rows) * max(lengths[i] for i in rows) <= limit


def test_words_read_ignores_specials():
    window = Window(*np.array([[1, 5, 2], [OUTSIDE, 2, OUTSIDE], [0, 0, 0], [OUTSIDE, 3, OUTSIDE]]))
    assert words_read([window], 3).tolist() == [False, False, True]
