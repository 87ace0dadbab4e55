"""A user's own CSV, TSV, JSON, JSONL or Parquet files → Dataset.

A row is a text, a label and, where annotators marked words, a rationale (custom/spans.py). What a word is,
is a setting (eraser/words.py); a document is a row's text as it is, under the row's id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from eraser.data.custom.rows import ColumnNames, Record, read_records
from eraser.data.custom.spans import (
    Form,
    Marked,
    check_spans,
    counts_words,
    form_of,
    read_marks,
    sentences_of,
)
from eraser.data.source import SPLITS
from eraser.errors import Fault, InputError, short_repr
from eraser.labels import SEVERAL, number_of
from eraser.progress import progress
from eraser.types import Dataset, Document, Evidence, Example, runs
from eraser.words import WordCutter, cutter_for

WHOLE = "row"  # in place of a split: a file with the rows of all splits
SPLIT_NAMES = {split: split for split in SPLITS} | dict.fromkeys(("validation", "valid", "dev"), "val")
T = TypeVar("T")


@dataclass(frozen=True)
class ImportOptions:
    """How to read files: their columns, the form of the rationales, and how to divide one file in three.

    `words` is what cuts the texts into words: where nobody says, white space, or, where most texts have none,
    single characters.

    Raises:
        InputError: settings that cannot be used, a fault each.
    """

    columns: ColumnNames = field(default_factory=ColumnNames)
    form: Form = "auto"
    marks: tuple[str, str] = ("[[", "]]")
    shares: tuple[float, ...] = (0.8, 0.1, 0.1)
    seed: int = 0
    words: WordCutter | None = None

    def __post_init__(self) -> None:
        faults = []
        if len(self.shares) != 3 or min(self.shares) < 0 or not self.shares[0] or _far(sum(self.shares), 1):
            expected = "three shares, for train, val and test, that sum to 1, the first above 0"
            faults.append(Fault(expected, _listed(self.shares)))
        if not all(mark.strip() for mark in self.marks):
            faults.append(Fault("an opening and a closing mark", short_repr(self.marks)))
        if not 0 <= self.seed < 2**32:
            faults.append(Fault("a seed from 0 to 4294967295", str(self.seed)))
        if self.form in ("marks", "none") and (column := self.columns.rationale) is not None:
            faults.append(Fault(f"no column of rationales, as their form is {self.form}", short_repr(column)))
        if faults:
            raise InputError(*faults)


def _far(one: float, other: float) -> bool:
    return not abs(one - other) < 1e-6  # also of NaN


def _listed(numbers: Iterable[float]) -> str:
    return ",".join(f"{n:g}" for n in numbers)


@dataclass(frozen=True)
class _Cutting:
    """What cuts texts into words, and into the words that rationales in tokens count; what to say of it."""

    words: WordCutter
    tokens: WordCutter
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """A row that is as it should be."""

    id: str
    split: str
    label: str
    query: str
    marked: Marked


# Rows → examples


def read_custom(name: str, files: Mapping[str, Path], how: ImportOptions) -> Dataset:
    """Read a user's own files.

    Args:
        name: what to call the data set.
        files: by split (train, val, test), or one file under WHOLE: divided by a column that names each
            row's split, or at random into `how.shares`, stratified by label.
        how: columns and forms.

    Raises:
        InputError: the faults of all files, in their order.
    """
    faults: list[Fault] = []
    records: list[Record] = []
    for split, path in files.items():
        try:
            records += read_records(split, path, how.columns, faults)
        except InputError as error:
            faults += error.faults
    places = list(files.values())
    faults += _twice(records)
    form = _form(records, how, faults) if records else how.form
    cut = _cutting(records, how, form)
    shown_records = progress(records, f"import {name}", "rows")
    entries = [e for record in shown_records if (e := _entry(record, how, form, cut, faults)) is not None]
    labels = {entry.label for entry in entries}
    if not faults and len(labels) < 2:
        faults.append(Fault("at least two labels", f"{labels.pop()!r} in every row", places[0]))
    if faults:
        faults.sort(key=lambda fault: (places.index(Path(fault.file or places[0])), fault.line or 0))
        raise InputError(*faults)
    notes: tuple[str, ...] = ()
    if WHOLE in files and how.columns.split is None:
        entries, notes = _divided(entries, how, files[WHOLE])
    told = (*_notes(records, entries, form, cut), *notes)
    return Dataset(name, *_examples(entries), told, cutter=cut.words)


def _twice(records: Sequence[Record]) -> Iterator[Fault]:
    first: dict[str, Record] = {}
    for record in records:
        if (before := first.setdefault(record.id, record)) is not record:
            message = f"duplicate id, first at {before.file}:{before.line}"
            yield from record.placed(Fault.of(message)).faults


def _form(records: Sequence[Record], how: ImportOptions, faults: list[Fault]) -> Form:
    """Return the form of the rationales; with a fault, `auto` if none can be told, `none` with no column."""
    column = how.columns.rationale or ("rationale" if how.form in ("chars", "tokens") else None)
    if column and not any("rationale" in record.columns for record in records):
        faults.append(Fault.of(f"no file has a column {column!r}", records[0].file))
        return "none"
    if how.form != "auto":
        return how.form
    rows = [(text if isinstance(text := r.fields["text"], str) else "", _told_later(r)) for r in records]
    if (form := form_of(rows, how.marks)) == "auto":
        message = "the rationales may be in characters or in words: choose --rationale-form chars or tokens"
        faults.append(Fault.of(message, records[0].file))
    return form


def _cutting(records: Sequence[Record], how: ImportOptions, form: Form) -> _Cutting:
    """Return what cuts texts into words, and into the words that rationales count.

    Those are the white-space words where most rationales can be read so, else the words themselves.
    """
    texts = [text for record in records if isinstance(text := record.fields["text"], str)]
    words, note = cutter_for(texts, how.words, "whitespace")
    counted: WordCutter = "whitespace"
    if form == "tokens" and words != "whitespace":
        given = [(r.fields["text"], _told_later(r)) for r in records if not r.is_blank("rationale")]
        fits = [counts_words(value, len(str(text).split())) for text, value in given]
        counted = "whitespace" if 2 * sum(fits) > len(fits) else words
        note = f"{note or f'words: {words}'}; rationales count words by {counted}"
    return _Cutting(words, counted, (note or f"words: {words}",) if note or how.words else ())


def _told_later(record: Record) -> Any:
    """Return a rationale, or what stands there if it cannot be read: a fault when the entry is made."""
    try:
        return record.rationale()
    except InputError:
        return record.fields["rationale"]


def _entry(
    record: Record, how: ImportOptions, form: Form, cut: _Cutting, faults: list[Fault]
) -> _Entry | None:
    """Return a row's entry, or None and its faults."""
    wrong: list[Fault] = []

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except InputError as error:
            wrong.extend(error.faults)
            return None

    text = tried(lambda: record.string("text"))
    label = tried(record.label)
    query = "" if record.is_blank("query") else tried(lambda: record.string("query"))
    split = tried(lambda: _split_of(record))
    marked = tried(lambda: _marked(record, text, how, form, cut))
    faults += wrong
    if text is None or label is None or query is None or split is None or marked is None:
        return None
    return _Entry(record.id, split, label, query, marked)


