"""Fenced blocks of a document, and how a page is done: files written, Python executed, commands run."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rationale.cli import main
from tests.helpers.paths import ROOT

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", flags=re.S | re.M)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file it is to be saved as, if any, its text, its first line."""

    language: str
    title: str | None
    code: str
    line: int


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file, in order."""
    text = document.read_text(encoding="utf-8")
    return [Block(m[1], m[2], m[3], text[: m.start()].count("\n") + 2) for m in FENCE.finditer(text)]


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without comments."""
    for line in block.code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def do(
    document: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    languages: Sequence[str] = ("python", "bash"),
    stop: str | None = None,
) -> dict[str, Any]:
    """Do what a page says, in a folder, down to a heading: return the names that its Python blocks left."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    text = document.read_text(encoding="utf-8")
    last = text.count("\n") if stop is None else text[: text.index(stop)].count("\n")
    names: dict[str, Any] = {}
    for block in (b for b in blocks(document) if b.line <= last):
        if block.title is not None:
            (folder / block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "python" and "python" in languages:
            padded = "\n" * (block.line - 1) + block.code  # so that errors name the document's line
            exec(compile(padded, str(document), "exec"), names)
        elif block.language == "bash" and "bash" in languages:
            for words in commands(block):
                run(words, monkeypatch)
    return names


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `rationale …` or `python FILE …` in this process; `make` has tests of its own."""
    program, *arguments = words
    if program == "make":
        return
    script = arguments.pop(0) if program == "python" else None
    assert program in ("python", "rationale"), words
    monkeypatch.setattr(sys, "argv", [script or program, *arguments])
    code = None
    try:
        if script is None:
            main()
        else:
            runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code
    assert not code, words
