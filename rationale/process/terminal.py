"""Printing: texts of data and models cannot control the terminal."""

from __future__ import annotations

import json
import shlex
import sys
from math import isfinite
from pathlib import Path
from typing import Any

import typer

from eraser.errors import printable


def say(text: str, err: bool = False) -> None:
    """Print a line; control characters are escaped, line ends included."""
    typer.echo(printable(text), err=err)


def say_lines(text: str) -> None:
    """Print a text of several lines, such as a table; other control characters are escaped."""
    typer.echo(printable(text, keep="\n"))


def say_json(value: Any) -> None:
    """Print a value as a line of JSON: ASCII, control characters escaped, null for NaN and infinities."""
    typer.echo(json.dumps(_finite(value)).replace("\x7f", "\\u007f"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def say_next(*command: object, err: bool = False) -> None:
    """Print the command to try next, of the script that runs: one that adds a method, say, knows it."""
    here = Path(sys.argv[0])
    own = here.suffix == ".py" and here.name != "__main__.py"
    program = ("python", here) if own else ("rationale",)
    say(f"next: {shlex.join(map(str, (*program, *command)))}", err=err)


def digits(value: float) -> str:
    """Return a number with three significant digits.

    >>> [digits(x) for x in (0.87345, 5.4871, 87.0, 999.6, 12345.6, 0.0000123)]
    ['0.873', '5.49', '87.0', '1000', '12346', '1.23e-05']
    """
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"  # noqa: PLR2004 (three digits before the point)
