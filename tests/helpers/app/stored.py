"""Run folders with the predictions of methods, of scores made by hand."""

from __future__ import annotations

import numpy as np

from eraser import Prediction
from eraser.files.whole import write_json
from tests.helpers.eraser.prediction_files import write_predictions

METHODS = ("lime", "attention", "mine")  # the last is of no method that this project has


def write_stored(folder, dataset, methods=METHODS, split="test", limit=6):
    """Predictions of a split's first examples: each word's score is its place, so the last words lead."""
    pairs = []
    for example in dataset.splits[split][:limit]:
        text = dataset.text(example)
        scores = np.arange(len(text.words), dtype=float)
        picked = scores >= len(scores) - 3
        probs = {"NEG": 0.25, "POS": 0.75}
        pairs.append((text, Prediction(example.id, "POS", probs, scores, picked)))
    for method in methods:
        write_predictions(folder / "predictions" / f"{method}.jsonl", pairs)
    settings = {"dataset": dataset.name, "split": split, "model": "a-model", "target": "gold"}
    write_json(folder / "scores.json", {"run": {"settings": settings, "budgets": ["ratio=0.2"]}})
    return folder
