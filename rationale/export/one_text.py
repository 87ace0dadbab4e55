"""A classifier's pass over one text, as a graph can hold it: before each layer tokens go, by the model's own rule.

There is no padding and no batch, so no mask: a token that is dropped is gone from every tensor after it.

Axes: T piece of the text, P piece still there (fewer from layer to layer), H head, d width of a head, D hidden
width, C class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens, exits_early
from rationale.models.packed.attention import NAME, holding
from rationale.models.packed.layers import Axes, LayerCall, anatomy_of, attention, standing_in



LONGEST = 2**31  # no window of attention reaches so far


@dataclass(frozen=True)
class OneLayout:
    """Where one text's pieces lie, as the rules of removal ask a packed batch of it (`PackedLayout`)."""

    position: Tensor  # [P]
    reach: int
    reads_last: bool
    lengths: tuple[None] = (None,)  # of one text; how long it is, a graph knows only when it runs
    traced: ClassVar[bool] = True

    @property
    def sequence_index(self) -> Tensor:
        """Zero for each piece [P]."""
        return torch.zeros_like(self.position)  # [P]

    @property
    def counts(self) -> Tensor:
        """How many pieces are there [1]."""
        return torch.ones_like(self.position).sum()[None]  # [1]

    @cached_property
    def anchor(self) -> Tensor:
        """The index of the piece that is never dropped [1], as the head reads it."""
        return self.counts - 1 if self.reads_last else torch.zeros_like(self.counts)  # [1]


class OneText(nn.Module):
    """Ids [1,T], and types [1,T] where the model has any → logits [1,C], layers [T], contribution [T].

    `layers` is how many layers each piece went through. `contribution` is its score at the layer that dropped
    it, or at the last one; 0 of a model that drops nothing.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        dense = unwrap(model)
        anatomy = anatomy_of(dense)
        check(model)
        self.model, self.dense, self.anatomy = model, dense, anatomy
        self.rows: Any = None  # of the pass that runs just now

    def forward(self, ids: Tensor, types: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Classify one text, as `check` found that a graph can."""
        place = torch.arange(ids.shape[1])  # [P], at first [T]
        self.rows = OneLayout(place, LONGEST, self.anatomy.reads == "last")
        layers = torch.zeros_like(place)  # [T]
        contribution = torch.zeros(ids.shape[1])  # [T]
        selects = drops_tokens(self.model)

        def step(layer: int, states: Tensor, run: LayerCall) -> Tensor:  # [1,P,D] → [1,P,D]
            nonlocal place, layers, contribution
            if selects:
                kept, score = self.model.select_tokens(layer, states[0], self.rows)  # [P], [P]
                if score is not None:
                    contribution = contribution.index_copy(0, place, score.float())  # [T]
                left = kept.nonzero()[:, 0]  # [P]
                torch._check(left.shape[0] >= 1)  # the anchor stays
                place, states = place.index_select(0, left), states.index_select(1, left)  # [P], [1,P,D]
                self.rows = replace(self.rows, position=place)
            layers = layers.index_add(0, place, torch.ones_like(place))  # [T]
            left_states = run.taking(self.anatomy.calls[layer], _at(place))(states)  # [1,P,D]
            if layer + 1 < len(self.anatomy.calls) or self.anatomy.reads != "last":
                return left_states
            return left_states.new_zeros(1, ids.shape[1], left_states.shape[-1]).index_copy(
                1, place, left_states
            )  # [1,T,D]: the head looks for the last piece by its place in the text

        inputs = {} if types is None else {"token_type_ids": types}
        with attention(self.dense, NAME), holding(self), standing_in(self.anatomy.calls, step):
            found = self.dense(input_ids=ids, attention_mask=None, **inputs)
        return found.logits, layers, contribution


def check(model: PreTrainedModel) -> None:
    """Refuse a model whose pass over one text no graph can hold.

    Raises:
        InputError: what it is that cannot be exported.
    """
    anatomy = anatomy_of(unwrap(model))
    if not anatomy.replaceable:
        raise InputError(Fault.of(f"{type(unwrap(model)).__name__} cannot be exported: its attention is its own"))
    if exits_early(model):
        raise InputError(Fault.of(f"{type(model).__name__} cannot be exported: its texts stop between layers"))


def _at(place: Tensor) -> Any:
    """Return what takes the pieces at these places [P] of a layer's argument."""

    def take(argument: Tensor, axes: Axes) -> Tensor:
        for axis, name in enumerate(axes):
            if name == "T":
                argument = argument.index_select(axis, place)
        return argument

    return take
