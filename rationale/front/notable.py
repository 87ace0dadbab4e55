"""Notable examples of a run, with the words that annotators and methods picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.templates import fragment

SECTIONS = ("annotators", "methods", "first", "wrong")  # as rationale.evaluation.collect lists them


@dataclass(frozen=True, repr=False)
class ShownExamples:
    """Examples with, for each method, its words beside the annotators'; a notebook shows them in colour."""

    title: str
    number: str  # what the number beside an example is
    budget: str
    examples: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        ids = ", ".join(e["item"].example.id for e in self.examples)
        return f"{self.title}: {ids or 'none'}"

    def _repr_html_(self) -> str:
        """Return the examples as HTML with their words in colour, every text escaped."""
        return fragment("examples.html", shown=self)


def examples_of(sections: Sequence[dict[str, Any]], which: str, size: int, budget: str) -> ShownExamples:
    """Return examples of one of SECTIONS."""
    if which not in SECTIONS:
        raise InputError(Fault(f"one of {', '.join(SECTIONS)}", short_repr(which)))
    section = sections[SECTIONS.index(which)]
    return ShownExamples(section["title"], section["number"], budget, tuple(section["examples"][:size]))
