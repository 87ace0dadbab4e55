"""Words and sentences as what a rationale is made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import GoldRationale, Span
from rationale.text.elements import OF_WORDS, Elements, sentence_scores

STARTS = (0, 2, 5)
SCORES = np.array([1.0, 2.0, -4.0, np.nan, 3.0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", [3.0, -1.0, np.nan]), ("mean", [1.5, -0.5, np.nan]), ("max", [2.0, 3.0, np.nan])],
)
def test_the_score_of_a_sentence_is_of_its_words_that_were_read(how, expected):
    np.testing.assert_array_equal(sentence_scores(SCORES, STARTS, how), expected)


def test_words_are_elements_themselves():
    elements = Elements.of(GoldRationale("POS", 7, frozenset(), sentence_starts=STARTS), "word", "mean")
    mask = np.array([True] + [False] * 6)
    assert elements.scores(SCORES) is SCORES
    assert elements.touched(mask) is mask
    assert elements.words(mask) is mask


def test_a_sentence_with_one_of_the_words_is_touched_and_is_all_of_its_words():
    elements = Elements.of(
        GoldRationale("POS", 7, frozenset({Span(3, 4)}), sentence_starts=STARTS), "sentence", "sum"
    )
    touched = elements.touched(np.arange(7) == 3)
    assert touched.tolist() == [False, True, False]
    assert np.flatnonzero(elements.words(touched)).tolist() == [2, 3, 4]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=10),
    st.sampled_from([*OF_WORDS]),
)
def test_sentences_to_words_and_back(sentences, how):
    lengths, picked = (np.array(column) for column in zip(*sentences, strict=True))
    starts = tuple(int(n) for n in np.cumsum([0, *lengths])[:-1])
    elements = Elements(int(lengths.sum()), starts, how)
    words = elements.words(picked)
    assert words.sum() == lengths[picked].sum()
    assert elements.touched(words).tolist() == picked.tolist()
    assert len(elements.scores(np.ones(elements.n_words))) == len(lengths)
