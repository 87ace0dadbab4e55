"""What commands print: texts of data and models do nothing to the terminal."""

from __future__ import annotations

import typer

from eraser.errors import printable


def say(text: str, err: bool = False) -> None:
    """Print a line; what a terminal would obey is escaped, an end of line too."""
    typer.echo(printable(text), err=err)


def say_lines(text: str) -> None:
    """Print a text of several lines, such as a table; what a terminal would obey is escaped."""
    typer.echo(printable(text, keep="\n"))
