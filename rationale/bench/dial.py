"""Accuracy and agreement against speed: one model at several dials, or a grid of trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Dataset, Fault, InputError, Prediction
from eraser.files.cells import as_csv
from eraser.files.owned import claim, finish, writes
from eraser.files.whole import write_text
from eraser.metrics.table import measure, score
from eraser.progress import progress
from rationale.attribution import AttributionInput, attribute
from rationale.hf.classifier import Classifier
from rationale.hf.folder_checks import content_of_model
from rationale.inference.savings import predict_split, speedup_of
from rationale.models.capabilities import drops_tokens
from rationale.process.terminal import say
from rationale.text_classifier import labelled_as
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings

FRONTIER = "frontier.csv"
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
METRICS_SHOWN = ("accuracy", "token_f1", "false_positive_rate")


def dial_table(
    classifier: Classifier, dataset: Dataset, split: str, dials: Sequence[float] = DIALS, seed: int = 0
) -> pd.DataFrame:
    """Return a row for each dial: FLOPs saved, tokens in each layer, and metrics with intervals.

    The rationale is that of survivors: the words with a piece in the last layer. The model's dial is restored
    afterwards.

    Raises:
        InputError: a dial below 0, or the data has labels that the model lacks.
    """
    if bad := [d for d in dials if not 0 <= d < np.inf]:
        raise InputError(Fault("dials of at least 0", str(bad[0])))
    model = classifier.model
    if not drops_tokens(model):
        raise InputError(Fault("a model that drops tokens", type(model).__name__))
    classifier = labelled_as(classifier, dataset.labels, "the model")
    dataset.examples(split)
    rows = []
    for dial in progress(dials, "dials", "dials"):
        with model.at_dial(dial):
            rows.append({"dial": dial, **_row(classifier, dataset, split, seed)})
    return pd.DataFrame(rows)


def _row(classifier: Classifier, dataset: Dataset, split: str, seed: int) -> dict[str, Any]:
    examples = dataset.splits[split]
    model = predict_split(classifier, dataset, split)
    truths = [dataset.truth(e) for e in examples]
    cases = [
        AttributionInput(w, t.n_words, int(i))
        for w, t, i in zip(model.texts, truths, model.predicted, strict=True)
    ]
    found = attribute(classifier, "survivors", cases)
    predictions = [
        Prediction(
            e.id, classifier.labels[i], {}, a.scores, a.selected if a.selected is not None else a.scores > 0
        )
        for e, i, a in zip(examples, model.predicted, found, strict=True)
    ]
    row: dict[str, Any] = {"speedup": speedup_of(classifier, model.windows, model.kept)}
    row |= {f"layer_{i}": float(n) for i, n in enumerate(model.kept.mean(1))}
    for name in METRICS_SHOWN:
        s = score(name, measure(name, truths, predictions), seed)
        row |= {name: s.value, f"{name}_low": s.low, f"{name}_high": s.high, f"{name}_n": s.n}
    return row


def tune(
    dense: Path,
    dataset: Dataset,
    out: Path,
    base: AdaplerSettings,
    grid: Mapping[str, Sequence[float]],
    overwrite: bool = False,
) -> pd.DataFrame:
    """Train AdapLeR at every point of a grid (gamma, phi, lr, speedup); return every epoch of every run.

    Each run has its folder in `out`, so that a killed search resumes where it stopped. `frontier` marks the
    epochs that no other epoch beats in both accuracy and speed on val.
    """
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    for point in points:
        _at_point(base, point).check()
    of = {"content_of_dense": content_of_model(dense), "settings": base.as_record(), "grid": grid}
    if claim(out, "tune", of, (dense, dataset.source), (), overwrite):
        say(f"already done: {out}", err=True)
    rows: list[dict[str, Any]] = []
    for point in progress(points, "tune", "models"):
        name = "-".join(f"{k}={v:g}" for k, v in point.items())
        point_of_grid = _at_point(base, point)
        record = train_adaptive(ADAPLER, dense, dataset, out / name, point_of_grid, overwrite=overwrite)
        rows += [{"run": name, **_named(point), **_flat(entry)} for entry in record["log"]]
        table = pd.DataFrame(rows)
        table["frontier"] = on_frontier(table.speedup.to_numpy(), table.val_accuracy.to_numpy())
        write_text(out / FRONTIER, as_csv(table))
        writes(out, FRONTIER)
    finish(out)
    return table


def _named(point: dict[str, float]) -> dict[str, float]:
    """Return a point under its columns' names: a target speed-up is not the one reached."""
    return {"wanted_speedup" if k == "speedup" else k: v for k, v in point.items()}


def _at_point(base: AdaplerSettings, point: dict[str, float]) -> AdaplerSettings:
    of_step = {k: v for k, v in point.items() if k != "speedup"}
    speedup = point.get("speedup", base.speedup)
    return replace(base, speedup=speedup, step=replace(base.step, **of_step))


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    kept = ("stage", "epoch", "val_accuracy", "speedup", "within_tolerance")
    return {k: entry[k] for k in kept} | {f"layer_{i}": n for i, n in enumerate(entry["lengths"])}


def on_frontier(speed: np.ndarray[Any, Any], accuracy: np.ndarray[Any, Any]) -> list[bool]:
    """Return True for the points that no other point beats in one and equals or beats in the other.

    >>> on_frontier(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.9, 0.8, 0.7, 0.8]))
    [True, False, False, True]
    """
    return [
        not bool(((speed >= s) & (accuracy >= a) & ((speed > s) | (accuracy > a))).any())
        for s, a in zip(speed, accuracy, strict=True)
    ]
