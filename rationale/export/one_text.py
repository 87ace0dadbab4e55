"""A classifier's pass over one text, ready to be traced: before each layer its own rule drops tokens.

There is no padding and no batch, so no mask: a dropped token is absent from every later tensor. A traced
graph cannot stop by itself; it reports where the text may stop, see `ExitPoint`.

Axes: T piece of the text, P remaining piece (fewer from layer to layer), D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens, has_dial
from rationale.models.packed.attention import NAME, holding
from rationale.models.packed.layers import Anatomy, Axes, LayerCall, anatomy_of, attention, standing_in

LONGEST = 2**31  # positions: no attention window is this wide


@dataclass(frozen=True)
class OneLayout:
    """Where one text's pieces lie, with what the removal rules use of a packed batch (`PackedLayout`)."""

    position: Tensor  # [P]
    read: Tensor | None  # [1], the place of the piece that the head reads and nothing drops; None: the first
    reach: int = LONGEST
    traced: ClassVar[bool] = True

    def of_each(self, values: Tensor) -> Tensor:
        """Return the value [1] of each piece's text, as it is."""
        return values  # [1]

    def shared(self, value: Tensor) -> Tensor:
        """Return value / P."""
        return value / self.position.shape[0]  # a number

    def softmax(self, raw: Tensor) -> Tensor:
        """Return the softmax of raw scores [P]."""
        return raw.softmax(0)  # [P]

    @cached_property
    def anchor(self) -> Tensor:
        """The index of the piece that is never dropped [1]."""
        if self.read is None:  # a constant in the graph: nothing before it can go
            return torch.zeros(1, dtype=torch.long, device=self.position.device)  # [1]
        return (self.position < self.read).long().sum()[None]  # [1]: number of pieces before it


@dataclass(frozen=True)
class PassOutput:
    """What a pass returns: logits [1,C], how many layers each piece went through [T], its contribution [T].

    The contribution is a piece's score at the layer that dropped it, or at the last layer; 0 for a model that
    drops nothing.
    """

    logits: Tensor
    layers: Tensor
    contribution: Tensor

    def outputs(self) -> tuple[Tensor, ...]:
        """Return what a graph gives, in the order of its outputs."""
        return self.logits, self.layers, self.contribution


@dataclass(frozen=True)
class ExitPoint:
    """Whether the text stops after a layer [1], and the results if it does."""

    stops: Tensor
    found: PassOutput

    def outputs(self) -> tuple[Tensor, ...]:
        """Return what a graph gives, in the order of its outputs."""
        return self.stops, *self.found.outputs()


class OneText(nn.Module):
    """Ids [1,T], and types [1,T] if the model has any → the results, then those of each exit."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model, self.dense = model, unwrap(model)
        self.anatomy = anatomy_of(self.dense)
        if not self.anatomy.replaceable:
            raise InputError(
                Fault.of(f"{type(self.dense).__name__} cannot be exported: its attention is its own")
            )

    def forward(self, ids: Tensor, types: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run transformers' own pass, each layer on the remaining pieces of the text."""
        run = _Pass(self.model, self.anatomy, ids)
        inputs = {} if types is None else {"token_type_ids": types}
        with attention(self.dense, NAME), holding(run), standing_in(self.anatomy.calls, run):
            logits = self.dense(input_ids=ids, attention_mask=run.mask, **inputs).logits  # [1,C]
        found = run.found(logits if run.halting_policy is None else run.halting_policy.logits())
        of_exits = (t for point in run.exits for t in point.outputs())
        return (*found.outputs(), *of_exits)


