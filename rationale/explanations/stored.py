"""Explanations made elsewhere, and the file that holds them: a row of `evaluate` beside our methods.

An explanations file is JSON lines in UTF-8. The first line is the header:

    {"explanations": 1, "name": "shap", "tool": "shap 0.48", "settings": {…}, "notes": […], "examples": 199}

`explanations` is the version of this form, `examples` the number of lines that follow: one for each example,

    {"id": "x1", "text": "9f2c…", "words": 8, "scores": [0.5, null, …], "picked": [[2, 4]],
     "label": "POS", "class": "POS", "counts": {"tokens": 12, "tokens not in the text": 1}}

`text` is the SHA-256 of the words (see `hash_of_words`), `words` their number. `scores` has a number for each
word, null where the tool said nothing; `picked` are spans of words [start, end) that it chose. Each line has
one of the two or both, the same in all lines. `label` is what the tool's model predicted, `class` the class
that was explained, `counts` what is to be told of the example, summed over all; these three may be missing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import regular
from eraser.files.whole import write_text
from eraser.types import Floats, Mask, runs

VERSION = 1
PREFIX = "imported-"  # of the row's name: no method of METHODS may begin so
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")  # a row's name is a file's too
MOST_LINE = 2**26  # bytes


def hash_of_words(words: Sequence[str]) -> str:
    """Return a hash of the words of a text: scores of other words are not of this text."""
    return sha256(json.dumps(list(words)).encode()).hexdigest()


@dataclass(frozen=True)
class WordExplanation:
    """An explanation of one example: scores [W], NaN where there is none, or picked words [W], or both.

    `label` is what the tool's model predicted, `target` the class explained, if known. `counts` holds what
    could not be aligned, and other counts to report.
    """

    id: str
    text_hash: str
    n_words: int
    scores: Floats | None = None
    selected: Mask | None = None
    label: str | None = None
    target: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scores is None and self.selected is None:
            raise InputError(Fault("scores or picked words", "neither", id=self.id))
        for axis in (self.scores, self.selected):
            if axis is not None and axis.shape != (self.n_words,):
                raise InputError(Fault(f"{self.n_words} words", f"{len(axis)}", id=self.id))
        if self.scores is not None and (np.isinf(self.scores).any() or np.isnan(self.scores).all()):
            raise InputError(Fault("finite scores, and one at least", "others", id=self.id))

    @property
    def ranking(self) -> Floats:
        """The scores that rank words [W]; if words were only picked, 1 for these and 0 for the others."""
        assert self.selected is not None or self.scores is not None
        return np.asarray(self.selected, dtype=np.float64) if self.scores is None else self.scores

    @property
    def extractable(self) -> Floats:
        """The scores that rationales are extracted from [W]; NaN for others if words were only picked."""
        return np.where(self.ranking > 0, 1.0, np.nan) if self.scores is None else self.scores

    def to_row(self) -> dict[str, Any]:
        """Return its line of a file."""
        row: dict[str, Any] = {"id": self.id, "text": self.text_hash, "words": self.n_words}
        if self.scores is not None:
            row["scores"] = [None if np.isnan(x) else x for x in self.scores.tolist()]
        if self.selected is not None:
            row["picked"] = [[span.start, span.end] for span in runs(self.selected)]
        more = {"label": self.label, "class": self.target, "counts": dict(self.counts) or None}
        return row | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True)
class ImportedMethod:
    """Explanations of one tool or model, by the id of the example.

    `name` is the tool's own, `method` that of its row; `settings` are what it was made with, `notes` what a
    reader of the row should know.
    """

    name: str
    examples: Mapping[str, WordExplanation]
    tool: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            expected = "a name of at most 60 letters, digits, dots, hyphens and underscores"
            raise InputError(Fault(expected, short_repr(self.name)))
        if not self.examples:
            raise InputError(Fault.of("no explanations", id=self.name))
        kinds = Counter((e.scores is not None, e.selected is not None) for e in self.examples.values())
        if len(kinds) > 1:
            raise InputError(Fault("scores, picked words or both, the same of all examples", "not so"))

    @property
    def method(self) -> str:
        """The name of its row."""
        return PREFIX + self.name

    @property
    def chooses(self) -> bool:
        """Whether it picks words itself."""
        return next(iter(self.examples.values())).selected is not None

    @property
    def ranks(self) -> bool:
        """Whether it scores words, and does not only pick them."""
        return next(iter(self.examples.values())).scores is not None

    @property
    def counts(self) -> dict[str, int]:
        """The counts over all examples."""
        total: Counter[str] = Counter()
        for example in self.examples.values():
            total.update(example.counts)
        return dict(total)

    def told(self) -> tuple[str, ...]:
        """Return notes for the reader of the row, one line each."""
        of = f"{len(self.examples)} examples" + f" of {self.tool}" * bool(self.tool)
        counted = ", ".join(f"{name} {n}" for name, n in self.counts.items() if n)
        only = "picked words that are not ranked: at a longer length, no more than these"
        lines = (f"explanations made elsewhere, {of}", counted, "" if self.ranks else only, *self.notes)
        return tuple(f"{self.method}: {line}" for line in lines if line)

    @cached_property
    def identity(self) -> str:
        """A hash of its content."""
        return sha256("".join(self.lines()).encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """Yield the lines of its file."""
        header = {"explanations": VERSION, "name": self.name, "tool": self.tool}
        header |= {"settings": dict(self.settings), "notes": list(self.notes), "examples": len(self.examples)}
        for row in (header, *(example.to_row() for example in self.examples.values())):
            yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write its file, whole or not at all.

        Raises:
            InputError: another file is there, or explanations that must not be overwritten.
        """
        path = Path(path)
        refuse_taken(path, overwrite)
        write_text(path, "".join(self.lines()))
        return path

    @classmethod
    def of(cls, name: str, examples: Iterable[WordExplanation], **more: Any) -> Self:
        """Return explanations by example, at most one each.

        Raises:
            InputError: an example is there twice, or there is none.
        """
        found: dict[str, WordExplanation] = {}
        for example in examples:
            if example.id in found:
                raise InputError(Fault.of("the example is explained twice", id=example.id))
            found[example.id] = example
        return cls(name, found, **more)


def refuse_taken(path: Path, overwrite: bool) -> None:
    """Refuse a path that is taken; an explanations file may be replaced with `overwrite`."""
    if not path.exists() or (overwrite and is_explanations(path)):
        return
    again = "it is no explanations file" if overwrite else "choose another --out, or --overwrite"
    raise InputError(Fault.of(f"a file of this name exists; {again}", path))


def is_explanations(path: Path) -> bool:
    """Return whether a file begins as one of explanations."""
    try:
        with regular(path) as file:
            head = json.loads(file.readline(MOST_LINE))
    except (OSError, ValueError, RecursionError, InputError):
        return False
    return isinstance(head, dict) and "explanations" in head
