"""A data set's models, trained one after another from those before; finished ones are kept as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eraser import Dataset, Fault, InputError
from rationale.hf.classifier import new_classifier
from rationale.reproduce.sets import PublishedSet
from rationale.settings import names_in
from rationale.training.adaptive import train_adaptive
from rationale.training.dense import train_dense
from rationale.training.recipes.table import RECIPES


@dataclass(frozen=True)
class Training:
    """What a data set's models are trained from, and where they are written: one folder per model."""

    of: PublishedSet
    dataset: Dataset
    backbone: str
    out: Path
    run: Mapping[str, Any]  # settings that the command gives to all: seed, precision, device

    @property
    def dense(self) -> Path:
        """The folder of the dense model."""
        return self.out / "dense"

    def adaptive(self, name: str, recipe: str, settings: Any, start: str | None = None) -> None:
        """Train a recipe's model on the dense one, or on the model `start`."""
        begin = None if start is None else self.out / start
        train_adaptive(RECIPES[recipe], self.dense, self.dataset, self.out / name, settings, begin)


def _dense(t: Training) -> None:
    def start() -> Any:
        return new_classifier(t.backbone, t.dataset.labels)

    train_dense(start, t.dataset, t.dense, t.of.dense_settings(**t.run), t.backbone)


def _adapler(t: Training) -> None:
    t.adaptive("adapler", "adapler", t.of.adapler_settings(**t.run))


def _pruned(t: Training) -> None:
    t.adaptive("pruned", "prune", t.of.pruned_settings(**t.run))


def _stack(t: Training) -> None:
    t.adaptive("stack", "adapler", t.of.stack_settings(**t.run), "pruned")


STEPS: dict[str, Callable[[Training], None]] = {
    "dense": _dense,
    "adapler": _adapler,
    "pruned": _pruned,
    "stack": _stack,
}
NEEDED: dict[str, tuple[str, ...]] = {  # model that may be requested → its steps, in order
    "adapler": ("dense", "adapler"),
    "stack": ("dense", "pruned", "stack"),
}


def named_models(text: str) -> tuple[str, ...]:
    """Return the models named in a comma-separated list.

    Raises:
        InputError: one is unknown.
    """
    names = names_in(text)
    if unknown := [name for name in names if name not in NEEDED]:
        raise InputError(Fault(f"models of {', '.join(NEEDED)}", repr(unknown[0])))
    return tuple(name for name in NEEDED if name in names)


def train(training: Training, models: Sequence[str]) -> None:
    """Train these models, and first those that they need."""
    needed = {step for name in models for step in NEEDED[name]}
    for step, run in STEPS.items():
        if step in needed:
            run(training)
