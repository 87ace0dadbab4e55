"""The command `rationale data import`."""

from __future__ import annotations

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
from rationale.process.terminal import say, say_next

MOST_LISTED = 50  # labels: numbers may be as many as rows
SplitFile = Annotated[
    Path | None, typer.Option(help="A .csv, .tsv, .json, .jsonl or .parquet file of this split.")
]
File = Annotated[
    Path | None, typer.Option(help="One file with the rows of all splits, instead of one per split.")
]
SplitColumn = Annotated[str | None, typer.Option(help="Column of --file that says train, val or test.")]
Fractions = Annotated[
    str | None,
    typer.Option(help="Train, val and test fractions for --file, stratified by label; default 0.8,0.1,0.1."),
]
IdColumn = Annotated[
    str | None,
    typer.Option("--id", help="Column of the ids; by default id if there is one, else ids are made."),
]
RationaleColumn = Annotated[
    str | None, typer.Option(help="Column of the rationales; by default rationale if there is one.")
]
QueryColumn = Annotated[
    str | None, typer.Option(help="Column of the queries; by default query if there is one.")
]
RationaleForm = Annotated[
    Literal["auto", "chars", "tokens", "marks", "none"],
    typer.Option(
        help="Format of the rationales. chars, tokens: lists of [start, end), end excluded, in characters or "
        "in words (between white space, or as cut by --words if most rationales fit only those); tokens also "
        "takes a list with a 0 or 1 per word; marks: marked in the text; auto: detected from the rows."
    ),
]


def import_command(  # noqa: PLR0913 (one option each)
    out: Annotated[Path, typer.Option(help="Folder to write; its name is the data set's.")],
    train: SplitFile = None,
    val: SplitFile = None,
    test: SplitFile = None,
    file: File = None,
    split_column: SplitColumn = None,
    fractions: Fractions = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split by --fractions.")] = 0,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    id_column: IdColumn = None,
    rationale: RationaleColumn = None,
    query: QueryColumn = None,
    rationale_form: RationaleForm = "auto",
    words: Words = None,
    opening: Annotated[str, typer.Option("--open", help="Mark before the words of a rationale.")] = "[[",
    closing: Annotated[str, typer.Option("--close", help="Mark after the words of a rationale.")] = "]]",
    overwrite: Overwrite = False,
) -> None:
    """Turn your own CSV, TSV, JSON, JSONL or Parquet files into a data set in ERASER format."""
    from eraser.data.custom.read import WHOLE, ImportOptions, read_custom
    from eraser.data.custom.rows import ColumnNames
    from eraser.data.write_eraser import BY, refuse_taken, write_eraser
    from eraser.files.owned import MANIFEST, clear, hash_of, is_done, read_made

    given = {"train": train, "val": val, "test": test, WHOLE: file}
    files = {name: path for name, path in given.items() if path is not None}
    _check_files(files, WHOLE, {"--split-column": split_column, "--fractions": fractions})
    columns = ColumnNames(text, label, id_column, rationale, query, split_column)
    shares = tuple(numbers(fractions or "0.8,0.1,0.1"))
    how = ImportOptions(columns, rationale_form, (opening, closing), shares, seed, words)
    if read_made(out) is None:
        refuse_taken(out)
    found = read_custom(out.resolve().name, files, how)
    of = {**asdict(how), "content_of_files": {name: hash_of(path) for name, path in files.items()}}
    if is_done(out, BY, of, (), overwrite):
        say(f"already done: {out}")
        say_next(*first_command(found, out))
        return
    if overwrite and (made := read_made(out)) is not None:
        refuse_taken(out, but={MANIFEST, *made.files})
        clear(out, made)
    write_eraser(found, out, of)
    _print_summary(found, out)


def _check_files(files: dict[str, Path], whole: str, options: dict[str, str | None]) -> None:
    """Refuse no file, two ways of splitting, and options of one file beside several."""
    given = [name for name, value in options.items() if value is not None]
    if not files or (whole in files and len(files) > 1):
        got = ", ".join(f"--{'file' if name == whole else name}" for name in files) or "none"
        raise InputError(Fault("--train, --val and --test files, or one --file", got))
    if given and whole not in files:
        raise InputError(Fault.of(f"{given[0]} needs --file; it cannot be used with --{', --'.join(files)}"))
    if len(given) > 1:
        raise InputError(Fault.of(f"choose one way to split: {' or '.join(given)}"))


def _print_summary(found: Dataset, folder: Path) -> None:
    rows = sum(map(len, found.splits.values()))
    several = any(SEVERAL in label for label in found.labels)
    names = sorted({x for label in found.labels for x in _each(label, several)})
    say(f"{found.name}: {rows} rows, labels {listed(names)}")
    for name, examples in found.splits.items():
        marked = sum(bool(e.gold) for e in examples)
        counts = Counter(x for e in examples for x in _each(e.label, several))
        by_label = listed([f"{label} {counts[label]}" for label in names])
        say(f"  {name:6}rows {len(examples)} ({by_label})  with_rationale {marked}")
    for note in found.notes:
        say(f"  note: {note}")
    say(f"written: {folder}")
    say_next(*first_command(found, folder))


def first_command(found: Dataset, folder: Path | None, name: str | None = None) -> list[str]:
    """Return what to do first with a data set: train a model on it, or score one where it cannot."""
    data = ["--dataset", name or found.name, *([] if folder is None else ["--data", str(folder)])]
    several = any(SEVERAL in label for label in found.labels)
    if {"train", "val"} <= found.splits.keys() and not several:
        backbone, model = "sentence-transformers/all-MiniLM-L6-v2", f"models/{found.name}-dense"
        return ["train", "dense", *data, "--backbone", backbone, "--out", model]
    return ["evaluate", *data, "--model", "MODEL", "--split", list(found.splits)[-1]]


def _each(label: str, several: bool) -> tuple[str, ...]:
    """Return the labels of a row."""
    return split_labels(label) if several else (label,)


def listed(names: list[str]) -> str:
    """Return names, the first of them where they are very many."""
    more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
