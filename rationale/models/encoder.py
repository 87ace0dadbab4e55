"""Hugging Face's own encoder layers, run padded (soft removal) or packed (hard removal).

Any encoder whose model has `embeddings` and `encoder.layer`, and whose layers hand their keyword arguments
to the attention function: BERT, RoBERTa, ELECTRA, MiniLM and kin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.packed import NAME, Rows, in_steps, rows_of

CLOSE = 0.02  # of logits, as a share: rounding of half-precision weights stays far below
# (layer, states [P,D], rows) → (kept [P], score [P])
Choose = Callable[[int, Tensor, Rows], tuple[Tensor, Tensor | None]]


class Halting(Protocol):
    """Who decides, for one batch, which sequences stop before the last layer."""

    def stops(self, layer: int, first: Tensor, running: Tensor) -> Tensor | None:
        """Return True for those that stop after the layer [N], from their [CLS] states [N,D].

        `running` [N] says which of the batch they are. None: nobody.
        """

    def logits(self) -> Tensor:
        """Return the answers [B,C], once all have stopped."""


@dataclass(frozen=True)
class LayerTrace:
    """Which tokens a layer worked on [B,T], in original positions, and their contribution scores."""

    kept: Tensor
    contribution: Tensor | None


@dataclass(frozen=True)
class Output:
    """Logits [B,C] and what each layer kept.

    `exit_layer` [B], where sequences may stop early, is how many layers each ran; later ones kept nothing.
    """

    logits: Tensor
    trace: tuple[LayerTrace, ...]
    exit_layer: Tensor | None = None


def base_of(model: PreTrainedModel) -> Any:
    """Return the encoder inside a classifier; its parts differ by family and carry no types."""
    return model.base_model


def check_encoder(model: PreTrainedModel) -> None:
    """Refuse a model whose encoder cannot be run layer by layer."""
    base = base_of(model)
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not hasattr(base, "embeddings"):
        expected = "an encoder with embeddings and encoder.layer (BERT, RoBERTa, ELECTRA, MiniLM, …)"
        raise InputError(Fault(expected, type(model).__name__))
    if not getattr(model, "_supports_attention_backend", False):  # MPNet, DeBERTa: ours would not be called
        expected = "an encoder whose attention function can be replaced (transformers' AttentionInterface)"
        raise InputError(Fault(expected, type(model).__name__))


@torch.inference_mode()
def check_packed(model: PreTrainedModel, where: Path) -> None:
    """Refuse a model in eval mode whose answers are not embeddings, layers and head alone.

    RoBERTa-PreLayerNorm has one more norm after its layers, MobileBERT's embeddings read neighbours.
    """
    ids = torch.arange(5, 15, device=model.device).view(2, 5) % model.config.vocab_size
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], device=model.device, dtype=torch.bool)
    expected = "a model whose answer is that of its embeddings, layers and head (BERT, RoBERTa, ELECTRA, …)"
    try:
        own = model(input_ids=ids, attention_mask=real.long()).logits.float()
        ours = run_packed(model, ids, torch.zeros_like(ids), real, keep_all).logits.float()
    except Exception as error:  # whatever layers of another kind say to it
        raise InputError(
            Fault(expected, f"{type(error).__name__} in {type(model).__name__}", where)
        ) from None
    if (apart := float((own - ours).abs().max())) > CLOSE * (1 + float(own.abs().max())):
        got = f"logits {apart:.2g} apart in {type(model).__name__}"
        raise InputError(Fault(expected, got, where))


def keep_all(layer: int, states: Tensor, rows: Rows) -> tuple[Tensor, None]:
    """Drop nothing."""
    return torch.ones(len(states), dtype=torch.bool, device=states.device), None


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the encoder's layers."""
    layers: nn.ModuleList = base_of(model).encoder.layer
    return layers


def width_of(model: PreTrainedModel) -> int:
    """Return D, the width of the states between layers, which a cut model's configuration does not tell."""
    norms = (m for m in layers_of(model)[0].modules() if isinstance(m, nn.LayerNorm))
    return int(next(norms).normalized_shape[0])


def position_offset(model: PreTrainedModel) -> int:
    """Return the position of the first token: RoBERTa's come after the padding index."""
    table = base_of(model).embeddings.position_embeddings
    return 0 if table.padding_idx is None else int(table.padding_idx) + 1


