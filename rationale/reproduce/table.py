"""The table: results of each data set's models beside the paper's; CSV and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from eraser import Dataset
from rationale.reproduce.sets import SETS, Limits, PublishedSet

NOT_RUN, NOT_MEASURED = "not run", "not measured"
COLUMNS = (
    "dataset", "model", "paper_flops", "flops", "wall", "wall_low", "wall_high", "onnx_int8",
    "accuracy_dense", "accuracy", "accuracy_low", "accuracy_high", "loss", "loss_low", "loss_high",
    "n_train", "n_val", "n_test", "of_train", "of_test", "tokens", "where",
)  # fmt: skip
HEADS = (
    "data set", "model", "texts: train, val, test", "accuracy, dense", "accuracy", "points lost",
    "FLOPs", "paper's FLOPs", "clock, PyTorch", "clock, ONNX int8", "tokens in each layer",
)  # fmt: skip


def rows_of(
    name: str, of: PublishedSet, dataset: Dataset, sizes: Limits, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the table's rows of a data set.

    Args:
        name: the data set's name.
        of: its published figures.
        dataset: the texts that were used.
        sizes: the total number of texts in train (val included) and in test.
        rows: the measurements, the dense model first.
    """
    dense, *others = rows
    counts = {f"n_{split}": len(examples) for split, examples in dataset.splits.items()}
    same = {"dataset": name, "paper_flops": of.speedup, "accuracy_dense": dense["accuracy"], **counts}
    same |= {"of_train": sizes.train, "of_test": sizes.test, "onnx_int8": None}
    return [{column: {**row, **same}.get(column) for column in COLUMNS} for row in others]


def as_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return all rows in the paper's order; a data set without rows is marked as not run."""
    missing = [
        {"dataset": name, "model": NOT_RUN, "paper_flops": of.speedup}
        for name, of in SETS.items()
        if name not in {row["dataset"] for row in rows}
    ]
    ordered = sorted([*rows, *missing], key=lambda row: list(SETS).index(row["dataset"]))
    return pd.DataFrame(ordered, columns=list(COLUMNS))


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown; brackets: 95 % intervals, or the slowest and fastest round."""
    lines = [HEADS, ("---",) * len(HEADS), *map(_cells, table.to_dict("records"))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    paper = f"{row['paper_flops']:.2f}×"
    if row["model"] == NOT_RUN:
        empty = ("–",) * (len(HEADS) - 3)
        return row["dataset"], NOT_RUN, *empty[:5], paper, *empty[5:-1], "–"
    onnx = NOT_MEASURED if pd.isna(row["onnx_int8"]) else f"{row['onnx_int8']:.2f}×"
    return (
        row["dataset"],
        row["model"],
        _texts(row),
        f"{row['accuracy_dense']:.3f}",
        f"{row['accuracy']:.3f} [{row['accuracy_low']:.3f}, {row['accuracy_high']:.3f}]",
        _points(row),
        f"{row['flops']:.2f}×",
        paper,
        f"{row['wall']:.2f}× [{row['wall_low']:.2f}, {row['wall_high']:.2f}]",
        onnx,
        row["tokens"],
    )


def _texts(row: Mapping[str, Any]) -> str:
    """Return how many texts were used, and out of how many if not all."""
    read = {"train": int(row["n_train"]) + int(row["n_val"]), "test": int(row["n_test"])}
    part = [
        f"{read[split]:,} of {int(row[f'of_{split}']):,} of {split}"
        for split in read
        if read[split] < int(row[f"of_{split}"])
    ]
    counts = ", ".join(f"{int(row[f'n_{split}']):,}" for split in ("train", "val", "test"))
    return f"{counts} ({'; '.join(part)})" if part else counts


def _points(row: Mapping[str, Any]) -> str:
    value, low, high = (100 * row[name] for name in ("loss", "loss_low", "loss_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]".replace("-", "−")
