"""The answers of a model with early exits for a batch, layer by layer, and which of its texts stop.

Axes: B sequence of the batch, N running sequence, T token, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rationale.models.exits.rules import TINY, Exit, Standing

# (layer, what the head reads [N,D] or [N,T,D], which tokens are real [N,T]) → y [N,C], h [N]
Read = Callable[[int, Tensor, Tensor | None], tuple[Tensor, Tensor]]


class Accumulator:
    """The answers [B,C] and weights p [B] of a batch, layer by layer.

    With `rule` None, answers are mixed as in training and no text stops. At dial 0 no text stops either.
    """

    def __init__(self, layers: int, read: Read, rule: Exit | None, dial: float = 1.0) -> None:
        self.layers, self.read, self.rule, self.dial = layers, read, rule, dial
        self.answer = self.mixed = self.p = torch.empty(0)  # [B,C], [B,C], [B]
        self.top_class = self.agreed = torch.empty(0, dtype=torch.long)  # [B], [B]
        self.answers: list[Tensor] = []  # y_n [N,C] of each layer whose head ran, for the running sequences
        self.ponder: list[Tensor] = []  # and p_n [N]

    def should_stop(
        self, layer: int, read: Tensor, running: Tensor, real: Tensor | None = None
    ) -> Tensor | None:
        """Add a layer; return True [N] for the sequences that stop."""
        rule, left = self.rule, self.layers - 1 - layer
        if rule is not None and rule.fixed and left and not self._all_stop(rule, layer, running):
            return None
        y, h = self.read(layer, read, real)  # [N,C], [N]
        now = self._take_in(y, h, running, layer)
        self.answers.append(y)
        self.ponder.append(now.p)
        answer = now.mixed if rule is None or rule.mixes else y  # [N,C]
        first = not len(self.answer)
        self.answer = answer if first else self.answer.index_copy(0, running, answer)  # [B,C]
        if rule is None or not self.dial or not left:
            return None
        return rule.stops(now, self.dial)  # [N]

    def _all_stop(self, rule: Exit, layer: int, running: Tensor) -> bool:
        """Return whether a fixed rule stops all texts after a layer; it needs nothing but their number."""
        nothing = torch.empty(0)
        now = Standing(nothing, nothing, nothing, running, layer + 1, self.layers - 1 - layer)
        return bool(self.dial and rule.stops(now, self.dial).all())

    def _take_in(self, y: Tensor, h: Tensor, running: Tensor, layer: int) -> Standing:
        """Mix in a layer's answers y [N,C] and weights h [N]; return the state of the running texts."""
        top_class, agreed, a, p = y.argmax(-1), torch.ones_like(running), y, h  # [N], [N], [N,C], [N]
        if not len(self.mixed):
            self.mixed, self.p, self.top_class, self.agreed = a, p, top_class, agreed  # of all [B]
        else:
            before = self.p[running]  # [N]
            a = before[:, None] * y + (1 - before[:, None]) * self.mixed[running]  # [N,C]
            p = h * before  # [N]
            agreed = torch.where(
                top_class == self.top_class[running], self.agreed[running] + 1, agreed
            )  # [N]
            self.mixed = self.mixed.index_copy(0, running, a)  # [B,C]
            self.p = self.p.index_copy(0, running, p)  # [B]
            self.top_class = self.top_class.index_copy(0, running, top_class)  # [B]
            self.agreed = self.agreed.index_copy(0, running, agreed)  # [B]
        return Standing(y, a, p, agreed, layer + 1, self.layers - 1 - layer)

    def logits(self) -> Tensor:
        """Return ln of the answers [B,C], which are distributions already."""
        return (self.answer + TINY).log()  # [B,C]