class _Pass:
    """Stands in for the layers of one pass, as `Packing` does for a batch."""

    def __init__(self, model: Any, anatomy: Anatomy, ids: Tensor) -> None:
        self.model, self.anatomy = model, anatomy
        self.halting_policy: Any = model.halting_policy() if has_dial(model) else None
        self.mask = torch.ones_like(ids)  # [1,T]
        every = torch.arange(ids.shape[1], device=ids.device)  # [T]
        read = _read_place(model, anatomy.reads, ids, every)  # [1], or None
        self.rows: Any = OneLayout(every, read)
        self.layers = torch.zeros_like(every)  # [T]
        self.contribution = torch.zeros(ids.shape[1], device=ids.device)  # [T]
        self.exits: list[ExitPoint] = []

    def __call__(self, layer: int, states: Tensor, run: LayerCall) -> Tensor:
        """Run a layer on states [1,P,D]; return the input of the next layer, or of the head."""
        if drops_tokens(self.model):
            states = self._selected(layer, states)  # [1,P,D]
        place = self.rows.position  # [P]
        self.layers = self.layers.index_add(0, place, torch.ones_like(place))  # [T]
        states = run.taking(self.anatomy.calls[layer], _at(place))(states)  # [1,P,D]
        if self.halting_policy is not None:
            self._may_stop(layer, states)
        return states if layer + 1 < len(self.anatomy.calls) else self._leaving(states)

    def found(self, logits: Tensor) -> PassOutput:
        """Return the results so far, with these logits [1,C]."""
        return PassOutput(logits.float(), self.layers, self.contribution)

    def _selected(self, layer: int, states: Tensor) -> Tensor:
        """Return the states [1,P,D] of the pieces that are kept."""
        kept, score = self.model.select_tokens(layer, states.squeeze(0), self.rows)  # [P], [P]
        place = self.rows.position  # [P]
        if score is not None:
            self.contribution = self.contribution.index_copy(0, place, score.float())  # [T]
        left = kept.nonzero().squeeze(1)  # [P]
        torch._check(left.shape[0] >= 1)  # type: ignore[no-untyped-call]  # the anchor stays
        self.rows = replace(self.rows, position=place.index_select(0, left))
        return states.index_select(1, left)  # [1,P,D]

    def _may_stop(self, layer: int, states: Tensor) -> None:
        """Note whether the text would stop after a layer."""
        only = torch.zeros(1, dtype=torch.long, device=states.device)  # [1], the one text
        if self.anatomy.reads == "all":
            stops = self.halting_policy.should_stop(layer, states, only, torch.ones_like(states[..., 0]))
        else:
            stops = self.halting_policy.should_stop(layer, states[0, self.rows.anchor], only, None)
        if stops is not None:
            self.exits.append(ExitPoint(stops, self.found(self.halting_policy.logits())))

    def _leaving(self, states: Tensor) -> Tensor:
        """Return the last layer's states at the positions where the head reads them."""
        if self.anatomy.reads == "first":
            return states  # [1,P,D]
        place, width = self.rows.position, self.mask.shape[1]  # [P], T
        if self.anatomy.reads == "all":  # of what is left
            self.mask.zero_()[0].index_fill_(0, place, 1)  # [1,T]
        gone = states.new_zeros(1, width, states.shape[-1])  # [1,T,D]
        return gone.index_copy(1, place, states)  # [1,T,D]


def _read_place(model: PreTrainedModel, reads: str, ids: Tensor, every: Tensor) -> Tensor | None:
    """Return the position [1] of the piece that the head reads; None: the first, also if it reads all."""
    if reads != "last":
        return None
    pad = getattr(unwrap(model).config, "pad_token_id", None)
    if pad is None:
        return every[-1:]  # [1]
    words: Tensor = every * (ids[0] != pad)  # [T]
    return words.max()[None]  # [1]


def _at(place: Tensor) -> Callable[[Tensor, Axes], Tensor]:
    """Return a function that selects the pieces at these positions [P] from a layer's argument."""

    def take(argument: Tensor, axes: Axes) -> Tensor:
        for axis, name in enumerate(axes):
            if name == "T":
                argument = argument.index_select(axis, place)
        return argument

    return take
