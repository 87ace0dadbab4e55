"""Models whose matrices are really cut: what the gates closed is gone from memory, file and time.

A cut classifier is of the same Hugging Face class as the one it was cut from; its configuration tells the
original sizes and, in `cut`, how many heads and FFN units each layer has left and how many hidden
dimensions there are. `Pruned…` lets the Auto classes load one. Heads keep their width. A sublayer with
nothing left still adds its output bias and is followed by its norm, as under closed gates.

Axes: L layer, H head, F FFN unit, D hidden dimension, d head width; H', F', D' what is left.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from eraser import Fault, InputError
from rationale.models.gates import (
    Dimensions,
    Openings,
    check_matrices,
    dimensions,
    projection,
    sizes_of,
    stream_norms,
)
from rationale.models.layers import base_of, layers_of
from rationale.models.wrapped import WrappedConfig


@dataclass(frozen=True)
class Kept:
    """The indices of what stays: each layer's heads [H'] and units [F'], the hidden dimensions [D']."""

    heads: tuple[Tensor, ...]
    units: tuple[Tensor, ...]
    hidden: Tensor

    def counts(self) -> dict[str, Any]:
        """Return how many there are, as the configuration's `cut` says it."""
        return {
            "heads": [len(h) for h in self.heads],
            "units": [len(u) for u in self.units],
            "hidden": len(self.hidden),
        }


class NoAttention(nn.Module):
    """A self-attention without heads: nothing is read, and the context has no width."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return (context [..., 0], no weights) of states [..., D']."""
        return hidden_states[..., :0], None


@torch.no_grad()
def cut(model: PreTrainedModel, openings: Openings) -> PreTrainedModel:
    """Return a new classifier without what is closed, the other gates folded into its weights.

    It answers as `model` does under `gated(model, openings)`.
    """
    sizes = dimensions(model)
    _check_openings(openings, sizes)
    kept = Kept(
        tuple(scale.nonzero()[:, 0] for scale in openings.head_scales),
        tuple(scale.nonzero()[:, 0] for scale in openings.unit_scales),
        openings.hidden.nonzero()[:, 0],
    )
    small = deepcopy(model)
    _fold(small, openings, sizes.head_width)
    _shrink(small, kept, sizes.head_width)
    small.config.cut = kept.counts()
    return small


