"""Fenced blocks of a document, and how a page is done: files written, Python executed, commands run.

A block of text straight after a block of Python is what that prints. A block under
`<!-- not run: REASON -->` is left out.
"""

from __future__ import annotations

import contextlib
import io
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
FENCE = re.compile(
    r"(?:^<!-- not run: ([^\n]+?) -->\n)?^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", flags=re.S | re.M
)
RUN = ("python", "bash")  # languages of what a reader runs
FLOAT = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    `title` is the file it is to be saved as, `line` its first line, `not_run` the reason why it is left out,
    `follows` whether nothing but white space stands between it and the block before.
    """

    language: str
    title: str | None
    code: str
    line: int
    not_run: str | None = None
    follows: bool = False


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file, in order."""
    text = document.read_text(encoding="utf-8")
    found, end = [], 0
    for m in FENCE.finditer(text):
        line = text[: m.start(4)].count("\n") + 1
        found.append(Block(m[2], m[3], m[4], line, m[1], not text[end : m.start()].strip()))
        end = m.end()
    return found


def same_output(printed: str, promised: str) -> bool:
    """Return whether two texts have the same words, numbers with a point to within 0.015."""
    ours, theirs = printed.split(), promised.split()
    return len(ours) == len(theirs) and all(map(_same_word, ours, theirs))


def _same_word(one: str, other: str) -> bool:
    if FLOAT.sub("#", one) != FLOAT.sub("#", other):
        return False
    pairs = zip(FLOAT.findall(one), FLOAT.findall(other), strict=True)
    return all(abs(float(a) - float(b)) < 0.015 for a, b in pairs)


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without comments."""
    for line in block.code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def do(
    document: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    languages: Sequence[str] = RUN,
) -> dict[str, Any]:
    """Do what a page says, in a folder: return the names that its Python blocks left."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    names: dict[str, Any] = {}
    printed: str | None = None
    for block in (b for b in blocks(document) if b.not_run is None):
        if block.language == "text" and block.follows and printed is not None:
            assert same_output(printed, block.code), (document, block.line, printed)
        printed = None
        if block.title is not None:
            (folder / block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "python" and "python" in languages:
            padded = "\n" * (block.line - 1) + block.code  # so that errors name the document's line
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(padded, str(document), "exec"), names)
            printed = out.getvalue()
        elif block.language == "bash" and "bash" in languages:
            for words in commands(block):
                run(words, monkeypatch)
    return names


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `rationale …` or `python FILE …` in this process."""
    program, *arguments = words
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
