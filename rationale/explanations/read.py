"""Reads an explanations file, which is not trusted; stored.py describes its form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import lines_of, regular
from eraser.types import Floats, Mask
from rationale.explanations.stored import MOST_LINE, VERSION, ImportedMethod, WordExplanation

MOST_EXAMPLES, MOST_WORDS = 10**6, 10**6
HEADER: dict[str, type] = {
    "name": str, "tool": str, "settings": dict, "notes": list, "examples": int,
}  # fmt: skip


def read_explanations(path: str | Path) -> ImportedMethod:
    """Read an explanations file.

    Raises:
        InputError: it cannot be read, is of another form or version, or ends too soon.
    """
    path = Path(path)
    rows = _rows(path)
    line, head = next(rows, (None, {}))
    _check_header(path, line, head)
    found = [_example(path, number, row) for number, row in rows]
    if len(found) != head["examples"]:
        raise InputError(Fault(f"{head['examples']} examples, as the first line says", str(len(found)), path))
    try:
        more = {name: head[name] for name in ("tool", "settings")}
        return ImportedMethod.of(head["name"], found, notes=tuple(map(str, head["notes"])), **more)
    except InputError as error:
        raise _at(error, path) from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of each line that is not blank."""
    try:
        with regular(path) as file:
            for number, line in enumerate(lines_of(file, path, MOST_LINE), start=1):
                if number > MOST_EXAMPLES + 1:
                    raise InputError(Fault.of(f"the file has more than {MOST_EXAMPLES:,} examples", path))
                if line.strip():
                    yield number, _object(path, number, line)
    except OSError as error:
        raise InputError(Fault.of(f"the file cannot be read: {error.strerror}", path)) from None


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("one JSON object", str(error), path, number)) from None
    if not isinstance(row, dict):
        raise InputError(Fault("one JSON object", short_repr(row), path, number))
    return row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} (of a word without a score, write null)")


def _check_header(path: Path, line: int | None, head: dict[str, Any]) -> None:
    if "explanations" not in head:
        expected = 'an explanations file, with {"explanations": 1, …} in its first line'
        remedy = "`rationale explanations import` makes one of other files"
        raise InputError(Fault(expected, f"{short_repr(head) if head else 'none'} ({remedy})", path, line))
    if head["explanations"] != VERSION:
        raise InputError(
            Fault(f"version {VERSION} of the form", short_repr(head["explanations"]), path, line)
        )
    for name, kind in HEADER.items():
        if type(head.get(name)) is not kind:
            raise InputError(
                Fault(f'"{name}" of kind {kind.__name__}', short_repr(head.get(name)), path, line)
            )


def _example(path: Path, line: int, row: dict[str, Any]) -> WordExplanation:
    """Return the example of one line."""
    id, n_words = row.get("id"), row.get("words")
    place: dict[str, Any] = {"file": path, "line": line, "id": id if isinstance(id, str) else None}
    if not isinstance(id, str) or not isinstance(row.get("text"), str):
        raise InputError(Fault('texts in "id" and "text"', short_repr(row), **place))
    if type(n_words) is not int or not 0 < n_words <= MOST_WORDS:
        raise InputError(Fault('a number of words in "words"', short_repr(n_words), **place))
    for name in ("label", "class"):
        if not isinstance(row.get(name), str | None):
            raise InputError(Fault(f'a text in "{name}"', short_repr(row[name]), **place))
    scores = _scores(row["scores"], n_words, place) if row.get("scores") is not None else None
    selected = _picked(row["picked"], n_words, place) if row.get("picked") is not None else None
    counts = _counts(row.get("counts"), place)
    try:
        return WordExplanation(
            id, row["text"], n_words, scores, selected, row.get("label"), row.get("class"), counts
        )
    except InputError as error:
        raise _at(error, path, line) from None


def _scores(value: Any, n_words: int, place: dict[str, Any]) -> Floats:
    sound = isinstance(value, list) and all(x is None or type(x) in (int, float) for x in value)
    if not sound or len(value) != n_words:
        got = f"{len(value)} of them" if sound else short_repr(value)
        raise InputError(Fault(f"{n_words} numbers or nulls, one per word", got, **place))
    try:
        return np.array([np.nan if x is None else float(x) for x in value])
    except OverflowError:
        raise InputError(Fault("numbers that a float can hold", short_repr(value), **place)) from None


def _picked(value: Any, n_words: int, place: dict[str, Any]) -> Mask:
    mask = np.zeros(n_words, dtype=bool)
    for span in value if isinstance(value, list) else [value]:
        sound = isinstance(span, list) and [type(x) for x in span] == [int, int]
        if not sound or not 0 <= span[0] < span[1] <= n_words:
            expected = f"spans [start, end) of words from 0 to {n_words}"
            raise InputError(Fault(expected, short_repr(span), **place))
        mask[span[0] : span[1]] = True
    return mask


def _counts(value: Any, place: dict[str, Any]) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(type(n) is int and n >= 0 for n in value.values()):
        raise InputError(Fault('whole numbers by name in "counts"', short_repr(value), **place))
    return dict(value)


def _at(error: InputError, path: Path, line: int | None = None) -> InputError:
    """Return an error with its place."""
    return InputError(*(Fault(f.expected, f.got, path, line, f.id, f.message) for f in error.faults))
