"""Command lines of commands that need no model: exit code 0 or 2, errors in lines, never a traceback."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from rationale import cli
from tests.fuzz.spoil import ODD_TEXT, Tried, file_of, fuzz, lines_of
from tests.helpers.fuzz.predictions import CLEAN, PREDICTIONS
from tests.helpers.fuzz.tables import ROWS, TEXTS, filled, tables

ODD_ARGUMENTS = ("caf\udce9", "-1", "1e9", "--", "-", "--help", "0.5,0.5,0", "nan,0,1", "1,2", ",", "inf")
ARGUMENT = st.sampled_from(ODD_ARGUMENTS) | ODD_TEXT.map(
    lambda text: text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")  # as a shell could
)
COMMAND = typer.main.get_command(cli.app)  # made once: it takes longer than most runs


def ran(arguments):
    """Run a command line in this process, its streams as strict as a terminal's; return its exit code."""
    Tried.inputs += 1
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors=e) for e in ("strict", "backslashreplace")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "app", COMMAND)
        patch.setattr(sys, "argv", ["rationale", *arguments])
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            code = _exit_code()
    out, err = (s.flush() or s.buffer.getvalue().decode() for s in streams)
    assert code in (0, 2)
    assert "Traceback" not in out + err
    if code == 2:
        usage = err.startswith("Usage: ") or out.lstrip().startswith("Usage: ")
        lines = err.splitlines()
        assert usage or (lines and all(line.startswith("error: ") for line in lines))
    Tried.answers += code == 0
    return code


def _exit_code():
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def data_folder(here, gold):
    """A data set that is right but for its gold."""
    if not (here / "data").exists():
        filled(here / "data", {f"docs/{id}": text.encode() for id, text in TEXTS.items()})
    (here / "data" / "test.jsonl").write_bytes(gold)


@st.composite
def options(draw, choices, required=()):
    """Some of the options, with values that may be odd; the required ones nearly always."""
    found = []
    for name, values in choices.items():
        if draw(st.integers(0, 9)) >= (1 if name in required else 7):
            found += [name, draw(st.sampled_from(values) if draw(st.integers(0, 2)) else ARGUMENT)]
    if draw(st.integers(0, 7)) == 0:
        found.insert(draw(st.integers(0, len(found))), draw(ARGUMENT))
    return found


SCORING = {
    "--data": ("data", "data", "data", "p.jsonl", "nowhere"),
    "--predictions": ("p.jsonl", "p.jsonl", "p.jsonl", "data", "nowhere"),
    "--split": ("test", "val", "docs"),
    "--extra-label": ("normal", "POS"),
    "--official": ("out.json", "data"),
}
IMPORTING = {
    "--file": ("own", "own", "own", "nowhere", "data"),
    "--train": ("own",),
    "--split-column": ("split", "label"),
    "--fractions": ("0.5,0.25,0.25", "1,0,0", "0.8,0.1,0.1", "2,-1,0"),
    "--seed": ("0", "4294967295", "4294967296", "-1"),
    "--text": ("text", "query"),
    "--label": ("label", "id"),
    "--id": ("id", "text"),
    "--rationale": ("rationale", "text"),
    "--query": ("query",),
    "--rationale-form": ("auto", "chars", "tokens", "marks", "none"),
    "--open": ("[[", "<b>"),
    "--close": ("]]", "</b>"),
}
DESCRIBING = {"--data": ("data", "nowhere"), "--dataset": ("sample", "x"), "--json": ("x",)}


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@fuzz(80)
@given(
    st.sampled_from(("score", "check")),
    options(SCORING, ("--data", "--predictions")),
    file_of(PREDICTIONS, 1),
)
def test_score_and_check(here, command, arguments, predictions):
    data_folder(here, lines_of(CLEAN))
    (here / "p.jsonl").write_bytes(predictions)
    ran([command, *arguments])


@fuzz(80)
@given(options(IMPORTING, ("--file",)), tables(), ARGUMENT | st.sampled_from(("new", "own.csv")))
def test_import(here, arguments, table, out):
    suffix, data = table
    made = filled(here / "made", {f"own{suffix}": data})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        own = [f"own{suffix}" if value == "own" else value for value in arguments]
        ran(["data", "import", *own, "--out", out.replace("/", "_").replace("..", "_")])


@fuzz(60)
@given(options(DESCRIBING), file_of(CLEAN, 1))
def test_describe(here, arguments, gold):
    data_folder(here, gold)
    ran(["data", "describe", *arguments])


@fuzz(20)
@given(st.lists(ARGUMENT, max_size=3))
def test_arguments_of_no_command(here, arguments):
    ran(arguments)


def test_what_is_right_succeeds(here):
    data_folder(here, lines_of(CLEAN))
    (here / "p.jsonl").write_bytes(lines_of(PREDICTIONS))
    (here / "own.jsonl").write_bytes(lines_of(ROWS[:3]))
    assert ran(["score", "--data", "data", "--predictions", "p.jsonl"]) == 0
    assert ran(["check", "--data", "data", "--predictions", "p.jsonl"]) == 0
    assert ran(["data", "describe", "--data", "data", "--json"]) == 0
    how = ["data", "import", "--train", "own.jsonl", "--out", "right", "--rationale-form"]
    assert ran([*how, "none", "--rationale", "no"]) == 2
    assert ran([*how, "none"]) == 0
