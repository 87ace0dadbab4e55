"""A label in a data set: one string per example, whatever kind of answer it is.

Several labels are joined in it by `|`, in any order; none of them is the empty string, or `|` alone; a number
is its text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

SEVERAL = "|"
WHOLE = re.compile(r"[+-]?\d{1,15}\.0*", re.ASCII)  # more digits than a float has are no float's


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
    """Return a label as a finite number, or None."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def plain_label(label: str) -> str:
    """Return a label as it is, a whole number that is written as a float as an integer.

    Tables turn integers into floats as soon as one of them is missing, and back into text.

    >>> plain_label("0.0"), plain_label("-2."), plain_label("0.5"), plain_label("1.0.0")
    ('0', '-2', '0.5', '1.0.0')
    """
    return str(int(float(label))) if WHOLE.fullmatch(label) else label
