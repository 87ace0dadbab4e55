"""What happens at the layers of one packed pass: tokens are dropped before each, texts may stop after it.

Axes: B sequence, T token, P packed token (fewer from layer to layer), N running sequence, n token of one
sequence, L layer, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from rationale.models.packed.attention import PackedLayout, filling_of, packed_layout, pad_to_multiple
from rationale.models.packed.layers import Anatomy, Axes, LayerCall

# (layer, states [P,D], rows) → (kept [P], score [P])
SelectTokens = Callable[[int, Tensor, PackedLayout], tuple[Tensor, Tensor | None]]
Weigh = Callable[[int], Tensor]  # layer → what the states kept before it are multiplied by [P]


class Halting(Protocol):
    """Decides, for one batch, which sequences stop before the last layer."""

    def should_stop(self, layer: int, read: Tensor, running: Tensor, real: Tensor | None) -> Tensor | None:
        """Return True for those that stop after the layer [N], from the states that the head reads.

        `read` is [N,D], or [N,T,D] with `real` [N,T] where the head reads all; `running` [N] says which of
        the batch they are. None: nobody.
        """

    def logits(self) -> Tensor:
        """Return the answers [B,C], once all have stopped."""


@dataclass(frozen=True)
class LayerTrace:
    """Which tokens a layer worked on [B,T], in original positions, and their contribution scores."""

    kept: Tensor  # [B,T]
    contribution: Tensor | None  # [B,T]


class Answered(Exception):  # noqa: N818 (no error: the way out of a pass)
    """Raised when all sequences have their answer before the pass reaches its head."""


class Packing:
    """Stands in for the layers of one pass; its batch shrinks from layer to layer."""

    def __init__(
        self,
        anatomy: Anatomy,
        real: Tensor,
        select_tokens: SelectTokens,
        halting_policy: Halting | None = None,
        watch: Callable[[Tensor], None] | None = None,
        weigh: Weigh | None = None,
    ) -> None:
        self.anatomy, self.real, self.select_tokens = anatomy, real, select_tokens
        self.halting_policy, self.watch, self.weigh = halting_policy, watch, weigh
        self.mask = real.long()  # [B,T] what the pass is given
        self.rows = packed_layout(tuple(real.sum(1).tolist()), real.device, anatomy.reads == "last")
        self.place = real.flatten().nonzero()[:, 0]  # [P] of each packed token in the padded batch
        self.running = torch.arange(len(real), device=real.device)  # [N]
        self.exits = torch.full_like(self.running, len(anatomy.calls))  # [B]
        self.trace: list[LayerTrace] = []

    def __call__(self, layer: int, states: Tensor, run: LayerCall) -> Tensor:
        """Return what the next layer, or the head, is given."""
        if layer == 0:
            states = states.reshape(-1, states.shape[-1])[self.place][None]  # [B,T,D] → [1,P,D]
        self._note(states)
        kept, score = self.select_tokens(layer, states[0], self.rows)  # [P], [P]
        scores = None if score is None else self._scattered(score)  # [B,T]
        states = self._only(states, kept.nonzero()[:, 0])  # [1,P,D]
        there = torch.zeros_like(self.real).view(-1).index_fill_(0, self.place, True)  # [B·T]
        self.trace.append(LayerTrace(there.view_as(self.real), scores))  # [B,T], [B,T]
        if self.weigh is not None:
            states = states * self.weigh(layer).to(states.dtype)[:, None]  # [1,P,D]
        states = self._layer(layer, states, run)  # [1,P,D]
        states = self._without_stopped(layer, states)  # [1,P,D]
        return states if layer + 1 < len(self.anatomy.calls) else self._leaving(states)

    @property
    def exit_layer(self) -> Tensor | None:
        """How many layers each sequence ran [B], where sequences may stop."""
        return None if self.halting_policy is None else self.exits

    def _only(self, states: Tensor, index: Tensor) -> Tensor:
        """Return of packed states [1,P,D] those at `index` [K], and know that the others are gone."""
        if len(index) == len(self.place):
            return states
        self.place, self.rows = self.place[index], self.rows.keep(index)  # [K]
        return states.index_select(1, index)  # [1,K,D]

    def _layer(self, layer: int, states: Tensor, run: LayerCall) -> Tensor:
        """Return what the layer's own pass makes of packed states [1,P,D]."""
        call = self.anatomy.calls[layer]
        if self.anatomy.replaceable:
            place = self.place
            if filling := filling_of(states):
                place = torch.cat([place, place[-1:].expand(filling)])  # [P + filling]
            return pad_to_multiple(run.taking(call, partial(_packed, place, self.real.shape[1])), states)
        lengths = list(self.rows.lengths)  # n of each sequence
        parts = zip(torch.split(states, lengths, dim=1), torch.split(self.place, lengths), strict=True)
        width = self.real.shape[1]  # T
        return torch.cat([run.taking(call, partial(_alone, at, width))(part) for part, at in parts], dim=1)

    def _without_stopped(self, layer: int, states: Tensor) -> Tensor:
        """Return the states [1,P,D] of the sequences that do not stop after the layer."""
        if self.halting_policy is None:
            return states
        read, real = self._read(states)  # [N,D], or [N,T,D] and [N,T]
        stop = self.halting_policy.should_stop(layer, read, self.running, real)  # [N]
        if stop is None:
            return states
        stays = ~stop[self.rows.sequence_index]  # [P]
        self.exits[self.running[stop]] = layer + 1
        self.running, self.rows = self.running[~stop], self.rows.leave(stop)  # [N]
        self.place = self.place[stays]  # [P]
        if not self.rows.lengths:
            for _ in range(layer, len(self.anatomy.calls)):
                self._note(states[:, stays])  # [1,0,D]
            self._end()
        return states[:, stays]  # [1,P,D]

    def _end(self) -> None:
        """End the pass: every sequence has its answer, and nothing more need run."""
        scores = self.trace[-1].contribution  # [B,T]
        unused = LayerTrace(torch.zeros_like(self.real), None if scores is None else torch.zeros_like(scores))
        self.trace += [unused] * (len(self.anatomy.calls) - len(self.trace))
        raise Answered

    def _leaving(self, states: Tensor) -> Tensor:
        """Return what the head reads of the last layer's states, in the shape it expects."""
        self._note(states)
        if self.halting_policy is not None:
            self._end()
        if self.anatomy.reads == "first":  # it looks nowhere else
            return states[0, self.rows.anchor, None]  # [B,1,D]
        if self.anatomy.reads == "all":  # of what is left
            self.mask.zero_().view(-1)[self.place] = 1  # [B,T]
        return self._padded(states)  # [B,T,D]

    def _read(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the head reads of packed states: [N,D], or [N,T,D] and which are real [N,T]."""
        if self.anatomy.reads != "all":
            return states[0, self.rows.anchor], None  # [N,D]
        source, real = self.rows.padded  # [N,T], [N,T]
        return states[0][source] * real[..., None], real  # [N,T,D], [N,T]

    def _padded(self, states: Tensor) -> Tensor:
        """Return packed states [1,P,D] at their places in the padded batch [B,T,D], 0 elsewhere."""
        flat = states.new_zeros(self.real.numel(), states.shape[-1])  # [B·T,D]
        return flat.index_copy(0, self.place, states[0]).view(*self.real.shape, -1)  # [B,T,D]

    def _note(self, states: Tensor) -> None:
        if self.watch is not None:
            self.watch(self._padded(states))  # [B,T,D]

    def _scattered(self, values: Tensor) -> Tensor:
        """Return values of the tokens that are left [P] at their original positions [B,T], 0 elsewhere."""
        return values.new_zeros(self.real.numel()).index_copy(0, self.place, values).view_as(self.real)


def _packed(place: Tensor, width: int, argument: Tensor, axes: Axes) -> Tensor:
    """Return a layer's argument for packed tokens at these places [P] of the batch: […,T,…] → […,P,…]."""
    token = axes.index("T")
    if "B" not in axes:
        return argument.index_select(token, place % width)  # […,P,…]
    batch = axes.index("B")
    found = argument.movedim((batch, token), (0, 1))[place // width, place % width]  # [P,…]
    return found.unsqueeze(0).movedim((0, 1), (batch, token))  # […,1,…,P,…]


def _alone(place: Tensor, width: int, argument: Tensor, axes: Axes) -> Tensor:
    """Return a layer's argument for one sequence, whose tokens are at these places [P] of the batch."""
    if "B" in axes:
        argument = argument.narrow(axes.index("B"), int(place[0]) // width, 1)  # […,1,…,T,…]
    for dim, axis in enumerate(axes):
        if axis == "T":
            argument = argument.index_select(dim, place % width)  # […,n,…]
    return argument
