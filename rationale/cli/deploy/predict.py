"""The command `rationale predict`: labels of texts by an exported model, and the surviving words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eraser.errors import Fault, InputError, short_repr
from rationale.cli.options import AsJson
from rationale.process.terminal import digits, say, say_json, say_next

if TYPE_CHECKING:
    from rationale.onnx import Answer, OnnxModel

ENDING = ".onnx"
TEXT = "text"  # the column of a table
Exported = Annotated[
    Path | None,
    typer.Option(
        help="File of `rationale export`; by default the shipped model, exported once into the cache folder."
    ),
]
TextThreads = Annotated[int, typer.Option(help="Number of CPU cores that read one text.")]


def predict_command(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; or give --file.")] = None,
    model: Exported = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="TXT file with one text per line, or a CSV, TSV, Excel, JSON, JSONL or Parquet file with a "
            "column text; - reads lines of standard input."
        ),
    ] = None,
    threads: TextThreads = 1,
    as_json: AsJson = False,
) -> None:
    """Print labels and surviving words of texts, read by an exported model; needs no torch."""
    if bool(texts) == (file is not None):
        raise InputError(Fault("texts, or a --file of them", "both" if texts else "neither"))
    loaded = open_model(model, threads)
    n_blank = 0
    for place, text in enumerate(texts or (), start=1) if file is None else _texts_of(file):
        if file is not None and not text.strip():
            n_blank += 1
            continue
        answer = _answer(loaded, text, file, place)
        record = _record(answer) if file is None else {"line": place} | _record(answer)
        if as_json:
            say_json(record)
        else:
            say(_line(answer))
    if n_blank:
        say(f"note: lines without a text, which have no answer: {n_blank}", err=True)
    if not as_json:
        say_next("serve", *(() if model is None else ("--model", model)))


def open_model(path: Path | None, threads: int) -> OnnxModel:
    """Return the model of an exported file, by default the shipped one.

    Raises:
        InputError: it is not an exported file; for a model folder, the message says how to export it.
    """
    if path is not None and path.is_dir():
        remedy = f"`rationale export --model {path} --out model{ENDING}` makes one of it"
        raise InputError(Fault.of(f"a model folder, not an exported file: {remedy}", path))
    import rationale.onnx

    return rationale.onnx.load(path, threads=threads)


def _texts_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line, or of each row of a table, as it is, white space and all."""
    from eraser.data.custom.tables import LABELLED
    from eraser.files.bounds import lines_of, regular

    if str(file) == "-":
        if sys.stdin is None:
            raise InputError(Fault("texts on standard input", "a closed one", file))
        yield from _lines(file, lines_of(sys.stdin.buffer, file))
    elif file.suffix.lower() in LABELLED:
        yield from _rows(file)
    else:
        with regular(file) as opened:
            yield from _lines(file, lines_of(opened, file))


def _lines(file: Path, lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(Fault("UTF-8", error.reason, file, number)) from None


def _rows(file: Path) -> Iterator[tuple[int, str]]:
    from eraser.data.custom.tables import rows_of

    notes: list[str] = []
    for row in rows_of(file, notes=notes):
        while notes:
            say(f"note: {notes.pop(0)}", err=True)
        if isinstance(row, Fault):
            raise InputError(row)
        line, cells = row
        if TEXT not in cells:
            expected = f"a column {TEXT!r} (or a .txt file with one text per line)"
            raise InputError(Fault(expected, short_repr(sorted(cells), 200), file, line))
        text = "" if cells[TEXT] is None else cells[TEXT]
        if not isinstance(text, str):
            raise InputError(Fault(f"a string in column {TEXT!r}", short_repr(text), file, line))
        yield line, text


def _answer(model: OnnxModel, text: str, file: Path | None, place: int) -> Answer:
    try:
        return model.answer(text)
    except InputError as error:
        where: dict[str, Any] = {"id": f"text {place}"}
        if file is not None:
            where = {"file": file, "line": place, "id": None}
        raise InputError(*(replace(fault, **where) for fault in error.faults)) from None


def _line(answer: Answer) -> str:
    """Return a label, the best score, the words that survive if any are dropped, how many were not read."""
    best = max(answer.scores.values())
    words = f": {' '.join(word.text for word in answer.survivors) or '-'}" if answer.words else ""
    unread = f" (words not read: {answer.unread})" if answer.unread else ""
    return f"{answer.label} {digits(best)}{words}{unread}"


def _record(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON data."""
    return vars(answer) | {"words": [word._asdict() for word in answer.words]}
