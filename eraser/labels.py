"""A label as a data set holds it: one string for an example, whatever kind of answer it is.

Several labels are joined in it by `|`, in any order; none of them is the empty string, or `|` alone; a number
is its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SEVERAL = "|"


def split_labels(label: str) -> tuple[str, ...]:
    """Return the labels that a string joins, each once.

    >>> split_labels("rude | threat"), split_labels("")
    (('rude', 'threat'), ())
    """
    return tuple(dict.fromkeys(part.strip() for part in label.split(SEVERAL) if part.strip()))


def join_labels(labels: Iterable[str]) -> str:
    """Return labels as one string."""
    return SEVERAL.join(dict.fromkeys(labels))


def number_of(label: str) -> float | None:
    """Return a label as a finite number, None where it is none."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
