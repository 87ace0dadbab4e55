"""Whether rules conserve relevance on a model: found by trying each function that a pass calls.

With f(0) what a function gives where all that gradients go back to is 0, Σ x ⊙ (what is handed back) must
be Σ g ⊙ (f(x) − f(0)). So what a function adds that comes from no activation (a bias, a norm's shift, a
position) keeps its share, and nothing else is lost or made. A softmax is not
checked: its expansion keeps a share too, which is no f(0).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from rationale.attribution.backward.rules import SOFTMAXES, Ruled, Rules, followed

TOLERANCE, ROUNDED_TOLERANCE = 1e-3, 0.05  # of the relevance that is handed back; the latter in bf16
MASKED = 1e6  # a larger number says of a place that it is not looked at


@dataclass
class Met:
    """What a backward pass met: softmaxes, and the functions that do not conserve relevance."""

    softmaxes: int = 0
    unruled: list[str] = field(default_factory=list)


class Watched(Ruled):
    """Inside, functions run by their rules and are tried; `met` tells those that a backward pass reaches."""

    def __init__(self, rules: Rules, close: float = TOLERANCE) -> None:
        super().__init__(rules)
        self.close, self.met = close, Met()

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Try a function, then let it run."""
        softmax = func in SOFTMAXES
        followed_by = torch.is_grad_enabled() and bool(followed(args, kwargs))
        conserves = not followed_by or softmax or self._conserves(func, args, kwargs)
        found = super().run(func, args, kwargs)
        for output in followed(found) if softmax or not conserves else ():
            output.register_hook(self._noting(func.__name__, softmax))  # type: ignore[no-untyped-call]
        return found

    def _noting(self, name: str, softmax: bool) -> Any:
        def note(g: Tensor) -> None:
            if softmax:
                self.met.softmaxes += 1
            else:
                self.met.unruled.append(name)

        return note

    def _conserves(self, func: Any, args: Any, kwargs: Any) -> bool:
        with suppress(Exception):  # a function that cannot be tried so
            leaves, outputs = self._tried(func, (args, kwargs), nothing=False)
            _, absorbed = self._tried(func, (args, kwargs), nothing=True)
            return self._balanced(leaves, outputs, absorbed)
        return False

    def _tried(self, func: Any, given: Any, nothing: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Return copies of the inputs that need gradients, or zeros of their shapes, and the outputs."""
        leaves: list[Tensor] = []

        def copied(t: Any) -> Any:
            if not isinstance(t, Tensor):
                return t
            if not t.requires_grad:
                return t.clone()  # a function may work in place
            own = torch.zeros_like(t) if nothing else t.detach().clone()
            leaves.append(own.requires_grad_())
            return own.clone()

        args, kwargs = tree_map(copied, given)
        found = tree_flatten(super().run(func, args, kwargs))[0]
        return leaves, [t for t in found if isinstance(t, Tensor) and t.is_floating_point()]

    def _balanced(self, leaves: list[Tensor], outputs: list[Tensor], absorbed: list[Tensor]) -> bool:
        """Return whether what is handed back is what arrived, less what is absorbed."""
        pairs = [(y, zero) for y, zero in zip(outputs, absorbed, strict=True) if y.requires_grad]
        if not pairs:
            return True
        arriving = [_arriving(y) for y, _ in pairs]
        back = torch.autograd.grad([y for y, _ in pairs], leaves, arriving, allow_unused=True)
        handed = [_relevance(x, g) for x, g in zip(leaves, back, strict=True) if g is not None]
        got = [_relevance(y - zero, g) for g, (y, zero) in zip(arriving, pairs, strict=True)]
        lost = float(sum(t.sum() for t in got) - sum(t.sum() for t in handed))
        size = float(sum(t.abs().sum() for t in (*got, *handed)))
        return abs(lost) <= self.close * size


def _arriving(y: Tensor) -> Tensor:
    """Return random gradients in the shape of y, 0 where y masks a place out."""
    numbers = torch.arange(1, y.numel() + 1, device=y.device).sin().view(y.shape).to(y.dtype)
    return torch.where(y.detach().abs() < MASKED, numbers, 0)


def _relevance(x: Tensor, g: Tensor) -> Tensor:
    return torch.where(g == 0, 0, x.detach() * g).double()
