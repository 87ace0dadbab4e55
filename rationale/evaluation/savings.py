"""What a model that drops tokens or stops early saved on the texts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rationale.text_classifier import ModelClassifier


@dataclass(frozen=True)
class ComputeSavings:
    """Sums over windows: FLOPs of the dense model and of this one, tokens in each layer [L], exits [L].

    `exits` counts the windows by their last layer.
    """

    windows: int
    dense: float
    adaptive: float
    tokens: NDArray[np.int64]
    exits: NDArray[np.int64]

    def __add__(self, other: ComputeSavings) -> ComputeSavings:
        """Return the sums over the windows of both."""
        return ComputeSavings(
            self.windows + other.windows,
            self.dense + other.dense,
            self.adaptive + other.adaptive,
            self.tokens + other.tokens,
            self.exits + other.exits,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader is told."""
        tokens = " ".join(f"{n:.1f}" for n in self.tokens / self.windows)
        times = self.dense / self.adaptive
        saved = f"FLOPs speed-up {times:.2f}× over the dense model; tokens in each layer {tokens}"
        depth = len(self.exits)
        if self.exits[-1] == self.windows:
            return (saved,)
        mean = (self.exits * np.arange(1, depth + 1)).sum() / self.windows
        by_layer = " ".join(map(str, self.exits))
        return saved, f"mean exit layer {mean:.2f} of {depth}; windows by exit layer {by_layer}"


def savings_of(
    classifier: ModelClassifier, lengths: Sequence[int], kept: NDArray[np.int64]
) -> ComputeSavings:
    """Return what was saved on windows of these lengths, each layer working on `kept` tokens [L, window]."""
    from rationale.models.flops import costs, full_costs

    depth, model = len(kept), classifier.model
    exits = np.bincount((kept > 0).sum(0) - 1, minlength=depth)
    dense, adaptive = full_costs(model).dense(lengths).sum(), costs(model).shrinking(lengths, kept).sum()
    return ComputeSavings(len(lengths), float(dense), float(adaptive), kept.sum(1), exits)
