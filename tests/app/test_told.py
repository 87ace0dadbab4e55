from __future__ import annotations

import numpy as np
from rationale_viewer.view import told


def test_ranks_put_the_highest_first_and_skip_unread_words():
    assert told.ranks(np.array([0.1, 0.5, np.nan, 0.5])) == [3, 1, None, 2]


def test_what_is_told_of_a_word():
    found = told.told_of(np.array([0.5, np.nan]), [("un", "##fit"), ()])
    assert found == ["score +0.5 · rank 1 of 1 · pieces un | ##fit", "not read: beyond what the model reads"]
