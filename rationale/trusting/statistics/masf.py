"""Is a text in a model's distribution? Max-Simes-Fisher: a p value from the states of all layers.

The maximum over pieces of each unit of each layer is held against the same of reference texts, two-sided;
the p values of a layer's units are joined by Simes, the layers' by Fisher (Haroush, Frostig, Heller, Soudry
2022, arXiv 2102.12967; for text Madsen et al. 2024, arXiv 2310.07819, section 3.2). Half of the reference
texts give the distributions of units and layers, the other half that of the final statistic: so a text like
the reference gets p ≤ a with a chance of at most a, whatever the model. Published code uses all for both.

Axes: N reference text, n text, L layer, D unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Masf:
    """What reference texts are like, sorted: units [L,D,N/2], Simes of layers [L,N/2], statistics [N/2]."""

    units: Floats
    layers: Floats
    final: Floats

    @classmethod
    def of(cls, states: Floats) -> Masf:
        """Learn from the states [N,L,D] of at least four reference texts, every second one for each half."""
        first, second = states[::2], states[1::2]
        units = np.sort(np.moveaxis(first, 0, -1), axis=-1)  # [L,D,N/2]
        layers = np.sort(simes(two_sided(units, first)).T, axis=-1)  # [L,N/2]
        learned = cls(units, layers, np.empty(0))
        return cls(units, layers, np.sort(learned.statistics(second)))

    def statistics(self, states: Floats) -> Floats:
        """Return Fisher's statistic [n] of states [n,L,D]: large where a text is unlike the reference."""
        of_layers = simes(two_sided(self.units, states))  # [n,L]
        p = (1 + _counts(self.layers, of_layers, "right")) / (self.layers.shape[-1] + 1)  # [n,L]
        found: Floats = -2 * np.log(p).sum(-1)
        return found

    def p_values(self, statistics: Floats) -> Floats:
        """Return the share of reference texts, and the text itself, that are as unlike the reference [n]."""
        larger = len(self.final) - np.searchsorted(self.final, statistics, "left")
        found: Floats = (1 + larger) / (len(self.final) + 1)
        return found


def two_sided(known: Floats, states: Floats) -> Floats:
    """Return the two-sided p values [n,L,D] of states [n,L,D] among sorted ones [L,D,N]."""
    size = known.shape[-1]
    at_most = 1 + _counts(known, states, "right")
    at_least = 1 + size - _counts(known, states, "left")
    found: Floats = np.minimum(1.0, 2 * np.minimum(at_most, at_least) / (size + 1))
    return found


def simes(p: Floats) -> Floats:
    """Return Simes' combination [...] of p values [...,D]: the least of D · p_(k) / k."""
    size = p.shape[-1]
    found: Floats = (np.sort(p, axis=-1) * size / np.arange(1, size + 1)).min(-1)
    return found


def _counts(known: Floats, found: Floats, side: str) -> Ints:
    """Return how many of sorted numbers [...,N] lie before each of [n,...]."""
    flat, asked = known.reshape(-1, known.shape[-1]), found.reshape(len(found), -1)
    columns = [np.searchsorted(row, column, side) for row, column in zip(flat, asked.T, strict=True)]  # type: ignore[call-overload]
    return np.stack(columns, axis=1).reshape(found.shape)
