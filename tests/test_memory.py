"""What runs over many texts hold in memory must not grow with their number."""

from __future__ import annotations

import json
import resource

import pandas as pd
import pytest

from benchmarks.memory import attribute, evaluate, peak, tiny_model
from eraser.load import load
from rationale.hf import quiet
from rationale.stream import MANIFEST, read_stream


@pytest.fixture
def model(tmp_path):
    quiet()
    return tiny_model(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("many", "more"), [(40_000, 30), pytest.param(200_000, 60, marks=pytest.mark.faults)]
)
def test_many_texts_are_explained_in_the_memory_of_two_thousand(model, tmp_path, many, more):
    small, large = (peak(attribute(model, tmp_path, n)) for n in (2_000, many))
    scores = tmp_path / f"scores-{many}"
    assert json.loads((scores / MANIFEST).read_text())["texts"] == many
    assert large < small + more, (small, large)  # 200,000 rows as objects are above 300 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in read_stream(scores)) == many
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < more


@pytest.mark.slow
@pytest.mark.faults
def test_two_hundred_thousand_examples_are_scored_in_little_more_memory_than_two_thousand(model, tmp_path):
    """Resamples of 4,096 groups are 32 MB, a block of columns some 10; the data alone as objects 500."""
    small, large = (peak(evaluate(model, tmp_path, n)) for n in (2_000, 200_000))
    scores = pd.read_csv(tmp_path / "run-200000" / "scores.csv").set_index("metric")
    assert (scores.n[["token_f1", "accuracy"]] == 200_000).all()
    assert large < small + 150, (small, large)


@pytest.mark.slow
def test_a_large_data_set_is_opened_in_little_memory(tmp_path, monkeypatch):
    import tracemalloc

    from benchmarks.memory import eraser_folder

    folder, held = eraser_folder(tmp_path / "data", 20_000), {}
    for limit in (2**40, 0):
        monkeypatch.setattr("eraser.large.LARGE", limit)
        tracemalloc.start()
        dataset = load("made", folder)
        held[limit] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(dataset.splits["test"]) == 20_000
    assert held[0] < 20_000 * 100 + 2**20
    assert held[2**40] > 10 * held[0]
