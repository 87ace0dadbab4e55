"""{train,test}.csv → a data set with val split off train, reduced to limits where they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eraser import Dataset, Example, Fault, InputError
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.tables import rows_of
from eraser.data.write_eraser import BY, refuse_taken, write_eraser
from eraser.files.owned import hash_of, is_done
from eraser.load import load
from eraser.types import Document
from rationale.reproduce.sets import Limits

SPLITS = ("train", "test")  # of the files; val comes off train
VAL_SHARE = 0.1  # of train that becomes val, unless limits allow fewer


def prepare(source: Path, out: Path, pairs: bool, limits: Limits, seed: int = 0) -> Dataset:
    """Return the data set of a folder with train.csv and test.csv, first written to `out` if it is not there.

    Columns are text and label; with `pairs` also text2, which is read after text. Texts of train that are
    also in test are left out; val is drawn from train. A folder with train.jsonl is a data set in ERASER
    format: it is read as it is, with its own val split.

    Raises:
        InputError: a file is missing or cannot be read, or `out` holds something else.
    """
    limits.check()
    if (source / "train.jsonl").is_file():
        return limited(load(None, source), limits, seed)
    files = {split: source / f"{split}.csv" for split in SPLITS}
    if missing := [file for file in files.values() if not file.is_file()]:
        raise InputError(Fault.of("no such file", missing[0]))
    of = {"pairs": pairs, "limits": asdict(limits), "seed": seed}
    of |= {f"content_of_{split}": hash_of(file) for split, file in files.items()}
    if not is_done(out, BY, of, (source,)):
        refuse_taken(out)
        columns = ColumnNames("text2", query="text") if pairs else ColumnNames()
        how = ImportOptions(columns)
        train, test = (read_custom(out.name, {split: file}, how) for split, file in files.items())
        write_eraser(divided(train, test, limits, seed), out, of)
    return load(None, out)


def sizes_of(source: Path) -> Limits:
    """Return how many texts a data set has in train (val included) and in test."""
    if (source / "train.jsonl").is_file():
        splits = load(None, source).splits
        return Limits(len(splits["train"]) + len(splits["val"]), len(splits["test"]), None)
    train, test = (sum(1 for _ in rows_of(source / f"{split}.csv")) for split in SPLITS)
    return Limits(train, test, None)


def limited(dataset: Dataset, limits: Limits, seed: int) -> Dataset:
    """Return a data set with no more texts of train and test than `limits`, drawn at random."""
    most = {"train": limits.train, "val": limits.val, "test": limits.test}
    splits = {s: _some(dataset.examples(s), n, seed) for s, n in most.items()}
    return replace(dataset, splits=splits)


def divided(train: Dataset, test: Dataset, limits: Limits, seed: int) -> Dataset:
    """Return train and test as one data set, with val drawn from train and no more texts than `limits`."""
    seen = {_read(test, e) for e in test.splits["test"]}
    new = [e for e in train.splits["train"] if _read(train, e) not in seen]
    order = np.random.default_rng(seed).permutation(len(new))
    n_val = min(round(VAL_SHARE * len(new)), limits.val or len(new))
    chosen = {
        "train": (train, _at(new, order[n_val:][: limits.train])),
        "val": (train, _at(new, order[:n_val])),
        "test": (test, _some(test.splits["test"], limits.test, seed)),
    }
    parts = [_renamed(of, split, examples) for split, (of, examples) in chosen.items()]
    documents = {id: document for part, _ in parts for id, document in part.items()}
    splits = {split: found for split, (_, found) in zip(chosen, parts, strict=True)}
    return Dataset(test.name, documents, splits, cutter=test.cutter)


def _read(dataset: Dataset, example: Example) -> tuple[str | None, tuple[str, ...]]:
    """Return what a model reads of an example."""
    return example.query, dataset.text(example).words


def _at(examples: Sequence[Example], order: NDArray[np.int64]) -> list[Example]:
    return [examples[i] for i in order]


def _some(examples: Sequence[Example], limit: int | None, seed: int) -> list[Example]:
    """Return `limit` examples drawn at random, in their original order; all if there are no more."""
    drawn = np.random.default_rng(seed).permutation(len(examples))[:limit]
    return _at(examples, np.sort(drawn))


def _renamed(
    dataset: Dataset, split: str, examples: Sequence[Example]
) -> tuple[dict[str, Document], tuple[Example, ...]]:
    """Return examples and their documents under ids that no other split has."""
    documents = {f"{split}-{e.id}": dataset.documents[e.doc_ids[0]] for e in examples}
    found = [replace(e, id=f"{split}-{e.id}", doc_ids=(f"{split}-{e.id}",)) for e in examples]
    return {id: replace(document, id=id) for id, document in documents.items()}, tuple(found)
