"""A model beside common runtimes, as lines of text."""

from __future__ import annotations

import pandas as pd

from rationale.bench.side_by_side import SideBySide

DENSE = "dense"


def names_of(table: pd.DataFrame) -> list[str]:
    """Return the name of each row: its way, preceded by its model if there are several."""
    several = table[table.ours].model.nunique() > 1
    return [
        f"{model}: {title}" if several and model != DENSE else str(title)
        for model, title in zip(table.model, table.title, strict=True)
    ]


def as_text(found: SideBySide) -> str:
    """Return the table with its header and what was left out; `>` marks our ways."""
    table = found.table
    names = [f"{'>' if ours else ' '} {n}" for ours, n in zip(table.ours, names_of(table), strict=True)]
    width = max(map(len, names))
    shown = pd.DataFrame({
        "way".center(width): [name.ljust(width) for name in names],
        "p50 ms ↓": [f"{x:.2f}" for x in table.p50_ms],
        "p99 ms ↓": [f"{x:.2f}" for x in table.p99_ms],
        "times ↑": _with_ends(table, "faster_alone", 2),
        "windows/s ↑": [f"{x:.1f}" for x in table.windows_per_s],
        "times ↑ ": _with_ends(table, "faster_batched", 2),
        "same class ↑": [f"{x:.3f}" for x in table.agreement],
    })  # fmt: skip
    if "accuracy" in table:
        shown["accuracy ↑"] = _with_ends(table, "accuracy", 3)
        shown["loss ↓"] = _with_ends(table, "loss", 3)
    lines = [
        found.where,
        "> ours; times: faster than Hugging Face's float32 pass, [least, most] of the rounds; "
        "same class: as it gives a window",
        shown.to_string(index=False),
        *found.verdicts,
        *found.skipped,
    ]
    return "\n".join(lines)


def _with_ends(table: pd.DataFrame, column: str, places: int) -> list[str]:
    """Return a column's values with their intervals."""
    rows = zip(table[column], table[f"{column}_low"], table[f"{column}_high"], strict=True)
    return [f"{value:.{places}f} [{low:.{places}f}, {high:.{places}f}]" for value, low, high in rows]
