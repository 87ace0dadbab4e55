"""What runs over many texts hold in memory must not grow with their number."""

from __future__ import annotations

import json
import resource

import pandas as pd
import pytest

from benchmarks.memory import attribute, evaluate, peak, tiny_model
from eraser.load import load
from rationale.hf.classifier import quiet
from rationale.stream import MANIFEST, read_stream


@pytest.fixture
def model(tmp_path):
    quiet()
    return tiny_model(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.faults
def test_two_hundred_thousand_texts_are_explained_in_the_memory_of_two_thousand(model, tmp_path):
    small, large = (peak(attribute(model, tmp_path, n)) for n in (2_000, 200_000))
    scores = tmp_path / "scores-200000"
    assert json.loads((scores / MANIFEST).read_text())["texts"] == 200_000
    assert large < small + 60, (small, large)  # their rows as objects are above 300 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in read_stream(scores)) == 200_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 60


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
        monkeypatch.setattr("eraser.data.on_disk.LARGE", limit)
        tracemalloc.start()
        dataset = load("made", folder)
        held[limit] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(dataset.splits["test"]) == 20_000
    assert held[0] < 20_000 * 100 + 2**20
    assert held[2**40] > 10 * held[0]
