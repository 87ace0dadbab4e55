"""The commands `rationale data import` and `rationale data export`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eraser.errors import Fault, InputError
from eraser.labels import SEVERAL, split_labels
from eraser.types import Dataset
from rationale.cli.options import Encoding, Overwrite, Separator, SkipInvalid, Words
from rationale.cli.train import numbers
from rationale.process.terminal import digits, say, say_next

if TYPE_CHECKING:
    from eraser.data.export.suggestions import Suggested

MOST_LISTED = 50  # labels: numbers may be as many as rows
SplitFile = Annotated[
    Path | None,
    typer.Option(
        help="A .csv, .tsv, .xlsx, .json, .jsonl or .parquet file of this split, or an export (--form)."
    ),
]
File = Annotated[
    Path | None,
    typer.Option(help="One file, or export, with the rows of all splits, instead of one per split."),
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
    str | None,
    typer.Option(
        help="Column of the rationales, by default rationale if there is one; or the columns of several "
        "annotators, comma-separated."
    ),
]
QueryColumn = Annotated[
    str | None, typer.Option(help="Column of the queries; by default query if there is one.")
]
RationaleForm = Annotated[
    Literal["auto", "chars", "tokens", "quotes", "marks", "none"],
    typer.Option(
        help="Format of the rationales. chars, tokens: lists of [start, end), end excluded, in characters or "
        "in words (between white space, or as cut by --words if most rationales fit only those); tokens also "
        "takes a list with a 0 or 1 per word; quotes: words that stand in the text; marks: marked in it; "
        "auto: detected from the rows."
    ),
]
FileForm = Annotated[
    str,
    typer.Option(
        help="Form of the files: label-studio, label-studio-min (or CSV), prodigy, doccano, argilla, spacy, "
        "webanno (also INCEpTION), brat (a folder), bio (lines of tokens with tags), annotators (rows with a "
        "list of them); table: rows with columns; auto: detected."
    ),
]
AnnotatorColumn = Annotated[
    str | None,
    typer.Option(
        "--annotator",
        help="Column of the annotators, by default annotator if there is one: rows of one id, or without ids "
        "of one text, are several annotators' of one text.",
    ),
]
SpanLabels = Annotated[
    str | None,
    typer.Option(help="Labels of the spans that are evidence, comma-separated; by default all are."),
]
LabelFrom = Annotated[
    Literal["field", "spans", "folder"],
    typer.Option(
        help="Where the class of a text is: in the field that --label names; the labels of its spans (none "
        "where it has no span); the name of the folder that its file lies in."
    ),
]
Offsets = Annotated[
    Literal["auto", "codepoints", "utf16", "bytes", "tokens"],
    typer.Option(
        help="What spans count: code points (as Python does), UTF-16 units (as browsers do), bytes of UTF-8, "
        "or tokens (the data set's words); auto: what fits the words that the file gives beside the spans, "
        "else code points."
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
    form: FileForm = "auto",
    rationale_form: RationaleForm = "auto",
    annotator: AnnotatorColumn = None,
    span_labels: SpanLabels = None,
    label_from: LabelFrom = "field",
    offsets: Offsets = "auto",
    skip_invalid: SkipInvalid = False,
    encoding: Encoding = None,
    separator: Separator = None,
    words: Words = None,
    opening: Annotated[str, typer.Option("--open", help="Mark before the words of a rationale.")] = "[[",
    closing: Annotated[str, typer.Option("--close", help="Mark after the words of a rationale.")] = "]]",
    overwrite: Overwrite = False,
) -> None:
    """Turn your own tables, or exports of annotation tools, into a data set in ERASER format."""
    from eraser.data.custom.options import ColumnNames, ImportOptions
    from eraser.data.custom.read import WHOLE, read_custom
    from eraser.data.write_eraser import BY, refuse_taken, write_eraser
    from eraser.files.content import content_at
    from eraser.files.owned import MANIFEST, clear, is_done, read_made

    given = {"train": train, "val": val, "test": test, WHOLE: file}
    files = {name: path for name, path in given.items() if path is not None}
    _check_files(files, WHOLE, {"--split-column": split_column, "--fractions": fractions})
    columns = ColumnNames(text, label, id_column, rationale, query, split_column, annotator)
    shares = tuple(numbers(fractions or "0.8,0.1,0.1"))
    chosen = tuple(name.strip() for name in (span_labels or "").split(",") if name.strip())
    how = ImportOptions(
        columns, rationale_form, (opening, closing), shares, seed, words, form, offsets, chosen, label_from,
        skip_invalid, encoding, separator,
    )  # fmt: skip
    if read_made(out) is None:
        refuse_taken(out)
    found = read_custom(out.resolve().name, files, how)
    of = {**how.as_record(), "content_of_files": {name: content_at(path) for name, path in files.items()}}
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
    """Refuse no files, two ways of splitting, and options of --file beside --train, --val or --test."""
    given = [name for name, value in options.items() if value is not None]
    if not files or (whole in files and len(files) > 1):
        got = ", ".join(f"--{'file' if name == whole else name}" for name in files) or "none"
        raise InputError(Fault("--train, --val and --test files, or one --file", got))
    if given and whole not in files:
        raise InputError(Fault.of(f"{given[0]} needs --file; it cannot be used with --{', --'.join(files)}"))
    if len(given) > 1:
        raise InputError(Fault.of(f"choose one way to split: {' or '.join(given)}"))


def _print_summary(found: Dataset, folder: Path) -> None:
    from eraser.metrics.annotators import agreement_rows

    rows = sum(map(len, found.splits.values()))
    several = any(SEVERAL in label for label in found.labels)
    names = sorted({x for label in found.labels for x in _each(label, several)})
    say(f"{found.name}: {rows} rows, labels {listed(names)}")
    for name, examples in found.splits.items():
        marked = sum(bool(e.gold) for e in examples)
        counts = Counter(x for e in examples for x in _each(e.label, several))
        by_label = listed([f"{label} {counts[label]}" for label in names])
        say(f"  {name:6}rows {len(examples)} ({by_label})  with_rationale {marked}")
    for line in agreement_lines(agreement_rows(found)):
        say(line)
    for note in found.notes:
        say(f"  note: {note}")
    say(f"written: {folder}")
    say_next(*first_command(found, folder))


def agreement_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table of how far annotators agree; nothing without rows."""
    if rows:
        yield "  each annotator against the others, 95 % interval over texts (left out: texts that fewer than"
        yield "  two marked, or where the metric is undefined):"
    for row in rows:
        interval = f"{digits(row['value'])} [{digits(row['low'])}, {digits(row['high'])}]"
        counts = f"n {row['n']}  left out {row['left_out']}"
        yield f"  {row['split']:6}{row['others']:9} {row['metric']:20} {interval:22} {counts}"


