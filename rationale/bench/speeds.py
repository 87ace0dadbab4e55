"""Many models side by side: accuracy against FLOPs and against measured time, in one run.

A model is a line of points, one for each dial. A line is summarised by the area under it: accuracy over the
share of the dense model's FLOPs, from 0 to 1, the best point that needs no more counting at each share
(after DACT-BERT, arXiv 2109.11745; below the cheapest point only the commonest label is known).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eraser import Dataset, Fault, InputError
from eraser.errors import check_types
from eraser.metrics.table import compare, measure_labels, score
from eraser.progress import progress
from eraser.types import Floats
from rationale.bench.removal import EFFICIENT, bench
from rationale.hf.classifier import Classifier
from rationale.inference.capabilities import is_efficient
from rationale.inference.savings import SplitPredictions, predict_split, speedup_of
from rationale.models.capabilities import at_dial, has_dial
from rationale.models.flops import costs, full_costs
from rationale.text_classifier import labelled_as


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured: accuracy on a split, time on its first `windows` windows."""

    split: str = "test"
    dials: tuple[float, ...] = (1.0,)
    windows: int = 256
    batch_size: int = 32
    rounds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)

    def check(self) -> None:
        """Refuse what cannot be measured."""
        if min(sizes := (self.windows, self.batch_size, self.rounds)) < 1:
            raise InputError(Fault("at least 1 window, a batch size of 1 and 1 round", str(sizes)))
        if bad := [d for d in self.dials if not 0 <= d < np.inf]:
            raise InputError(Fault("dials of at least 0", str(bad[0])))


def speed_table(
    dense: Classifier, models: Mapping[str, Classifier], dataset: Dataset, settings: SpeedSettings
) -> pd.DataFrame:
    """Return a row for the dense model and one for each model and dial.

    `flops` and `wall` are FLOPs and measured speed-up over dense, `loss` the accuracy lost to it,
    paired. Accuracies have 95 % bootstrap intervals, `wall` the least and most over rounds. Models without a
    dial have one point.
    """
    settings.check()
    examples = dataset.examples(settings.split)
    dense = labelled_as(dense, dataset.labels, "dense")
    models = {name: labelled_as(model, dataset.labels, name) for name, model in models.items()}
    _check_models(dense, models)
    right = _right(dense, dataset, settings.split, predict_split(dense, dataset, settings.split))
    accuracy = score("accuracy", right, settings.seed)
    rows: list[dict[str, Any]] = [{"model": "dense", "dial": np.nan, "loss": 0.0}]
    rows[0] |= {"flops": 1.0, "wall": 1.0, "wall_of_flops": 1.0}
    rows[0] |= {"accuracy": accuracy.value, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}
    rows[0] |= {"n": len(examples)}
    points = [(n, d) for n, m in models.items() for d in (settings.dials if has_dial(m.model) else (np.nan,))]
    for name, dial in progress(points, "speeds", "models and dials"):
        with at_dial(models[name].model, dial):
            rows.append({"model": name, "dial": dial, **_point(models[name], dataset, right, settings)})
    return pd.DataFrame(rows)


def _check_models(dense: Classifier, models: Mapping[str, Classifier]) -> None:
    """Refuse models that were not made from the dense model."""
    for name, model in {"dense": dense, **models}.items():
        if is_efficient(model) == (name == "dense"):
            expected = "a dense model" if name == "dense" else EFFICIENT
            raise InputError(Fault(expected, type(model.model).__name__, name))
        if full_costs(model.model) != costs(dense.model):
            raise InputError(Fault.of("the model differs in size from the dense model", name))


def _point(
    classifier: Classifier, dataset: Dataset, dense_right: Sequence[Any], s: SpeedSettings
) -> dict[str, Any]:
    """Return one model's accuracy and cost at its current dial."""
    found = predict_split(classifier, dataset, s.split)
    right, kept = _right(classifier, dataset, s.split, found), found.kept
    accuracy, loss = score("accuracy", right, s.seed), compare("accuracy", dense_right, right, s.seed)
    timed = bench(classifier, found.windows[: s.windows], s.batch_size, s.rounds)
    last = timed.timings[-1].way
    low, high = timed.spread(last)
    return {
        "flops": speedup_of(classifier, found.windows, kept),
        "wall": timed.ratio(last, lambda t: t.median),
        "wall_low": low,
        "wall_high": high,
        "wall_of_flops": timed.ratio(last, lambda t: t.median) / timed.ratio(last, lambda t: t.flops),
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "loss": loss.value,
        "loss_low": loss.low,
        "loss_high": loss.high,
        "n": len(right),
        "exit_layer": float((kept > 0).sum(0).mean()),
        "tokens": " ".join(f"{n:.1f}" for n in kept.mean(1)),
        "where": timed.where,
    }


def _right(classifier: Classifier, dataset: Dataset, split: str, found: SplitPredictions) -> list[Any]:
    """Return accuracy's columns of each example."""
    labels = (classifier.labels[i] for i in found.predicted)
    return measure_labels(dataset, dataset.splits[split], labels)


def area(table: pd.DataFrame, commonest: float) -> pd.Series[float]:
    """Return each model's area under accuracy over the share of dense FLOPs.

    `commonest` is the share of the commonest label: the accuracy at no cost.
    """
    return pd.Series({
        str(name): _area(1 / rows.flops.to_numpy(), rows.accuracy.to_numpy(), commonest)
        for name, rows in table.groupby("model", sort=False)
    })  # fmt: skip


def _area(share: Floats, accuracy: Floats, commonest: float) -> float:
    """Return the area under the steps of the best accuracy at no more than each share.

    >>> round(_area(np.array([0.5]), np.array([0.8]), 0.4), 2)
    0.6
    """
    inside = share < 1
    at = np.concatenate([[0.0], np.sort(share[inside]), [1.0]])
    order = accuracy[inside][np.argsort(share[inside])]
    best = np.maximum.accumulate(np.concatenate([[commonest], order]))
    return float((np.diff(at) * best).sum())
