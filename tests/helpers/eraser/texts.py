"""A user's own texts, drawn at random, and data sets of them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from eraser import Dataset
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.write_eraser import write_eraser
from eraser.load import load


def imported(folder: Path, files: dict[str, Path], how: ImportOptions) -> Dataset:
    """What is loaded from the folder that was written; it must be what was read, but for the notes."""
    read = read_custom("own", files, how)
    write_eraser(read, folder)
    found = load("own", folder)
    assert (found.documents, found.splits) == (read.documents, read.splits)
    return found


BREAKS = st.sampled_from([" ", "  ", "\n", "\r\n", "\r", "\t", " \n\n ", "\u2028", "\x85", "\x1c", "\u00a0"])
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="[]\x00")  # files of rows hold no NUL
WORDS = st.text(LETTERS, min_size=1, max_size=6).filter(lambda word: not any(map(str.isspace, word)))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Words with all kinds of white space between, before and after them."""
    words = draw(st.lists(WORDS, min_size=1, max_size=8))
    between = [draw(BREAKS) for _ in words[1:]]
    before, after = (draw(st.sampled_from(["", " ", "\n"])) for _ in range(2))
    return before + "".join(map("".join, zip(words, [*between, after], strict=True)))


@st.composite
def spans_within(draw: st.DrawFn, length: int) -> list[list[int]]:
    """Spans [start, end) that do not overlap, from left to right."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=6)))
    return [[a, b] for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
