"""EXITS: the rules by which texts stop early; each is one function and one line of the table.

A rule is applied after every layer but the last, to the answers of the layers run so far. Each has a dial: at
0 every layer runs, and a larger value never makes a text stop later.

Axes: N running sequence, C class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEARLY = 1e-6  # of a layer: rounding error allowed in a number of layers after two divisions
TINY = 1e-30  # keeps logarithms finite


@dataclass(frozen=True)
class Standing:
    """The answers so far for the running texts.

    `own` [N,C] is y_n of the layer just run, `mixed` [N,C] is a_n of all layers so far, `p` [N] the weight
    that later layers may still have, `agreed` [N] how many layers in a row, up to this one, predict the same
    class.
    """

    own: Tensor
    mixed: Tensor
    p: Tensor
    agreed: Tensor
    done: int
    left: int


@dataclass(frozen=True)
class Exit:
    """A rule: which texts stop at a dial, and the dials that cover its whole range.

    `mixes`: the answer is a_n, otherwise that of the last layer run. `fixed`: all texts stop after the same
    layer, known in advance, and no earlier head runs.
    """

    stops: Callable[[Standing, float], Tensor]  # [N]
    dials: Callable[[int], tuple[float, ...]]  # number of layers → dials
    mixes: bool = False
    fixed: bool = False


# (a_n of the top class, of the runner-up, p_n, layers left) → True where no later layer can change the class
ExitRule = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def published_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return a_top (1 − p)^d >= a_second + d p."""
    return top * (1 - p) ** left >= second + left * p  # [N]


def tight_rule(top: Tensor, second: Tensor, p: Tensor, left: int) -> Tensor:
    """Return W (1 + a_top − a_second) >= 1, W = (1 − p)^d.

    The final answer is w a_n + (1 − w) q with w >= W; q is a distribution, at worst all on the runner-up.
    """
    return (1 - p) ** left * (1 + top - second) >= 1  # [N]


EXIT_RULES: dict[str, ExitRule] = {"published": published_rule, "tight": tight_rule}  # at dial 1


def certain(rule: ExitRule) -> Callable[[Standing, float], Tensor]:
    """Return DACT-BERT's stopping rule; `dial` divides p: above 1, the class may still change."""

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
    """Return the number of layers after which a dial stops all texts.

    >>> [layers_run(6, dial) for dial in (0, 1, 6 / 5, 2, 6, 60)]
    [6, 6, 5, 3, 1, 1]
    """
    return layers if dial < 1 else max(1, math.ceil(layers / dial - NEARLY))


def _geometric(low: float, high: float, count: int) -> Callable[[int], tuple[float, ...]]:
    return lambda layers: (0.0, *np.geomspace(low, high, count).tolist())


def _of_one(count: int) -> Callable[[int], tuple[float, ...]]:
    """Return dials from 0 to 1, close together at both ends: many answers lie near maximal uncertainty."""
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
