"""EXITS: the rules by which texts stop, one function and one line each.

All are asked after each layer but the last, with what the layers run so far have said. Each follows a dial:
0 runs every layer, and a larger one stops no text later.

Axes: N running sequence, C class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEARLY = 1e-6  # of a layer: what a number of layers may be off that was divided twice
TINY = 1e-30  # under a logarithm


@dataclass(frozen=True)
class Standing:
    """What the layers run so far say of the running texts.

    `own` [N,C] is y_n of the layer just run, `mixed` [N,C] is a_n of all so far, `p` [N] how much later ones
    may still matter, `agreed` [N] how many layers in a row, this one the last, gave one class.
    """

    own: Tensor
    mixed: Tensor
    p: Tensor
    agreed: Tensor
    done: int
    left: int


@dataclass(frozen=True)
class Exit:
    """A rule: which texts stop at a dial, and the dials at which it does from nothing to all it can do.

    `mixes`: the answer is a_n, else the last layer's own. `fixed`: all texts stop after one layer, known
    beforehand, and no head before that is run.
    """

    stops: Callable[[Standing, float], Tensor]  # [N]
    dials: Callable[[int], tuple[float, ...]]  # of a model with so many layers
    mixes: bool = False
    fixed: bool = False


# (a_n of the top class, of the runner-up, p_n, layers left) → True where no later layer can change the class
ExitRule = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def published_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return a_top (1 − p)^d >= a_second + d p."""
    return top * (1 - p) ** left >= second + left * p  # [N]


def tight_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return W (1 + a_top − a_second) >= 1, W = (1 − p)^d.

    The final answer is w a_n + (1 − w) q, w >= W, q a distribution: at worst all of it on the runner-up.
    """
    return (1 - p) ** left * (1 + top - second) >= 1  # [N]


EXIT_RULES: dict[str, ExitRule] = {"published": published_rule, "tight": tight_rule}  # at dial 1


def certain(rule: ExitRule) -> Callable[[Standing, float], Tensor]:
    """Return DACT-BERT's way to stop; `dial` divides p: above 1 texts stop before their class is certain."""

    def stops(now: Standing, dial: float) -> Tensor:
        best = now.mixed.topk(2, dim=-1).values  # [N,2]
        return rule(best[:, 0], best[:, 1], (now.p / dial).clamp(max=1), now.left)  # [N]

    return stops


def low_entropy(now: Standing, dial: float) -> Tensor:
    """Return True where the entropy of y_n is at most `dial` of the largest (DeeBERT, arXiv 2004.12993)."""
    entropy = -(now.own * (now.own + TINY).log()).sum(-1)  # [N]
    return entropy <= dial * math.log(now.own.shape[-1])  # [N]


def patient(now: Standing, dial: float) -> Tensor:
    """Return True where L / dial layers in a row gave one class (PABEE, arXiv 2006.04152: patience + 1)."""
    return now.agreed >= (now.done + now.left) / dial - NEARLY  # [N]


def shallow(now: Standing, dial: float) -> Tensor:
    """Return True for all once L / dial layers have run: truncated depth."""
    stop = now.done >= layers_run(now.done + now.left, dial)
    return torch.full_like(now.agreed, stop, dtype=torch.bool)  # [N]


def layers_run(layers: int, dial: float) -> int:
    """Return after how many of the layers a dial stops all texts.

    >>> [layers_run(6, dial) for dial in (0, 1, 6 / 5, 2, 6, 60)]
    [6, 6, 5, 3, 1, 1]
    """
    return layers if dial < 1 else max(1, math.ceil(layers / dial - NEARLY))


def _geometric(low: float, high: float, count: int) -> Callable[[int], tuple[float, ...]]:
    return lambda layers: (0.0, *np.geomspace(low, high, count).tolist())


def _of_one(count: int) -> Callable[[int], tuple[float, ...]]:
    """Return dials from 0 to 1, close to each other at both ends: many answers are hardly surer than none."""
    low = np.geomspace(1e-4, 0.5, count)
    return lambda layers: (0.0, *low.tolist(), *(1 - low[-2::-1]).tolist(), 1.0)


def _by_layer(layers: int) -> tuple[float, ...]:
    return (0.0, *(layers / k for k in range(layers, 0, -1)))


EXITS: dict[str, Exit] = {
    "published": Exit(certain(published_rule), _geometric(1e-2, 1e6, 97), mixes=True),
    "tight": Exit(certain(tight_rule), _geometric(1e-2, 1e6, 97), mixes=True),
    "entropy": Exit(low_entropy, _of_one(97)),
    "patience": Exit(patient, _by_layer),
    "depth": Exit(shallow, _by_layer, fixed=True),
}
