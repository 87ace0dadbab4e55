"""What the notebooks look at: what is bundled, or what two environment variables point to.

RATIONALE_DATA: a folder with movies.tar.gz and hatexplain.tar.gz.
RATIONALE_MODELS: a folder of trained models: hatexplain-adapler, hatexplain-dense, movies-dense, movies-….
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from eraser import Dataset
from eraser.load import load
from rationale.evaluation.plan import Evaluation, evaluate
from rationale.hf.classifier import SHIPPED, Classifier, load_classifier
from rationale.settings import EvaluateSettings

MANY = 100  # examples of a real data set, drawn by chance
SEED = 0


@dataclass(frozen=True)
class Subject:
    """A data set, a classifier that knows its labels, and its dense model where there is one."""

    title: str
    dataset: Dataset
    classifier: Classifier
    dense: Classifier | None = None

    def first(self, n: int) -> Subject:
        """Return the subject with at most n test examples, at equal steps so that every label is there."""
        examples = self.dataset.splits["test"]
        n = min(n, len(examples))
        few = tuple(examples[i * len(examples) // n] for i in range(n))
        return replace(self, dataset=replace(self.dataset, splits={**self.dataset.splits, "test": few}))

    def evaluate(self, methods: tuple[str, ...], **settings) -> Evaluation:
        """Return what methods say of the test split."""
        asked = EvaluateSettings(self.dataset.name, self.title, methods=methods, seed=SEED, **settings)
        with tempfile.TemporaryDirectory() as folder:
            return evaluate(self.classifier, self.dataset, asked, Path(folder), self.dense)


def shown(scores: pd.DataFrame, metrics: tuple[str, ...], budget: str) -> pd.DataFrame:
    """Return methods × metrics as texts: value, 95 % interval, n."""
    rows = scores[scores.metric.isin(metrics) & scores.budget.isin((budget, "-")) & (scores.n > 0)]
    texts = [f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}], n = {r.n}" for r in rows.itertuples()]
    table = rows.assign(text=texts).pivot(index="method", columns="metric", values="text")  # noqa: PD010
    return table.loc[list(dict.fromkeys(rows.method)), list(metrics)].rename_axis(columns=None)


def movies() -> Subject:
    """Return film reviews: ERASER's where RATIONALE_DATA has them, else the bundled sample."""
    archive = _in("RATIONALE_DATA", "movies.tar.gz")
    if archive is None:
        return Subject("bundled sample", load("sample"), load_classifier(SHIPPED))
    return Subject("ERASER movies", load("movies", archive), load_classifier(SHIPPED)).first(MANY)


def hatexplain() -> Subject | None:
    """Return HateXplain with models trained on it; None unless both variables have them."""
    archive, model = _in("RATIONALE_DATA", "hatexplain.tar.gz"), _in("RATIONALE_MODELS", "hatexplain-adapler")
    if archive is None or model is None:
        return None
    dense = _in("RATIONALE_MODELS", "hatexplain-dense")
    explained = None if dense is None else load_classifier(dense)
    return Subject("HateXplain", load("hatexplain", archive), load_classifier(model), explained).first(
        3 * MANY
    )


def trained(prefix: str) -> dict[str, Path]:
    """Return the trained models in RATIONALE_MODELS whose folder's name begins so."""
    folder = os.environ.get("RATIONALE_MODELS")
    found = sorted(Path(folder).glob(f"{prefix}*/config.json")) if folder else []
    return {file.parent.name: file.parent for file in found}


def _in(variable: str, name: str) -> Path | None:
    folder = os.environ.get(variable)
    path = Path(folder) / name if folder else None
    return path if path is not None and path.exists() else None
