"""A classifier run on a packed batch: before each layer tokens are dropped, after it whole texts may stop.

Hugging Face's own forward pass runs; `Packing` stands in for its layers. Before the first one the padded
batch becomes one row of real tokens, after the last one the head gets back what it reads.

Axes: B sequence, T token, t token up to the longest text, P packed token (fewer from layer to layer),
L layer, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from eraser import Fault, InputError
from rationale.models.packed.attention import NAME, PackedLayout, holding
from rationale.models.packed.entry import entering
from rationale.models.packed.layers import (
    Anatomy,
    anatomy_of,
    attention,
    base_of,
    check_layers,
    depth_of,
    inputs_of,
    layers_of,
    refused,
    rounding_tolerance,
    standing_in,
    width_of,
)
from rationale.models.packed.packing import Answered, Halting, LayerTrace, Packing, SelectTokens, Weigh
from rationale.models.packed.soft import anchors, run_padded, softly_answered, weighed

__all__ = ["Halting", "LayerTrace", "Output", "check_encoder", "check_packed", "depth_of",
           "SelectTokens", "keep_all", "layers_of", "run_packed", "width_of"]  # fmt: skip


@dataclass
class Output(ModelOutput):
    """Loss where labels were given, logits [B,C], and what each layer kept.

    `exit_layer` [B], where sequences may stop early, is how many layers each ran; later ones kept nothing.
    `hidden_states` [B,T,D], where asked for, are those entering each layer and leaving the last; 0 where a
    token was gone.
    """

    loss: Tensor | None = None
    logits: Tensor = None  # type: ignore[assignment]  # a field after one with a default
    trace: tuple[LayerTrace, ...] = None  # type: ignore[assignment]
    exit_layer: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


def check_encoder(model: PreTrainedModel) -> None:
    """Refuse a model whose layers cannot be replaced, without running it."""
    check_layers(model)


@torch.inference_mode()
def check_packed(model: PreTrainedModel, where: str | Path) -> None:
    """Refuse a model (in eval mode) whose packed pass answers differently: alone, in a batch, or dropping."""
    try:
        anatomy = anatomy_of(model)
        apart = _apart(model, anatomy)
    except InputError as error:
        faults = (replace(f, file=where) for f in error.faults)
        raise InputError(*faults) from None
    except Exception as error:  # whatever layers of another kind say to it
        why = refused(model, f"{type(error).__name__} on a packed row")
        raise InputError(*(replace(f, file=where) for f in why.faults)) from None
    if apart > rounding_tolerance(model.dtype):
        why = refused(model, f"logits {apart:.2g} apart on a packed row")
        raise InputError(*(replace(f, file=where) for f in why.faults))


def _apart(model: PreTrainedModel, anatomy: Anatomy) -> float:
    """Return the largest difference between answers that must be equal.

    Those of a packed run and the library's; of removal in a batch, of removal alone, and of a padded pass in
    which what is gone is hidden from attention.
    """
    size, lengths = int(model.config.vocab_size), (7, 3)
    pad = getattr(model.config, "pad_token_id", None) or 0
    ids = (torch.arange(14, device=model.device).view(2, 7) + pad + 1) % size  # [B,T]
    real = torch.arange(7, device=model.device) < torch.tensor(lengths, device=model.device)[:, None]  # [B,T]
    ids = ids.where(real, torch.tensor(pad, device=model.device))  # [B,T]
    types = torch.zeros_like(ids)  # [B,T]

    def thinned(layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, None]:
        kept = (rows.position + layer) % 3 > 0  # [P]
        kept[rows.anchor] = True
        return kept, None

    own = model(input_ids=ids, **inputs_of(model, types, real)).logits  # [B,C]
    packed = run_packed(model, ids, types, real, keep_all).logits  # [B,C]
    together = run_packed(model, ids, types, real, thinned).logits  # [B,C]
    rows = ((ids[i : i + 1, :n], real[i : i + 1, :n]) for i, n in enumerate(lengths))
    alone = torch.cat([run_packed(model, row, row * 0, its, thinned).logits for row, its in rows])  # [B,C]
    hidden = _hidden(model, ids, types, real, lambda layer, position: (position + layer) % 3 > 0)  # [B,C]
    pairs = ((own, packed), (together, alone), (together, hidden))
    return max(float((a.float() - b.float()).abs().max() / (1 + a.float().abs().max())) for a, b in pairs)


def _hidden(
    model: PreTrainedModel, ids: Tensor, types: Tensor, real: Tensor, keeps: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """Return logits [B,C] of a padded pass; what `keeps` of layer and places [B,T] leaves out is no key."""
    position = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)  # [B,T]
    always = anchors(model, real)  # [1,T] or [B,T]
    there, last = real, ids  # [B,T]; `last` becomes states [B,T,D]

    def step(layer: int, entering: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        nonlocal there, last
        there = there & (keeps(layer, position) | always)  # [B,T]
        keys = there[:, None, None]  # [B,1,1,T]
        last = weighed(run, entering, lambda logits: logits.masked_fill(~keys, -1e9).softmax(-1))  # [B,T,D]
        return last

    return softly_answered(model, run_padded(model, ids, types, real, step), last, there.float())  # [B,C]


def keep_all(layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, None]:
    """Drop nothing."""
    return torch.ones(len(states), dtype=torch.bool, device=states.device), None  # [P]


def room_of(model: PreTrainedModel) -> int | None:
    """Return how many tokens the table of positions has room for, or None without a table."""
    table = getattr(getattr(base_of(model), "embeddings", None), "position_embeddings", None)
    if table is None:
        return None
    return int(table.num_embeddings) - (0 if table.padding_idx is None else int(table.padding_idx) + 1)


def check_lengths(model: PreTrainedModel, lengths: tuple[int, ...]) -> None:
    """Refuse an empty sequence, and one longer than the position table."""
    room = room_of(model)
    if lengths and min(lengths) < 1:
        raise InputError(Fault("at least one token in each sequence", "an empty one"))
    if lengths and room is not None and max(lengths) > room:
        raise InputError(
            Fault(f"at most {room} tokens in a sequence (the position table)", str(max(lengths)))
        )


def run_packed(  # noqa: PLR0913 (what a pass is made of)
    model: PreTrainedModel,
    ids: Tensor,
    types: Tensor | None,
    real: Tensor,
    select_tokens: SelectTokens,
    halting_policy: Halting | None = None,
    watch: Callable[[Tensor], None] | None = None,
    embeds: Tensor | None = None,
    weigh: Weigh | None = None,
) -> Output:
    """Run a classifier over the real tokens only, dropping before each layer what is not selected.

    Args:
        model: a sequence classifier whose anatomy can be told, in eval mode.
        ids: [B,T], padded anywhere.
        types: token types [B,T].
        real: True for text [B,T].
        select_tokens: the removal rule; must keep each sequence's token that the head reads (`rows.anchor`).
        halting_policy: the rule for whole sequences, which leave the batch when they stop.
        watch: told the states [B,T,D] that enter each layer and leave the last, 0 where a token was gone.
        embeds: word embeddings [B,T,D] in place of the ids' own; ids are still given, as heads look at them.
        weigh: what the states that enter a layer are multiplied by, for training through the removal rule.
    """
    lengths = tuple(real.sum(1).tolist())
    check_lengths(model, lengths)
    left = Leftward.of(real, max(lengths, default=0))
    ids, real = left.moved(ids), left.moved(real)  # [B,t], [B,t]
    types = None if types is None else left.moved(types)  # [B,t]
    embeds = None if embeds is None else left.moved(embeds)  # [B,t,D]
    noting = None if watch is None else (lambda states: watch(left.back(states)))
    real = read_real(model, ids, real)  # [B,t]
    packing = Packing(anatomy_of(model), real, select_tokens, halting_policy, noting, weigh)
    given = nullcontext() if embeds is None else entering(model, embeds)
    with given, standing_in(packing.anatomy.calls, packing), holding(packing):
        logits = _own_pass(model, packing, ids, types)  # [B,C]
    return Output(logits=logits, trace=left.traced(packing.trace), exit_layer=packing.exit_layer)


@dataclass(frozen=True)
class Leftward:
    """How the real tokens of a batch [B,T] are brought to its left, as the library's positions expect them.

    Columns beyond the `longest` text are left out; `order` [B,T] is None where nothing moves.
    """

    width: int  # T
    longest: int  # t
    order: Tensor | None  # [B,T]

    @classmethod
    def of(cls, real: Tensor, longest: int) -> Leftward:
        """Return how to move a batch whose tokens are real where `real` [B,T] says so."""
        moves = bool((real[:, 1:] & ~real[:, :-1]).any())
        order = real.long().argsort(dim=1, descending=True, stable=True) if moves else None  # [B,T]
        return cls(real.shape[1], longest, order)

    def moved(self, values: Tensor) -> Tensor:
        """Return values [B,T,…] in their new places [B,t,…]."""
        return (values if self.order is None else _reordered(values, self.order))[:, : self.longest]

    def back(self, values: Tensor) -> Tensor:
        """Return values [B,t,…] where their tokens were [B,T,…], 0 elsewhere."""
        if more := self.width - self.longest:
            gone = values.new_zeros(len(values), more, *values.shape[2:])  # [B,T − t,…]
            values = torch.cat([values, gone], dim=1)  # [B,T,…]
        return values if self.order is None else _reordered(values, self.order.argsort(dim=1))  # [B,T,…]

    def traced(self, trace: Sequence[LayerTrace]) -> tuple[LayerTrace, ...]:
        """Return what each layer kept, where the tokens were."""
        scores = ((t, None if t.contribution is None else self.back(t.contribution)) for t in trace)
        return tuple(LayerTrace(self.back(t.kept), its) for t, its in scores)


def _own_pass(model: PreTrainedModel, packing: Packing, ids: Tensor, types: Tensor | None) -> Tensor:
    """Return the logits [B,C] with which the library's pass ends."""
    inputs = inputs_of(model, types, packing.real) | {"attention_mask": packing.mask}
    name = NAME if packing.anatomy.replaceable else model.config._attn_implementation
    logits: Tensor
    try:
        with attention(model, name):
            logits = model(input_ids=ids, **inputs).logits  # [B,C]
    except Answered:
        assert packing.halting_policy is not None
        logits = packing.halting_policy.logits()  # [B,C]
    return logits


def _reordered(values: Tensor, order: Tensor) -> Tensor:
    """Return values [B,T,…] with each row's tokens in the order [B,T]."""
    index = order.view(*order.shape, *[1] * (values.dim() - 2))  # [B,T,1,…]
    index = index.expand(*order.shape, *values.shape[2:])  # [B,T,…]
    return values.gather(1, index)  # [B,T,…]


def read_real(model: PreTrainedModel, ids: Tensor, real: Tensor) -> Tensor:
    """Return the real tokens [B,T] up to the one that the head reads.

    Heads that read the last token look for the last that is not the padding id: behind it, where the text
    ends in that very id, nothing counts, as nothing before can see it.
    """
    pad = getattr(model.config, "pad_token_id", None)
    if anatomy_of(model).reads != "last" or pad is None:
        return real
    words = real & (ids != pad)  # [B,T]
    after = words.flip(1).long().cumsum(1).flip(1)  # [B,T]: how many tokens that are not padding follow
    found: Tensor = real & (after > 0) | real & ~words.any(1, keepdim=True)  # [B,T]
    return found
