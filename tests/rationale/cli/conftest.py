"""Commands on a small part of the sample."""

from __future__ import annotations

import pytest

from eraser import Dataset, load


@pytest.fixture
def few_of_the_sample(monkeypatch: pytest.MonkeyPatch, sample: Dataset) -> None:
    """Let commands read a few texts of the sample as all of it."""
    sizes = {"train": 6, "val": 6, "test": 4}
    few = Dataset(
        sample.name, sample.documents, {k: sample.splits[k][:n] for k, n in sizes.items()}, source="few"
    )
    monkeypatch.setattr(load, "load", lambda name, data=None, **how: few)
