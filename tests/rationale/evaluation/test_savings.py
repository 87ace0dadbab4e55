from __future__ import annotations

from dataclasses import replace

import numpy as np

from rationale.evaluation.savings import ComputeSavings

FOUND = ComputeSavings(2, dense=8.0, adaptive=2.0, tokens=np.array([10, 4]), exits=np.array([0, 2]))


def test_a_reader_is_told_how_many_times_fewer_flops_and_what_each_layer_read():
    assert FOUND.notes == ("FLOPs speed-up 4.00× over the dense model; tokens in each layer 5.0 2.0",)


def test_a_reader_is_told_where_windows_stopped_if_any_stopped_early():
    early = replace(FOUND, exits=np.array([1, 1]))
    assert early.notes[1] == "mean exit layer 1.50 of 2; windows by exit layer 1 1"
