"""The command line, run in this process."""

from __future__ import annotations

import sys

import pytest
import typer

from rationale import cli
from rationale.cli import app


def run(capsys, monkeypatch, *arguments):
    """Run the command in this process; return (exit code, output, errors)."""
    monkeypatch.setattr(sys, "argv", ["rationale", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


def commands(name="rationale", command=None):
    """Yield each command's name and the command."""
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, inner in command.commands.items():
        yield from commands(f"{name} {part}", inner)
