"""Tables of words or tokens and their scores: a row for each token, or a row for each example with lists."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np

from eraser.data.custom.tables import LABELLED, Row, Rows, listed, rows_of
from eraser.data.kinds.literals import python_list
from eraser.errors import Fault, InputError, short_repr
from rationale.explanations.align import Place
from rationale.explanations.collected import Told
from rationale.explanations.files.columns import Columns
from rationale.explanations.scored import Scored

NO_VALUE = frozenset({"", "nan", "none", "null", "na"})  # of a cell: nothing is said


@dataclass(frozen=True)
class _Piece:
    """One row of a table: a token, or all of a text."""

    line: int
    tokens: tuple[str, ...] | None
    places: tuple[Place, ...] | None
    scores: tuple[float, ...]
    label: str | None
    target: str | None


def read_rows(path: Path, asked: Columns) -> Iterator[Told]:
    """Yield (id, what was said) of each example of a file; rows of one id, one per token, are put together.

    Raises:
        InputError: it cannot be read, lacks a column, or has several methods, of which none is named.
    """
    if path.suffix.lower() not in LABELLED:
        raise InputError(Fault(f"a {listed(LABELLED)} file", path.suffix or "no ending", path))
    rows = rows_of(path)
    first = next(rows, None) or Fault("a file with rows", "an empty one", path)
    if isinstance(first, Fault):
        raise InputError(first)
    columns = asked.found_in(first[1].keys(), path, first[0])
    broken = list[Fault]()
    of_method = _of_method(path, chain([first], rows), columns)
    for id, of_id in _by_id(path, of_method, columns, broken).items():
        yield id, of_id if isinstance(of_id, Fault) else _joined(path, id, of_id, columns)
    yield from (("", fault) for fault in broken)


def _of_method(path: Path, rows: Rows, columns: Columns) -> Rows:
    """Yield the rows of the method that is named; of several, one must be."""
    methods = dict[str, None]()
    for row in rows:
        if columns.method_column is None or isinstance(row, Fault):
            yield row
            continue
        method = _text(row[1].get(columns.method_column)) or ""
        methods[method] = None
        if columns.method in (None, method):
            yield row
    got = ", ".join(map(repr, methods)) or "no column of methods"
    if columns.method is None and len(methods) > 1:
        place = f"in column {columns.method_column!r}"
        raise InputError(Fault(f"one method {place}, or the name of one as --method", got, path))
    if columns.method is not None and columns.method not in methods:
        raise InputError(Fault(f"rows of the method {columns.method!r}", got, path))


def _by_id(path: Path, rows: Rows, columns: Columns, broken: list[Fault]) -> dict[str, list[_Piece] | Fault]:
    """Return the rows of each example, or what is wrong with one; those that are no rows go to `broken`."""
    pieces: dict[str, list[_Piece] | Fault] = {}
    for row in rows:
        if isinstance(row, Fault):
            broken.append(row)
            continue
        try:
            id, piece = _piece(path, row, columns)
        except InputError as error:
            pieces[_id(row[1].get(columns.id or ""))] = error.faults[0]
            continue
        if isinstance(before := pieces.setdefault(id, []), list):
            before.append(piece)
    return pieces


def _id(value: Any) -> str:
    """Return an id as text: a whole float is its integer."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _piece(path: Path, row: Row, columns: Columns) -> tuple[str, _Piece]:
    """Return the example of a row, and what it says."""
    line, cells = row
    id = _id(cells.get(columns.id or ""))
    place: dict[str, Any] = {"file": path, "line": line, "id": id}
    named = columns.score or columns.picked or ""
    scores = _each(cells.get(named))
    tokens = None if columns.token is None else _each(cells.get(columns.token))
    places = _places(cells, columns, place)
    values = tuple(_number(x, named, place) for x in scores)
    for what, found in (("tokens", tokens), ("places", places)):
        if found is not None and len(found) != len(values):
            raise InputError(Fault(f"{len(found)} scores, as {what}", str(len(values)), **place))
    words = None if tokens is None else tuple("" if t is None else str(t) for t in tokens)
    told = (_text(cells.get(name)) if name else None for name in (columns.label, columns.target))
    return id, _Piece(line, words, places, values, *told)


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else _id(value)


def _each(cell: Any) -> Sequence[Any]:
    """Return the values of a cell: a list, also one written as JSON or by pandas; else the one value."""
    if isinstance(cell, str) and cell.startswith("[") and cell.endswith("]") and len(cell) > 2:
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            cell = python_list(cell) or cell
    return cell if isinstance(cell, list) else [cell]


def _number(value: Any, column: str, place: Mapping[str, Any]) -> float:
    """Return a score; NaN of an empty cell."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_VALUE):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise InputError(Fault(f"a finite number in {column!r}", short_repr(value), **place))
    return number


def _places(cells: Mapping[str, Any], columns: Columns, place: Mapping[str, Any]) -> tuple[Place, ...] | None:
    """Return the characters of each token, where the file says them."""
    if not columns.characters:
        return None
    if columns.offsets:
        pairs = _each(cells.get(columns.offsets))
    else:
        starts, ends = (_each(cells.get(name or "")) for name in (columns.start, columns.end))
        pairs = list(zip(starts, ends, strict=False)) if len(starts) == len(ends) else [None]
    return tuple(_span(pair, place) for pair in pairs)


def _span(pair: Any, place: Mapping[str, Any]) -> Place:
    try:
        start, end = (int(x) for x in pair)
    except (TypeError, ValueError, OverflowError):
        raise InputError(Fault("characters [start, end)", short_repr(pair), **place)) from None
    return start, end


def _joined(path: Path, id: str, pieces: Sequence[_Piece], columns: Columns) -> Scored | Fault:
    """Return the rows of one example as one."""
    first = pieces[0]
    for name in ("label", "target"):
        if len(others := {getattr(p, name) for p in pieces}) > 1:
            got = " and ".join(sorted(map(str, others)))
            return Fault(f"one {name} of an example", got, path, first.line, id)
    scores = np.array([x for p in pieces for x in p.scores])
    tokens = None if first.tokens is None else tuple(t for p in pieces for t in p.tokens or ())
    places = None if first.places is None else tuple(s for p in pieces for s in p.places or ())
    if (twice := _twice(tokens, places or ())) is not None:
        return Fault("one score for each place in the text", f"{list(twice)} twice", path, first.line, id)
    picks = columns.score is None
    return Scored(scores, tokens, places, None, first.label, first.target, id, picks=picks)


def _twice(tokens: Sequence[str] | None, places: Sequence[Place]) -> Place:
    """Return a place that is there again; the bytes of one character, side by side, may share theirs."""
    there = [p for p in places if p is not None and p[0] < p[1]]
    runs = Counter(place for place, _ in groupby(there))
    again = [place for place, n in runs.items() if n > 1]
    pieces = Counter(zip(tokens or (), places, strict=False))
    same = [p for (_, p), n in pieces.items() if n > 1 and p is not None and p[1] - p[0] > 1]
    return next(iter([*again, *same]), None)
