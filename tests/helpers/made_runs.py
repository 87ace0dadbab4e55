"""Evaluations and run folders made by hand, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eraser import Ablation, Dataset, Document, Example, Prediction, Span
from eraser.types import Evidence
from rationale.budgets import top_words
from rationale.evaluation.plan import Evaluation, Item
from rationale.evaluation.stored.columns import ColumnsWriter
from rationale.settings import EvaluateSettings

WORDS = ("fine", "dull", "warm", "film", "plot", "cast", "song", "joke")


def made(
    scores: Mapping[str, Sequence[Sequence[float]]],
    gold: Sequence[set[int]],
    *,
    words: Sequence[Sequence[str]] | None = None,
    falls: Mapping[str, Sequence[float]] | None = None,
) -> tuple[Evaluation, Dataset]:
    """An evaluation under budget `gold`, and its data set.

    Args:
        scores: for each method the word scores of each example.
        gold: the words people marked in each example.
        words: the words of each example.
        falls: for each method how far each answer falls without the words; with them alone 0.1 further.
    """
    n_words = [len(row) for row in next(iter(scores.values()))]
    texts = words or [[WORDS[i % len(WORDS)] for i in range(n)] for n in n_words]
    ids = [f"e{i}" for i in range(len(gold))]
    documents = {name: Document(name, (tuple(text),)) for name, text in zip(ids, texts, strict=True)}
    examples = tuple(
        Example(
            name,
            (name,),
            "POS",
            gold=frozenset(frozenset({Evidence(name, Span(w, w + 1))}) for w in marked),
        )
        for name, marked in zip(ids, gold, strict=True)
    )
    dataset = Dataset("made", documents, {"test": examples})
    items = tuple(Item(e, dataset.text(e), dataset.truth(e), ()) for e in examples)

    def prediction(method: str, i: int) -> Prediction:
        fall = 0.2 if falls is None else falls[method][i]
        after = Ablation(0.5, {"NEG": 0.1 + fall, "POS": 0.9 - fall}, {"NEG": 0.2 + fall, "POS": 0.8 - fall})
        values = np.array(scores[method][i], dtype=float)
        rationale = top_words(values, len(gold[i]))
        return Prediction(ids[i], "POS", {"NEG": 0.1, "POS": 0.9}, values, rationale, after, (after,))

    predictions = {(m, "gold"): tuple(prediction(m, i) for i in range(len(ids))) for m in scores}
    settings = EvaluateSettings("made", "a/model", methods=tuple(scores), budgets=("gold",), fractions=(0.5,))
    ms = {method: (10.0**i,) * len(ids) for i, method in enumerate(scores)}
    none: dict[str, tuple[float | None, ...]] = {method: (None,) * len(ids) for method in scores}
    cpu = frozenset({"cpu"})
    return Evaluation(settings, ("gold",), items, predictions, ms, none, 0, 3, cpu, ("a note",)), dataset


Values = Mapping[str, tuple[float, ...]]  # by id of example


def run_folder(folder: Path, measured: Mapping[tuple[str, str, str], Values], **settings: object) -> Path:
    """A run's folder with what `rationale compare` reads; `measured` is by (metric, budget, method)."""
    folder.mkdir(parents=True)
    facts = {
        "settings": {"dataset": "made", "split": "test", "model": "m", "seed": 0} | settings,
        "intervals": "95 % percentile bootstrap",
    }
    (folder / "scores.json").write_text(json.dumps({"run": facts}))
    ids = list(dict.fromkeys(i for of_key in measured.values() for i in of_key))
    with ColumnsWriter(folder / "per_example.parquet") as writer:
        writer.add(ids, {key: [of_key.get(i) for i in ids] for key, of_key in measured.items()})
    return folder
