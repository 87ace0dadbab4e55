"""What the viewer measures of a model's speed on a data set. Axes: L layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from eraser import Dataset, Example
from rationale.bench.speeds import SpeedSettings, speed_table
from rationale.hf.classifier import Classifier, without_removal
from rationale.inference.savings import run_windows
from rationale.models.flops import parts_by_layer
from rationale_viewer.session.state import AS_TRAINED, LoadedModel

WINDOWS, ROUNDS = 64, 3  # that are timed
GIGA = 1e9


def spread(examples: Sequence[Example], size: int) -> tuple[Example, ...]:
    """Return that many examples at equal steps: a file sorted by label has its labels at either end.

    >>> spread("abcdefg", 3)
    ('a', 'c', 'e')
    """
    n = min(size, len(examples))
    return tuple(examples[i * len(examples) // n] for i in range(n))


def measure_speed(held: LoadedModel, dataset: Dataset, split: str, size: int, dial: float) -> pd.DataFrame:
    """Return `rationale speeds`' rows of the model at a dial, beside itself with nothing removed."""
    few = replace(dataset, splits={**dataset.splits, split: spread(dataset.splits[split], size)})
    settings = SpeedSettings(split, (dial,), WINDOWS, rounds=ROUNDS)
    with held.turn(dial) as (classifier, turn):
        turn.alone = True  # time is measured
        assert isinstance(classifier, Classifier)  # a function has no layers to save
        return speed_table(without_removal(classifier), {"this model": classifier}, few, settings)


def layer_shares(held: LoadedModel, dataset: Dataset, split: str, size: int) -> pd.DataFrame:
    """Return each layer's operations, in GFLOPs a text: dense, and this model's by what they are for."""
    texts = held.classifier.encoder.encode([dataset.text(e) for e in spread(dataset.splits[split], size)])
    windows = [w for text in texts for w in text]
    with held.at_dial(AS_TRAINED) as classifier:
        assert isinstance(classifier, Classifier)
        _, kept = run_windows(classifier, windows)
    parts = parts_by_layer(held.classifier.model, np.array([len(w) for w in windows]), kept)
    a_text = {name: flops / len(texts) / GIGA for name, flops in parts.items()}
    return pd.DataFrame({"layer": range(1, len(kept) + 1), "tokens": kept.mean(1), **a_text})
