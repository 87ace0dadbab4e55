"""`--version`, `-h` and every `--help`: at once, without the libraries of a model."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from rationale import __version__
from rationale.cli import app
from tests.helpers.command_line import commands
from tests.helpers.paths import PYTHONPATH

HEAVY = "{'torch', 'transformers', 'pandas', 'captum', 'scipy'}"


def light(*arguments):
    """Run a command in a process of its own; return what it printed, and the heavy modules it imported."""
    code = (
        f"import sys, rationale.cli as c; sys.argv = ['rationale', *{arguments!r}]\n"
        f"try: c.main()\nfinally: print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout, done.stderr


def test_the_version_is_one_line_and_imports_nothing_heavy():
    assert light("--version") == (f"rationale {__version__}\n", "[]\n")


def test_help_imports_nothing_heavy():
    out, err = light("evaluate", "-h")
    assert err == "[]\n"
    assert "--budget" in out


@pytest.mark.parametrize("columns", ["99999999", "1" + 5000 * "0"])
def test_help_ends_where_the_terminal_is_said_to_be_wider_than_any_is(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    out, _ = light("--help")
    assert "evaluate" in out
    assert max(map(len, out.splitlines())) < 1000


def test_short_and_long_help_of_every_command_are_the_same(rationale):
    whole = typer.main.get_command(app).make_context("rationale", [], resilient_parsing=True)
    for name, command in commands():
        context = command.make_context(name, [], parent=whole, resilient_parsing=True)
        assert set(command.get_help_option_names(context)) == {"-h", "--help"}, name
    short = rationale("evaluate", "-h")
    assert short[0] == 0
    assert short == rationale("evaluate", "--help")


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_has_a_help_text_that_stands_alone(name, command):
    for parameter in command.params:
        text = parameter.help or ""
        assert text.endswith("."), f"{name} {parameter.name}"
        assert not text.startswith("Of "), f"{name} {parameter.name}"


@pytest.mark.parametrize(
    ("command", "usual"),
    [("explain", "punctuation"), ("attribute", "whitespace"), ("data import", "whitespace")],
)
def test_the_help_says_how_each_command_cuts_words_where_nothing_is_said(command, usual):
    (words,) = (p for p in dict(commands())[f"rationale {command}"].params if "--words" in p.opts)
    assert f"Default: {usual}, or characters if most texts are in such a script." in words.help
