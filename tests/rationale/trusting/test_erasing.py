from __future__ import annotations

import numpy as np

from rationale.text.windows import OUTSIDE, Window
from rationale.trusting.erasing import Pool, answers_without, infilled, usable
from tests.helpers.trusted import subject, toy


def window(ids, word):
    ids, word = np.array(ids), np.array(word)
    return Window(ids, word, np.zeros_like(ids), np.where(word == OUTSIDE, OUTSIDE, word + 1))


ONE = (window([101, 7, 8, 9, 102], [OUTSIDE, 0, 1, 1, OUTSIDE]),)
OTHER = (window([101, 20, 21, 22, 102], [OUTSIDE, 0, 0, 1, OUTSIDE]),)
SAME = (window([101, 8, 9, 22, 102], [OUTSIDE, 0, 0, 1, OUTSIDE]),)


def test_words_give_way_to_words_of_another_text_with_as_many_pieces():
    pool = Pool.of([ONE, OTHER])
    assert pool.serves
    (found,) = infilled(ONE, np.array([False, True]), pool, 0, np.random.default_rng(0))
    assert found.ids.tolist() == [101, 7, 20, 21, 102]
    (found,) = infilled(ONE, np.array([True, False]), pool, 0, np.random.default_rng(0))
    assert found.ids.tolist() == [101, 22, 8, 9, 102]
    assert (found.word == ONE[0].word).all()


def test_a_word_does_not_give_way_to_itself():
    (found,) = infilled(ONE, np.array([False, True]), Pool.of([ONE, SAME]), 0, np.random.default_rng(0))
    assert found.ids.tolist() == [101, 7, 22, 22, 102]


def test_where_no_word_is_as_long_several_take_its_place():
    long = (window([101, 1, 2, 3, 4, 102], [OUTSIDE, 0, 0, 0, 1, OUTSIDE]),)
    (found,) = infilled(long, np.array([True, False]), Pool.of([long, OTHER]), 0, np.random.default_rng(0))
    assert found.ids.tolist() == [101, 22, 22, 22, 4, 102]


def test_a_single_text_has_no_other_to_draw_from(tmp_path):
    assert not Pool.of([ONE]).serves
    assert (
        usable(subject(tmp_path, ("random",), toy(1)))["infill"]
        == "there is no other text to draw words from"
    )


def test_answers_are_those_of_the_changed_text(tmp_path):
    asked = subject(tmp_path, ("random",))
    gold = [i.truth.gold for i in asked.items]
    for how in ("delete", "mask"):
        found = answers_without(asked, [[g, ~g] for g in gold], how, "test")
        assert np.allclose([x[0] for x in found], 0.5), how  # only neutral words are left
        assert np.allclose([x[1] for x in found], asked.before()), how
