"""A method's scores on other models than its own, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eraser.types import Floats
from rationale.attribution.methods import METHODS
from rationale.evaluation.pipeline import Item, get_method
from rationale.trusting.subject import Subject

FEW = 12  # texts explained again, by several models or edits: each costs as much as in an evaluation
NO_MEMORY = ("out of memory", "allocate memory")  # as torch and this suite say it
MORE = 24  # texts explained again but once, or only read


def few_of(subject: Subject, most: int = FEW) -> tuple[tuple[Item, ...], tuple[int, ...]]:
    """Return the first texts of a subject, and the class explained of each."""
    return subject.items[:most], subject.targets[:most]


@dataclass
class OtherModel:
    """Another model in the place of a subject's, made when it is first needed, of what a method explains."""

    name: str
    make: Callable[[Any], Any]
    depends: Any = None
    made: dict[bool, Any] = field(default_factory=dict)

    def of(self, subject: Subject, adaptive: bool) -> Any:
        """Return the model that stands for what adaptive methods, or all others, explain."""
        if adaptive not in self.made:
            self.made[adaptive] = self.make(subject.run.classifier if adaptive else subject.run.explained)
        return self.made[adaptive]


def cannot_run_again(subject: Subject, method: str) -> str | None:
    """Return why a method cannot explain another model; None where it can."""
    if method in subject.run.imported:
        return f"{method} was computed elsewhere and cannot be run again here"
    return None


def why_not(error: Exception) -> str:
    """Return why a method fails on something else, as its line on the card says it and keeps it.

    A failure that may pass, as of memory or of a disk, is raised again: what is told stays on disk.
    """
    if isinstance(error, MemoryError | OSError) or any(sign in str(error) for sign in NO_MEMORY):
        raise error
    return str(error)


def scores_on(subject: Subject, method: str, other: OtherModel) -> list[Floats]:
    """Return a method's scores [W] of the first texts on another model, for the classes explained before."""
    items, targets = few_of(subject)

    def compute() -> list[dict[str, Any]]:
        asked = other.of(subject, get_method(method).adaptive)
        found = subject.explain(method, items, targets, classifier=asked)
        return [{"id": i.example.id, "scores": a.scores.tolist()} for i, a in zip(items, found, strict=True)]

    known = {} if method in METHODS else {"code": get_method(method).code}
    rows = subject.part(f"again-{method}", [other.name, other.depends, FEW, known], compute)
    return [np.array(row["scores"], dtype=np.float64) for row in rows]
