"""The table of the forms that data sets are written in, and the writing. To add one: a function and a line.

What is written is read again by `rationale data import`, with the options that `EXPORTS` names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from eraser.data.export.records import ID, ExportRecord, argilla, doccano, label_studio, prodigy, row
from eraser.data.export.suggestions import Suggested
from eraser.data.export.tasks import Tally, Task, tasks_of
from eraser.errors import Fault, InputError, short_repr
from eraser.files.whole import whole
from eraser.progress import progress
from eraser.types import Dataset

BATCH = 1024  # rows that are held at once


def _json(path: Path, records: Iterable[ExportRecord]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, record in enumerate(records):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")


def _json_lines(path: Path, records: Iterable[ExportRecord]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _parquet(path: Path, records: Iterable[ExportRecord]) -> None:
    import pyarrow as pa  # comes with the models
    from pyarrow import parquet

    texts = [(name, pa.string()) for name in ("id", "text", "label", "query", "split", "annotator")]
    schema = pa.schema([*texts, ("rationale", pa.list_(pa.list_(pa.int64())))])
    with parquet.ParquetWriter(path, schema) as writer:
        rest = iter(records)
        while rows := list(islice(rest, BATCH)):
            writer.write_table(pa.Table.from_pylist(rows, schema))


@dataclass(frozen=True)
class Export:
    """How a form is written, and the options by which `data import` reads it again."""

    records: Callable[[Task, str | None, Sequence[str]], Iterator[ExportRecord]]
    write: Callable[[Path, Iterable[ExportRecord]], None]
    ending: str
    options: tuple[str, ...]
    apart: bool = True  # whether annotators are


EXPORTS: dict[str, Export] = {
    "label-studio": Export(label_studio, _json, ".json", ("--form", "label-studio", "--id", ID)),
    "doccano": Export(doccano, _json_lines, ".jsonl", ("--form", "doccano", "--id", ID), apart=False),
    "prodigy": Export(prodigy, _json_lines, ".jsonl", ("--form", "prodigy")),
    "argilla": Export(argilla, _json, ".json", ("--form", "argilla")),
    "parquet": Export(row, _parquet, ".parquet", ("--form", "table", "--rationale-form", "chars")),
}


@dataclass(frozen=True)
class Written:
    """What was written: how many texts, what is to be told of it, and the options that read it again."""

    texts: int
    notes: tuple[str, ...]
    options: tuple[str, ...]


def export(
    dataset: Dataset,
    form: str,
    out: Path,
    splits: Sequence[str] = (),
    suggested: tuple[str, Mapping[str, Suggested]] | None = None,
) -> Written:
    """Write a data set in the form of an annotation tool.

    Args:
        dataset: any.
        form: a name of EXPORTS.
        out: the file, which is not there yet.
        splits: which splits; all where none are named.
        suggested: the name of a method and what it said, to be corrected, in place of what annotators marked.

    Raises:
        InputError: there is no such form or split, the file exists or has another ending, or no text is left.
    """
    how = _checked(dataset, form, out, splits)
    by, suggestions = (None, None) if suggested is None else suggested
    tally = Tally()
    tasks = tasks_of(dataset, splits or tuple(dataset.splits), tally, suggestions)
    first = next(tasks, None)
    if first is None:
        raise InputError(Fault.of("no text to write: the predictions are of other texts", out))
    counted = _Counted(chain([first], tasks), how.apart)
    with whole(out) as partial:
        how.write(partial, (r for task in counted for r in how.records(task, by, dataset.labels)))
    more = ("--words", dataset.cutter or "whitespace", "--split-column", "split")
    query = ("--query", "query") if counted.queries else ()
    return Written(counted.texts, (*counted.notes, *tally.notes()), (*how.options, *more, *query))


class _Counted:
    """Tasks, counted as they go by."""

    def __init__(self, tasks: Iterable[Task], apart: bool) -> None:
        self.tasks, self.apart = tasks, apart
        self.texts = self.queries = self.joined = 0

    def __iter__(self) -> Iterator[Task]:
        for task in progress(self.tasks, "export", "texts"):
            self.texts += 1
            self.queries += task.query is not None
            self.joined += bool(task.annotators) and not self.apart
            yield task

    @property
    def notes(self) -> list[str]:
        what = "texts whose annotators are written as one, as the form has no place for them"
        return [f"{what}: {self.joined}"] if self.joined else []


def _checked(dataset: Dataset, form: str, out: Path, splits: Sequence[str]) -> Export:
    if form not in EXPORTS:
        raise InputError(Fault(f"a form of {', '.join(EXPORTS)}", short_repr(form)))
    if missing := [split for split in splits if split not in dataset.splits]:
        expected = f"a split of {', '.join(dataset.splits)}"
        raise InputError(*(Fault(expected, short_repr(split), dataset.source) for split in missing))
    if out.suffix.lower() != EXPORTS[form].ending:
        raise InputError(
            Fault(f"a {EXPORTS[form].ending} file for the form {form}", short_repr(out.name), out)
        )
    if out.exists() or out.is_symlink():
        raise InputError(Fault.of("a file of this name exists; choose another --out", out))
    return EXPORTS[form]
