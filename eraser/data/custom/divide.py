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
    sizes = _sizes(len(labels), how.fractions)
    enough = all(size > 0 for share, size in zip(how.fractions, sizes, strict=True) if share > 0)
    try:
        if not enough:
            raise ValueError
        splits, notes = _drawn(sizes, labels, how.seed), []
    except ValueError:
        _check_rows(labels, enough, how, path)
        splits = _drawn(sizes, None, how.seed)
        notes = ["rows were split at random, not stratified: some labels are too rare"]
    return [replace(e, split=split) for e, split in zip(entries, splits, strict=True)], tuple(notes)


def _check_rows(labels: NDArray[np.str_], enough: bool, how: ImportOptions, path: Path) -> None:
    """Refuse what cannot be divided in like shares of each label, unless chance alone may and can do it."""
    shares = f"share of {listed_numbers(how.fractions)}"
    if not (any(SEVERAL in x for x in labels) or all(number_of(x) is not None for x in labels)):
        counts = ", ".join(f"{n} of {label!r}" for label, n in sorted(Counter(labels.tolist()).items()))
        raise InputError(Fault(f"rows of each label for each {shares} (or --split-column)", counts, path))
    if not enough:
        expected = f"a row at least for each {shares} (--test takes all rows of a file as one split)"
        raise InputError(Fault(expected, f"{len(labels)} rows", path))


def _sizes(n_rows: int, shares: Sequence[float]) -> tuple[int, int, int]:
    """Return how many rows train, val and test get."""
    val, test = (round(share * n_rows) for share in shares[1:])
    return n_rows - val - test, val, test


def _drawn(sizes: tuple[int, int, int], alike: NDArray[np.str_] | None, seed: int) -> list[str]:
    """Return a split for each row, the labels of `alike` in like shares."""
    from sklearn.model_selection import train_test_split  # slow to import

    rest, splits = np.arange(sum(sizes)), ["train"] * sum(sizes)
    for split, size in zip(("val", "test"), sizes[1:], strict=True):
        if size == 0:
            continue
        of_rest = None if alike is None else alike[rest]
        rest, picked = train_test_split(rest, test_size=size, stratify=of_rest, random_state=seed)
        for i in picked:
            splits[i] = split
    return splits
