"""Lists as Python writes them, which pandas puts into the cells of a CSV file: `[(2, 13)]`."""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import pairwise
from typing import Any

MAX_LITERAL = 2**16  # characters: what is read of it takes many times as many bytes
NOT_READ = (SyntaxError, ValueError, MemoryError, RecursionError)


def python_list(text: str) -> Any:
    """Return the list that a text is, with lists for its tuples; None where it is none.

    Texts side by side, as numpy writes them without commas, are none: Python would read them as one.

    >>> python_list("[(2, 13), {'start': 4}]"), python_list("['dull' 'slow']"), python_list("[sic]")
    ([[2, 13], {'start': 4}], None, None)
    """
    text = text.strip()
    if not text.startswith("[") or len(text) > MAX_LITERAL:
        return None
    try:
        value = ast.literal_eval(text)
        return None if _side_by_side(text) else _plain(value)
    except NOT_READ:
        return None


def _side_by_side(text: str) -> bool:
    """Return whether two texts of a literal have no comma between them."""
    found = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    kinds = [kind for kind in found if kind != tokenize.NL]
    return any(one == other == tokenize.STRING for one, other in pairwise(kinds))


def _plain(value: Any) -> Any:
    """Return a value as JSON would have it."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"no {type(value).__name__} in JSON")