def first_command(found: Dataset, folder: Path | None, name: str | None = None) -> list[str]:
    """Return the command to try next with a data set: train a model, or score one if it cannot train."""
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
    """Return the names in a line, only the first if there are very many."""
    more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def export_command(  # noqa: PLR0913 (one option each)
    dataset: Annotated[str, typer.Argument(help="Name, folder, archive or file of a data set.")],
    form: Annotated[
        Literal["label-studio", "doccano", "prodigy", "argilla", "parquet"],
        typer.Option(help="Form to write: that of an annotation tool, or a Parquet table."),
    ],
    out: Annotated[Path, typer.Option(help="File to write; it must not exist.")],
    split: Annotated[
        list[str] | None, typer.Option(help="Split to write; may be repeated; by default all.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run folder of `rationale evaluate`: write a method's rationales, to be corrected."
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method of --run.")] = None,
) -> None:
    """Write a data set, or a method's rationales to be corrected, for an annotation tool."""
    from eraser.data.export.write import export
    from eraser.load import load

    loaded = load(None, dataset) if Path(dataset).exists() else load(dataset)
    suggested = None if run is None and method is None else _of_run(run, method)
    splits = tuple(split or (() if run is None else _split_of(run, loaded)))
    found = export(loaded, form, out, splits, suggested)
    say(f"{out}: {found.texts} texts of {loaded.name}, in the form {form}")
    for note in found.notes:
        say(f"  note: {note}")
    say_next("data", "import", "--file", out, *found.options, "--out", f"data/{loaded.name}-corrected")


def _split_of(run: Path, dataset: Dataset) -> tuple[str, ...]:
    """Return a run's split, if it says so and the data set has it."""
    from rationale.evaluation.stored.run_folder import read_facts

    split = ((read_facts(run) or {}).get("settings") or {}).get("split")
    return (str(split),) if split in dataset.splits else ()


def _of_run(run: Path | None, method: str | None) -> tuple[str, dict[str, Suggested]]:
    """Return a method's name, and its predictions for the texts of a run."""
    from eraser.data.export.suggestions import read_suggestions
    from rationale.evaluation.stored.run_folder import read_own

    if run is None or method is None:
        given = "--run" if method is None else "--method"
        raise InputError(Fault("--run and --method together", f"only {given}"))
    name = f"predictions/{method}.jsonl"
    text = read_own(run, name) if Path(name).name == f"{method}.jsonl" else None
    if text is None:
        there = sorted(f.stem for f in (run / "predictions").glob("*.jsonl"))
        raise InputError(Fault(f"a method of {', '.join(there) or 'a run'}", repr(method), run))
    return method, read_suggestions(text, str(run / name))
