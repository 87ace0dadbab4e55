"""Texts as users have them: one, several, or the column `text` of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.text.lines import TEXT
from rationale.text.pairs import Pair


def texts_of(given: Any) -> tuple[str | Pair, ...]:
    """Return the texts of a string, of several texts, or of a table or mapping with `text`.

    A table is what names its columns: a data frame, or a data set of Hugging Face.

    Raises:
        InputError: it is none of these, or it has no `text`.
    """
    names = _columns(given)
    if names is not None and TEXT not in names:
        raise InputError(Fault(f"texts, or a table with a column {TEXT!r}", f"only {short_repr(names, 200)}"))
    texts = given if names is None else given[TEXT]
    if isinstance(texts, str):
        return (texts,)
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise InputError(Fault("a text, several, or a table of them", short_repr(texts)))
    return tuple(texts)


def _columns(given: Any) -> list[str] | None:
    """Return the names of a table's columns or a mapping's entries; None of anything else."""
    if isinstance(given, Mapping):
        return list(given)
    names = getattr(given, "column_names", getattr(given, "columns", None))  # of Hugging Face, of pandas
    return None if names is None else list(names)
