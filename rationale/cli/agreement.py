"""How far a data set's annotators agree, as lines to print and as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from eraser.metrics.annotators import Others, human_ceiling
from eraser.types import Dataset
from rationale.process.terminal import digits

RULES: tuple[Others, ...] = ("union", "majority")


def agreement_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Return a row for each split, rule and metric: each annotator scored against the others.

    Where no text has more than two annotators, the two rules are one.
    """
    rows = []
    for split, examples in dataset.splits.items():
        most = max((len(e.annotators) for e in examples), default=0)
        for rule in RULES[: min(most, 3) - 1] if most > 1 else ():
            scores = human_ceiling(dataset, examples, others=rule)
            rows += [{"split": split, "others": rule, **asdict(score)} for score in scores]
    return rows


def agreement_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the table's lines; none without rows."""
    if not rows:
        return
    yield (
        "  each annotator against the others, 95 % interval over texts; left out are texts that fewer than two "
        "marked, or where the metric is undefined:"
    )
    for row in rows:
        interval = f"{digits(row['value'])} [{digits(row['low'])}, {digits(row['high'])}]"
        counts = f"n {row['n']}  left out {row['left_out']}"
        yield f"  {row['split']:6}{row['others']:9} {row['metric']:20} {interval:22} {counts}"
