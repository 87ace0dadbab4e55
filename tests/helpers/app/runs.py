"""Run folders as `rationale evaluate` leaves them, of numbers made by hand."""

from __future__ import annotations

from rationale.bench.dial import METRICS_SHOWN
from rationale.report.summary import tables_of
from rationale.report.write import write_tables
from tests.helpers.made_runs import made


def write(folder, methods=("survivors", "attention", "random")):
    """A run's folder as `rationale evaluate` writes its tables, from numbers made by hand."""
    scores = {m: [[3.0, 1.0, 2.0, 0.5 + i], [1.0, 3.0, 0.2, 2.0]] for i, m in enumerate(methods)}
    evaluation, _ = made(scores, [{0}, {1, 3}])
    tables = tables_of(evaluation)
    facts = {
        "settings": {
            "dataset": "made", "split": "test", "limit": None, "sample": None, "long_texts": "window",
            "replace": "delete", "ig_steps": 20, "seed": 0,
        },
        "budgets": ["gold"], "examples": 2, "with_human_evidence": 2, "words": 8, "words_unread": 0,
        "device": "cpu", "intervals": "95 % percentile bootstrap", "notes": [],
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_tables(tables, facts, folder)
    return folder


DIAL = {
    "dial": [0.0, 1.0], "speedup": [1.0, 3.0], "layer_0": [9.0, 5.0], "layer_1": [9.0, 2.0],
    **{f"{m}{s}": [0.8, 0.7] for m in METRICS_SHOWN for s in ("", "_low", "_high")},
    **{f"{m}_n": [5, 5] for m in METRICS_SHOWN},
}  # fmt: skip


SPEEDS = {
    "model": ["dense", "m"], "flops": [1.0, 3.0], "wall": [1.0, 2.5], "n": [5, 5],
    "accuracy": [0.9, 0.8], "accuracy_low": [0.8, 0.7], "accuracy_high": [1.0, 0.9],
}  # fmt: skip