def check_lengths(model: PreTrainedModel, lengths: Sequence[int]) -> None:
    """Refuse an empty sequence, and one longer than the position table."""
    room = int(base_of(model).embeddings.position_embeddings.num_embeddings) - position_offset(model)
    if lengths and min(lengths) < 1:
        raise InputError(Fault("at least one token in each sequence", "an empty one"))
    if lengths and max(lengths) > room:
        raise InputError(
            Fault(f"at most {room} tokens in a sequence (the position table)", str(max(lengths)))
        )


def embed(model: PreTrainedModel, ids: Tensor, types: Tensor, positions: Tensor) -> Tensor:
    """Return the states that enter layer 0, for ids [B,T] or a packed row [1,P]."""
    base = base_of(model)
    if model.config.type_vocab_size == 1:
        types = torch.zeros_like(types)
    states: Tensor = base.embeddings(
        input_ids=ids, token_type_ids=types, position_ids=positions + position_offset(model)
    )
    project = getattr(base, "embeddings_project", None)
    return states if project is None else project(states)


class Head(nn.Module):
    """A classifier's pooler, where it has one, and its head: [CLS] states [B,D] → logits [B,C]."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        own: Any = model
        pooler = getattr(base_of(model), "pooler", None)
        self.pooler = nn.Identity() if pooler is None else nn.Sequential(pooler, own.dropout)
        self.classifier = own.classifier

    def forward(self, first: Tensor) -> Tensor:
        """Return logits [B,C]."""
        logits: Tensor = self.classifier(self.pooler(first[:, None]))
        return logits


def classify(model: PreTrainedModel, first: Tensor) -> Tensor:
    """Return logits [B,C] from the last states of [CLS] [B,D], by the model's own pooler and head."""
    logits: Tensor = Head(model)(first)
    return logits


@contextmanager
def attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Run the model with another attention function.

    The layers read it from the configuration they share. `set_attn_implementation` looks through all modules
    for others, which takes longer than a layer of a short batch.
    """
    before = model.config._attn_implementation
    model.config._attn_implementation = name
    try:
        yield
    finally:
        model.config._attn_implementation = before


def run_packed(
    model: PreTrainedModel,
    ids: Tensor,
    types: Tensor,
    real: Tensor,
    choose: Choose,
    halting: Halting | None = None,
) -> Output:
    """Run the encoder over the real tokens only, dropping before each layer what `choose` does not keep.

    Args:
        model: a sequence classifier of check_encoder's kind, in eval mode.
        ids: [B,T], padded anywhere.
        types: token types [B,T].
        real: True for text [B,T].
        choose: the removal rule; must keep each sequence's first token.
        halting: the rule for whole sequences, which leave the batch when they stop.
    """
    lengths = tuple(real.sum(1).tolist())
    check_lengths(model, lengths)
    rows = rows_of(lengths, ids.device)
    place = real.flatten().nonzero()[:, 0]  # of each packed token in the padded batch
    positions = (real.long().cumsum(1) - 1)[real]
    states = embed(model, ids[real][None], types[real][None], positions[None])
    layers, trace = layers_of(model), []
    running = torch.arange(len(lengths), device=ids.device)
    exit_layer = torch.full_like(running, len(layers))
    with attention(model, NAME):
        for i, layer in enumerate(layers):
            kept, score = choose(i, states[0], rows)
            trace.append(_trace(real, place, kept, score))
            states, place, rows = states[:, kept], place[kept], rows.keep(kept)
            states = in_steps(partial(layer, rows=rows), states)
            stop = None if halting is None else halting.stops(i, states[0, rows.first], running)
            if stop is None:
                continue
            exit_layer[running[stop]] = i + 1
            running, stays, rows = running[~stop], ~stop[rows.owner], rows.leave(stop)
            if not rows.lengths:
                break
            states, place = states[:, stays], place[stays]
    if halting is None:
        return Output(classify(model, states[0, rows.first]), tuple(trace))
    unused = LayerTrace(torch.zeros_like(real), _no_scores(trace[-1].contribution))
    trace += [unused] * (len(layers) - len(trace))
    return Output(halting.logits(), tuple(trace), exit_layer)


def _no_scores(scores: Tensor | None) -> Tensor | None:
    return None if scores is None else torch.zeros_like(scores)


def _trace(real: Tensor, place: Tensor, kept: Tensor, score: Tensor | None) -> LayerTrace:
    """Scatter a packed layer's choice back to original positions [B,T]."""
    where = torch.zeros(real.numel(), dtype=torch.bool, device=real.device)
    where[place[kept]] = True
    scores = None
    if score is not None:
        scores = torch.zeros(real.numel(), dtype=score.dtype, device=real.device)
        scores[place] = score
        scores = scores.view_as(real)
    return LayerTrace(where.view_as(real), scores)
