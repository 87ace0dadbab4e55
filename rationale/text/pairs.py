"""A text as users give it: a string, or a pair of strings."""

from __future__ import annotations

from typing import Any

from eraser.errors import Fault, InputError, short_repr
from eraser.types import PAIR

Pair = tuple[str, str]


def pair_of(text: Any) -> tuple[str | None, str]:
    """Return the first and the second text of a pair; None in the place of the first where there is one.

    Raises:
        InputError: it is neither, or the first is empty.
    """
    first, second = text if isinstance(text, tuple) and len(text) == len(PAIR) else (None, text)
    if not (isinstance(second, str) and isinstance(first, str | None)):
        raise InputError(Fault("a text, or a pair of texts as a tuple", short_repr(text)))
    if first is not None and not first.strip():
        raise InputError(Fault("two texts with words in a pair", short_repr(text)))
    return first, second
