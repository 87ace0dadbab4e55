"""One file of rows → train, val and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eraser.data.custom.entries import Entry
from eraser.data.custom.options import ImportOptions, listed_numbers
from eraser.errors import Fault, InputError
from eraser.labels import SEVERAL, number_of


def divided(entries: Sequence[Entry], how: ImportOptions, path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    """Return the entries, in their order, with a split each, and notes.

    Random and stratified by label; sets of labels and numbers, of which there may be too many, just random.
    """
    labels = np.array([entry.label for entry in entries])
    notes: tuple[str, ...] = ()
    try:
        splits = _drawn(labels, labels, how)
    except ValueError:
        if not (any(SEVERAL in x for x in labels) or all(number_of(x) is not None for x in labels)):
            expected = (
                f"rows of each label for each share of {listed_numbers(how.shares)} (or --split-column)"
            )
            counts = ", ".join(f"{n} of {label!r}" for label, n in sorted(Counter(labels.tolist()).items()))
            raise InputError(Fault(expected, counts, path)) from None
        splits = _drawn(labels, None, how)
        notes = ("rows were split at random, not stratified: some labels are too rare",)
    return [replace(e, split=split) for e, split in zip(entries, splits, strict=True)], notes


def _drawn(labels: NDArray[np.str_], alike: NDArray[np.str_] | None, how: ImportOptions) -> list[str]:
    """Return a split for each row, the labels of `alike` in like shares."""
    from sklearn.model_selection import train_test_split  # slow to import

    rest, splits = np.arange(len(labels)), ["train"] * len(labels)
    for split, share in zip(("val", "test"), how.shares[1:], strict=True):
        size = round(share * len(labels))
        if share == 0:
            continue
        of_rest = None if alike is None else alike[rest]
        rest, picked = train_test_split(rest, test_size=size, stratify=of_rest, random_state=how.seed)
        for i in picked:
            splits[i] = split
    return splits
