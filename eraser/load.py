"""A data set's name and place → Dataset, whichever format it is in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from eraser.data.catalog import cached
from eraser.data.eraser_format import load_eraser
from eraser.data.hatexplain import is_hatexplain, load_hatexplain
from eraser.data.source import Source
from eraser.errors import Fault, InputError
from eraser.types import Dataset

SAMPLE = Path(__file__).parent / "sample"


def load(name: str, path: str | Path | None = None, splits: Iterable[str] | None = None) -> Dataset:
    """Load a data set: ERASER format, or HateXplain's own two JSON files where they are found.

    Args:
        name: what to call it; `sample` needs no path.
        path: folder or .tar.gz archive.
        splits: which splits; default all that are there.
    """
    if path is None:
        path = SAMPLE if name == "sample" else cached(name)
    source = Source(Path(path))
    if is_hatexplain(source):
        return _only(load_hatexplain(source, name), splits)
    return load_eraser(source, name, splits)


def _only(dataset: Dataset, splits: Iterable[str] | None) -> Dataset:
    wanted = tuple(splits or dataset.splits)
    if missing := sorted(set(wanted) - set(dataset.splits)):
        raise InputError(*(Fault.of("no posts in this split", dataset.source, None, s) for s in missing))
    return replace(dataset, splits={s: dataset.splits[s] for s in wanted})