def _split_of(record: Record) -> str:
    if "split" not in record.columns:
        return record.split
    if (found := SPLIT_NAMES.get(record.string("split").lower())) is None:
        raise record.placed(Fault(f"a split of {', '.join(SPLIT_NAMES)}", short_repr(record.fields["split"])))
    return found


def _marked(record: Record, text: str | None, how: ImportOptions, form: Form, cut: _Cutting) -> Marked | None:
    """Return what is marked in a row's text; None where it has none, or the form could not be told."""
    value = None if form in ("marks", "none") else record.rationale()
    try:
        if text is None or form == "auto":
            check_spans(value, form)
            return None
        found = read_marks(text, value, form, how.marks, cut.words, cut.tokens)
    except InputError as error:
        raise record.placed(*error.faults) from None
    if not len(found.gold):
        raise record.placed(Fault("a text with words beside its marks", short_repr(text)))
    return found


def _divided(
    entries: Sequence[_Entry], how: ImportOptions, path: Path
) -> tuple[list[_Entry], tuple[str, ...]]:
    """Return the entries, in their order, with a split each, and what is to be told of it.

    By chance, every label in like shares; sets of labels and numbers, which may be too many for that, by
    chance alone.
    """
    labels = np.array([entry.label for entry in entries])
    notes: tuple[str, ...] = ()
    try:
        splits = _drawn(labels, labels, how)
    except ValueError:
        if not (any(SEVERAL in x for x in labels) or all(number_of(x) is not None for x in labels)):
            expected = f"rows of each label for each share of {_listed(how.shares)} (or --split-column)"
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


def _notes(records: Sequence[Record], entries: Sequence[_Entry], form: Form, cut: _Cutting) -> Iterator[str]:
    """Yield what the user should know of how the rows were read."""
    yield f"form of the rationales: {form}"
    yield from cut.notes
    if form in ("marks", "none") and not all(record.is_blank("rationale") for record in records):
        yield "the column of rationales was not read"
    spans = sum(e.marked.spans for e in entries)
    if wider := sum(e.marked.cut for e in entries):
        yield f"spans that begin or end inside a word, and mark all of it: {wider} of {spans}"
    if bare := sum(e.marked.bare for e in entries):
        yield f"spans that touch no word: {bare} of {spans}"
    texts = {s: {e.marked.text for e in entries if e.split == s} for s in SPLITS}
    for one, other in combinations(SPLITS, 2):
        if both := len(texts[one] & texts[other]):
            yield f"texts both in {one} and in {other}: {both}"
    labels = {s: {e.label for e in entries if e.split == s} for s in SPLITS}
    for split in SPLITS[1:]:
        if labels["train"] and (new := sorted(labels[split] - labels["train"])):
            yield f"labels in {split} and not in train: {', '.join(new)}"


def _examples(entries: Sequence[_Entry]) -> tuple[dict[str, Document], dict[str, tuple[Example, ...]]]:
    """Return documents and splits; what is marked in a text is one group, each run of words a span."""
    documents, splits = {}, {split: list[Example]() for split in SPLITS}
    for e in entries:
        documents[e.id] = Document(e.id, sentences_of(e.marked.text, e.marked.words), e.marked.text)
        group = frozenset(Evidence(e.id, span) for span in runs(e.marked.gold))
        gold = frozenset({group} if group else ())
        splits[e.split].append(Example(e.id, (e.id,), e.label, e.query, gold))
    return documents, {s: tuple(found) for s, found in splits.items() if found}
