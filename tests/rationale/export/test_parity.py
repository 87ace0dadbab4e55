"""How far two ways of running a model are apart: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eraser import InputError
from rationale.export.parity import WindowReading, parity


def reading(logits, layers):
    return WindowReading(np.array(logits, float), np.array(layers))


def test_logits_count_where_the_same_pieces_were_kept():
    one = [reading([1, 2], [3, 0, 1]), reading([0, 0], [3, 3])]
    other = [reading([1, 2.5], [3, 0, 1]), reading([5, 0], [3, 2])]
    found = parity(one, other)
    assert (found.n, found.logits, found.other_pieces, found.pieces) == (2, 0.5, 1, 0.8)


def test_a_graph_that_is_not_the_model_is_refused():
    found = parity([reading([1, 2], [3, 1])], [reading([1, 2.001], [3, 1])])
    with pytest.raises(InputError) as refusal:
        found.check()
    assert str(refusal.value) == (
        "expected a graph with the model's logits to 0.0001 and its kept pieces, "
        "got 0.001 apart; other pieces kept in 0 of 1 windows"
    )


def test_a_graph_that_gives_no_number_is_refused():
    sound, broken = reading([1, 2], [3, 1]), reading([1, np.nan], [3, 1])
    with pytest.raises(InputError, match="got nan apart; other pieces kept in 0 of 2 windows"):
        parity([sound] * 2, [sound, broken]).check()


def test_one_window_in_a_hundred_may_be_decided_by_rounding():
    same, other = reading([1, 2], [3, 1]), reading([1, 2.5], [3, 2])
    parity([same] * 100, [same] * 99 + [other]).check()
    with pytest.raises(InputError, match="other pieces kept in 1 of 99 windows"):
        parity([same] * 99, [same] * 98 + [other]).check()
