"""Inputs a little or very wrong, and the one property they are tried for: a right answer or an InputError.

RATIONALE_FUZZ says how many times the inputs that a test names are tried; `make fuzz` sets it. Without it the
first few of them are, the same ones each time: the rest is for `make fuzz`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from eraser import InputError

TIMES = float(os.environ.get("RATIONALE_FUZZ", "0.2"))
T = TypeVar("T")

ODD_TEXT = st.one_of(
    st.sampled_from(("", " ", "\x00", "\ud800", "\u2028", "\x85", "\r", "\n", "a b", "..", "../x", "/", "\\",
                     "NaN", "null", "[[", "]]", "<b>", "é\u0301", "\u202e", "x" * 300, "0", "None",
                     "docs", "test", "%s{0}")),
    st.text(st.characters(exclude_categories=()), max_size=6),
)  # fmt: skip
ODD_NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from((0.0, -0.0, 0.5, 1.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
                     2**31, 2**63, -(2**63), 2**64, 10**30)),
    st.floats(),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXT)
JUNK = st.one_of(
    SCALARS,
    st.sampled_from(([], {}, [[]], [None], [{}], {"": None}, [[0, 1]], [0, 1], [["a"]], [[[]]], "")),
    st.lists(SCALARS, max_size=3),
    st.dictionaries(ODD_TEXT, SCALARS, max_size=2),
)


class Tried:
    """How many inputs were tried, for the last line of the tests."""

    inputs = 0
    answers = 0


def fuzz(inputs: int) -> Callable[[T], T]:
    """Try that many inputs, times RATIONALE_FUZZ; unless it is set a share of them, always the same ones."""
    return settings(
        max_examples=max(10, round(inputs * TIMES)),
        deadline=None,
        derandomize="RATIONALE_FUZZ" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )  # type: ignore[return-value]


def answer_of(function: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
    """Return the answer, or None for an InputError, which must have lines for its faults."""
    Tried.inputs += 1
    try:
        found = function(*arguments, **named)
    except InputError as error:
        check_message(error)
        return None
    Tried.answers += 1
    return found


def check_message(error: InputError) -> None:
    lines = str(error).splitlines()
    assert 1 <= len(lines) <= len(error.faults)
    counted = [line for line in lines if "… and " in line]  # of like faults
    assert counted or len(lines) == len(error.faults)
    assert {line for line in lines if line not in counted} <= set(map(str, error.faults))


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys that lead there."""
    many = value if isinstance(value, dict | list) else ()
    children = many.items() if isinstance(many, dict) else enumerate(many)
    return [at, *(place for key, child in children for place in _places(child, (*at, key)))]


@st.composite
def spoilt(draw: st.DrawFn, value: Any, most: int = 2) -> Any:
    """A JSON value with up to `most` places replaced, left out, doubled, or added to."""
    whole = {"": deepcopy(value)}
    for _ in range(draw(st.integers(0, most))):
        places = [p for p in _places(whole) if p]
        *path, key = draw(st.sampled_from(places))
        parent = whole
        for step in path:
            parent = parent[step]
        match draw(st.sampled_from(("replace", "replace", "leave out", "double", "add"))):
            case "leave out" if path:
                del parent[key]
            case "double" if isinstance(parent, list):
                parent.insert(key, deepcopy(parent[key]))
            case "add" if isinstance(parent, dict) and path:
                parent[draw(ODD_TEXT)] = deepcopy(draw(JUNK))
            case _:
                parent[key] = deepcopy(draw(JUNK))
    return whole[""]


@st.composite
def damaged(draw: st.DrawFn, data: bytes, always: bool = False) -> bytes:
    """Bytes, often as they are, else with a few pieces cut out, overwritten or put in."""
    for _ in range(draw(st.integers(1 if always else 0, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 9)))
        data = data[:start] + draw(st.binary(max_size=6)) + data[end:]
    return data


def lines_of(records: Any) -> bytes:
    """JSON lines; what is no list of records is a line of its own."""
    rows = records if isinstance(records, list) else [records]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@st.composite
def file_of(draw: st.DrawFn, records: list[Any], most: int = 2) -> bytes:
    """A file of JSON lines with wrong values, or with wrong bytes, or right."""
    if draw(st.integers(0, 4)):
        return lines_of(draw(spoilt(records, most)))
    return draw(damaged(lines_of(records)))