def build(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a classifier with fresh weights, of the sizes in `config.cut` where there is one."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    counts = getattr(config, "cut", None)
    if counts is not None:
        check_matrices(model)
        sizes = sizes_of(config)
        check_cut(counts, sizes)
        kept = Kept(
            tuple(map(torch.arange, counts["heads"])),
            tuple(map(torch.arange, counts["units"])),
            torch.arange(counts["hidden"]),
        )
        _shrink(model, kept, sizes.head_width)
    return model


def original(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration before the cut."""
    before = deepcopy(config)
    if hasattr(before, "cut"):
        del before.cut
    return before


def check_cut(counts: Any, sizes: Dimensions) -> None:
    """Refuse a `cut` that is not of a model of these sizes."""
    if not isinstance(counts, dict) or set(counts) != {"heads", "units", "hidden"}:
        raise InputError(Fault("a cut of heads, units and hidden", str(counts)))
    faults = []
    for name, most in (("heads", sizes.heads), ("units", sizes.units)):
        given = counts[name]
        if (
            not isinstance(given, list)
            or len(given) != sizes.layers
            or not all(_whole(n, 0, most) for n in given)
        ):
            faults.append(Fault(f"{name} left in {sizes.layers} layers, each 0 to {most}", str(given)))
    if not _whole(counts["hidden"], 1, sizes.hidden):
        faults.append(Fault(f"hidden dimensions left, 1 to {sizes.hidden}", str(counts["hidden"])))
    if faults:
        raise InputError(*faults)


def _whole(number: Any, least: int, most: int) -> bool:
    return type(number) is int and least <= number <= most


def _check_openings(openings: Openings, sizes: Dimensions) -> None:
    """Refuse openings of another model, and those that leave no hidden dimension."""
    n = sizes.layers
    shapes = ((n, sizes.heads), (n, sizes.units), (sizes.hidden,), (n,), (n,))
    for field, shape in zip(fields(openings), shapes, strict=True):
        given = tuple(getattr(openings, field.name).shape)
        if given != shape:
            raise InputError(Fault(f"openings of {field.name} {shape}", str(given)))
    if not openings.hidden.any():
        raise InputError(Fault("at least one open hidden dimension", "none"))


def _fold(model: PreTrainedModel, openings: Openings, head_width: int) -> None:
    """Multiply gates into the weights they act on, in place."""
    columns = openings.head_scales.repeat_interleave(head_width, dim=1)
    for layer, head, unit in zip(list[Any](layers_of(model)), columns, openings.unit_scales, strict=True):
        layer.attention.output.dense.weight.mul_(head)
        layer.output.dense.weight.mul_(unit)
    for norm in stream_norms(model):
        norm.weight.mul_(openings.hidden)
        norm.bias.mul_(openings.hidden)
    project = projection(model)
    if project is not None:
        project.weight.mul_(openings.hidden[:, None])
        project.bias.mul_(openings.hidden)


def _shrink(model: PreTrainedModel, kept: Kept, head_width: int) -> None:
    """Leave only what is kept, in place: rows and columns go, values stay."""
    project = projection(model)
    if project is not None:
        _narrow(project, outputs=kept.hidden)
    else:
        for table in base_of(model).embeddings.children():
            if isinstance(table, nn.Embedding):
                table.weight, table.embedding_dim = _take(table.weight, 1, kept.hidden), len(kept.hidden)
    for norm in stream_norms(model):
        norm.weight, norm.bias = _take(norm.weight, 0, kept.hidden), _take(norm.bias, 0, kept.hidden)
        norm.normalized_shape = (len(kept.hidden),)
    for layer, heads, units in zip(list[Any](layers_of(model)), kept.heads, kept.units, strict=True):
        _shrink_attention(layer.attention, heads, kept.hidden, head_width)
        _narrow(layer.intermediate.dense, kept.hidden, units)
        _narrow(layer.output.dense, units, kept.hidden)
    _narrow(_reader(model), inputs=kept.hidden)


def _shrink_attention(attention: Any, heads: Tensor, hidden: Tensor, head_width: int) -> None:
    """Leave the heads [H'] of an attention sublayer, H' · d wide."""
    width = torch.arange(head_width, device=heads.device)
    context = (heads[:, None] * head_width + width).flatten()  # [H' · d]
    inner = attention.self
    if len(heads):
        for matrix in (inner.query, inner.key, inner.value):
            _narrow(matrix, hidden, context)
        inner.num_attention_heads, inner.all_head_size = len(heads), len(context)
    else:
        attention.self = NoAttention()
    _narrow(attention.output.dense, context, hidden)


def _reader(model: PreTrainedModel) -> nn.Linear:
    """Return the first matrix that reads the last states: the pooler's, or else the classifier's."""
    pooler = getattr(base_of(model), "pooler", None)
    head: Any = model.classifier if pooler is None else pooler
    return next(m for m in head.modules() if isinstance(m, nn.Linear))


def _narrow(linear: nn.Linear, inputs: Tensor | None = None, outputs: Tensor | None = None) -> None:
    """Leave only these inputs and outputs of a matrix; None leaves all.

    In place, for a new `nn.Linear` of no width would warn that it has nothing to initialise.
    """
    if inputs is not None:
        linear.weight, linear.in_features = _take(linear.weight, 1, inputs), len(inputs)
    if outputs is not None:
        linear.weight, linear.out_features = _take(linear.weight, 0, outputs), len(outputs)
        linear.bias = _take(linear.bias, 0, outputs)


def _take(parameter: Tensor, dim: int, index: Tensor) -> nn.Parameter:
    """Return a parameter of these rows (0) or columns (1) only."""
    taken = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(taken, parameter.requires_grad)


class PrunedConfig(WrappedConfig):  # type: ignore[no-untyped-call]
    """The configuration of a cut classifier, with its `cut`."""

    model_type = "pruned"

    # transformers makes a dataclass, without `encoder`, of a configuration that has no constructor of its own
    def __init__(self, encoder: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)


class PrunedForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A cut classifier as the Auto classes can load it; what runs is `model`."""

    config_class = PrunedConfig
    base_model_prefix = "model"

    def __init__(self, config: PrunedConfig) -> None:
        super().__init__(config)
        self.model = build(config.encoder_config())
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_dense(cls, dense: PreTrainedModel) -> PrunedForSequenceClassification:
        """Return a model with the weights of a classifier that `cut` made."""
        names = {"id2label": dense.config.id2label, "label2id": dense.config.label2id}
        model = cls(PrunedConfig(dense.config.to_dict(), **names))
        model.model.load_state_dict(dense.state_dict())
        return model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the classifier inside returns."""
        return self.model(*args, **kwargs)


AutoConfig.register("pruned", PrunedConfig)
AutoModelForSequenceClassification.register(PrunedConfig, PrunedForSequenceClassification)
