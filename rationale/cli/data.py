"""The command `rationale data import`."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from eraser.errors import Fault, InputError
from eraser.labels import SEVERAL, split_labels
from eraser.types import Dataset
from rationale.cli.options import Overwrite, Words
from rationale.cli.train import numbers
from rationale.process.terminal import say

MOST_LISTED = 50  # labels: numbers may be as many as rows
SplitFile = Annotated[
    Path | None, typer.Option(help="A .csv, .tsv, .json, .jsonl or .parquet file with this split's rows.")
]
File = Annotated[Path | None, typer.Option(help="One file with the rows of all splits, instead.")]
SplitColumn = Annotated[str | None, typer.Option(help="Of --file: the column with train, val or test.")]
Shares = Annotated[
    str | None,
    typer.Option(help="Of --file: shares of train, val, test, each label alike; default 0.8,0.1,0.1."),
]
IdColumn = Annotated[str | None, typer.Option("--id", help="Column; default id if there, or made.")]
RationaleColumn = Annotated[str | None, typer.Option(help="Column; default rationale if there.")]
QueryColumn = Annotated[str | None, typer.Option(help="Column; default query if there.")]
RationaleForm = Annotated[
    Literal["auto", "chars", "tokens", "marks", "none"],
    typer.Option(
        help="chars or tokens: a list of [start, end), end excluded, in characters or in words (white-space "
        "words; those of --words where most rationales fit only those); tokens: or a list with a 0 or 1 for "
        "each word; marks: in the text; auto: by the rows."
    ),
]


def import_command(  # noqa: PLR0913 (one option each)
    out: Annotated[Path, typer.Option(help="Folder to write; its name is the data set's.")],
    train: SplitFile = None,
    val: SplitFile = None,
    test: SplitFile = None,
    file: File = None,
    split_column: SplitColumn = None,
    split: Shares = None,
    seed: Annotated[int, typer.Option(help="Of the split by chance.")] = 0,
    text: Annotated[str, typer.Option(help="Column.")] = "text",
    label: Annotated[str, typer.Option(help="Column.")] = "label",
    id_column: IdColumn = None,
    rationale: RationaleColumn = None,
    query: QueryColumn = None,
    rationale_form: RationaleForm = "auto",
    words: Words = None,
    opening: Annotated[str, typer.Option("--open", help="Mark before marked words.")] = "[[",
    closing: Annotated[str, typer.Option("--close", help="Mark after them.")] = "]]",
    overwrite: Overwrite = False,
) -> None:
    """Turn your own CSV, TSV, JSON, JSONL or Parquet files into a data set in ERASER format."""
    from eraser.data.custom.read import WHOLE, Reading, read_own
    from eraser.data.custom.rows import Columns
    from eraser.data.write_eraser import BY, refuse_taken, write_eraser
    from eraser.files.owned import MANIFEST, clear, hash_of, is_done, read_made

    given = {"train": train, "val": val, "test": test, WHOLE: file}
    files = {name: path for name, path in given.items() if path is not None}
    _check_files(files, WHOLE, {"--split-column": split_column, "--split": split})
    columns = Columns(text, label, id_column, rationale, query, split_column)
    shares = tuple(numbers(split or "0.8,0.1,0.1"))
    how = Reading(columns, rationale_form, (opening, closing), shares, seed, words)
    if read_made(out) is None:
        refuse_taken(out)
    found = read_own(out.resolve().name, files, how)
    of = {**asdict(how), "content_of_files": {name: hash_of(path) for name, path in files.items()}}
    if is_done(out, BY, of, (), overwrite):
        say(f"already done: {out}")
        return
    if overwrite and (made := read_made(out)) is not None:
        refuse_taken(out, but={MANIFEST, *made.files})
        clear(out, made)
    write_eraser(found, out, of)
    _print_summary(found, out)


def _check_files(files: dict[str, Path], whole: str, options: dict[str, str | None]) -> None:
    """Refuse no file, two ways of splitting, and options of one file beside several."""
    told = [name for name, value in options.items() if value is not None]
    if not files or (whole in files and len(files) > 1):
        got = ", ".join(f"--{'file' if name == whole else name}" for name in files) or "none"
        raise InputError(Fault("--train, --val and --test files, or one --file", got))
    if told and whole not in files:
        raise InputError(Fault(f"{told[0]} only beside --file", f"--{', --'.join(files)}"))
    if len(told) > 1:
        raise InputError(Fault("one way to split", " and ".join(told)))


def _print_summary(found: Dataset, folder: Path) -> None:
    rows = sum(map(len, found.splits.values()))
    several = any(SEVERAL in label for label in found.labels)
    names = sorted({x for label in found.labels for x in _each(label, several)})
    say(f"{found.name}: {rows} rows, labels {_listed(names)}")
    for name, examples in found.splits.items():
        marked = sum(bool(e.gold) for e in examples)
        counts = Counter(x for e in examples for x in _each(e.label, several))
        by_label = _listed([f"{label} {counts[label]}" for label in names])
        say(f"  {name:6}rows {len(examples)} ({by_label})  with_rationale {marked}")
    for note in found.notes:
        say(f"  note: {note}")
    say(f"written: {folder}")
    data = ["--dataset", found.name, "--data", str(folder)]
    if {"train", "val"} <= found.splits.keys() and not several:
        backbone, model = "sentence-transformers/all-MiniLM-L6-v2", f"models/{found.name}-dense"
        command = ["rationale", "train", "dense", *data, "--backbone", backbone, "--out", model]
    else:
        split = list(found.splits)[-1]
        command = ["rationale", "evaluate", *data, "--model", "MODEL", "--split", split]
    say(f"next: {shlex.join(command)}")


def _each(label: str, several: bool) -> tuple[str, ...]:
    """Return the labels of a row."""
    return split_labels(label) if several else (label,)


def _listed(names: list[str]) -> str:
    """Return names, the first of them where they are very many."""
    more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
