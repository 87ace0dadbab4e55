"""Matrices made smaller in place: gates are folded into weights, then closed parts are removed.

Heads keep their width. A sublayer with nothing left still adds its output bias and is followed by its norm,
as under closed gates.

Axes: H head, or group of heads that share their keys; F FFN unit, D hidden width, d head width;
H', F', D' what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rationale.models.gates import GateValues
from rationale.models.packed.matrices import Dimensions, Family, Layer, Matrices, Part, spans

COUNTS = ("num_attention_heads", "num_heads", "n_heads", "num_key_value_heads", "all_head_size")


@dataclass(frozen=True)
class KeptIndices:
    """The indices of what stays: each layer's heads [H'] and units [F'], the hidden dimensions [D']."""

    heads: tuple[Tensor, ...]  # [H'] of each layer
    units: tuple[Tensor, ...]  # [F'] of each layer
    hidden: Tensor  # [D']

    def counts(self) -> dict[str, Any]:
        """Return how many there are, as the configuration's `cut` says it."""
        return {
            "heads": [len(h) for h in self.heads],
            "units": [len(u) for u in self.units],
            "hidden": len(self.hidden),
        }


class NoAttention(nn.Module):
    """An attention without heads: nothing is read, and the context has no width.

    Its last matrix, where the family has it inside, is kept under its own name, for its bias.
    """

    def __init__(self, last: Part | None) -> None:
        super().__init__()
        self.last = None if last is None else last.name
        if last is not None:
            self.add_module(last.name, last.value)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return the context [..., 0] of states [..., D'], or the last matrix's bias, and no weights."""
        nothing = hidden_states[..., :0]  # [...,0]
        return (nothing if self.last is None else self.get_submodule(self.last)(nothing)), None


def fold(found: Matrices, openings: GateValues, sizes: Dimensions) -> None:
    """Multiply gates into the weights they act on, in place."""
    for layer, head, unit in zip(found.layers, openings.head_scales, openings.unit_scales, strict=True):
        width = layer.out_of_heads.in_features // sizes.heads
        layer.out_of_heads.weight.mul_(head.repeat_interleave(width))  # [D,H·d]
        layer.out_of_units.weight.mul_(unit)  # [D,F]
    for writer in (*found.writes, *found.distances[-1:]):
        _scale(writer, openings.hidden)


def _scale(writer: Any, hidden: Tensor) -> None:
    """Multiply what a module writes, [..., D], by [D], in its weights."""
    bias = getattr(writer, "bias", None)
    if bias is not None:
        bias.mul_(hidden)  # [D]
    if isinstance(writer, nn.Linear):
        writer.weight.mul_(hidden[:, None])  # [D,inputs]
    elif isinstance(writer, nn.Embedding):
        writer.weight.mul_(hidden)  # [rows,D]
    else:
        more = _added(writer)
        writer.weight.add_(more).mul_(hidden).sub_(more)  # [D]


def _added(norm: Any) -> float:
    """Return what a norm adds to its weight before it multiplies by it: Gemma's 1, else 0."""
    nothing = {name: torch.zeros_like(weight) for name, weight in norm.named_parameters()}
    states = torch.arange(len(norm.weight), dtype=norm.weight.dtype, device=norm.weight.device)  # [D]
    return float(functional_call(norm, nothing, (states + 1,)).any())


def shrink(found: Matrices, kept: KeptIndices, sizes: Dimensions) -> None:
    """Leave only what is kept, in place: rows and columns go, values stay."""
    for table in (*found.tables, *found.distances[:1]):
        _narrow_table(table, kept.hidden)
    if found.project is not None:
        _narrow(found.project, outputs=kept.hidden)
    for norm in found.norms:
        _narrow_norm(norm, kept.hidden)
    for layer, heads, units in zip(found.layers, kept.heads, kept.units, strict=True):
        _shrink_attention(found.family, layer, heads, kept.hidden, sizes)
        for part in layer.into_units:
            _narrow(part.value, kept.hidden, part.rows(units, sizes.units))
        _narrow(layer.out_of_units, units, kept.hidden)
    _narrow(found.head, inputs=kept.hidden)


def _shrink_attention(family: Family, layer: Layer, heads: Tensor, hidden: Tensor, sizes: Dimensions) -> None:
    """Leave the heads [H'] of an attention sublayer, each as wide as it was."""
    for part in layer.into_heads:
        rows = part.rows(heads, sizes.heads)
        if isinstance(part.value, nn.Parameter):
            setattr(part.owner, part.name, _take(part.value, 0, rows))
        else:
            _narrow(part.value, hidden, rows)
    out = layer.out_of_heads
    _narrow(out, spans(heads, out.in_features // sizes.heads), hidden)
    attention: Any = layer.module.get_submodule(family.attention)
    for name in COUNTS:
        if hasattr(attention, name):
            setattr(attention, name, getattr(attention, name) // sizes.heads * len(heads))
    if not len(heads):
        inside = family.out_of_heads.removeprefix(f"{family.attention}.")
        last = None if inside == family.out_of_heads else Part(attention, inside)
        layer.module.set_submodule(family.attention, NoAttention(last))


def _narrow(linear: nn.Linear, inputs: Tensor | None = None, outputs: Tensor | None = None) -> None:
    """Leave only these inputs and outputs of a matrix; None leaves all.

    In place, for a new `nn.Linear` of no width would warn that it has nothing to initialise.
    """
    if inputs is not None:
        linear.weight = _take(linear.weight, 1, inputs)  # [outputs,inputs']
        linear.in_features = len(inputs)
    if outputs is not None:
        linear.weight = _take(linear.weight, 0, outputs)  # [outputs',inputs']
        linear.out_features = len(outputs)
        if linear.bias is not None:
            linear.bias = _take(linear.bias, 0, outputs)  # [outputs']


def _narrow_table(table: nn.Embedding, hidden: Tensor) -> None:
    """Leave only these hidden dimensions of embeddings."""
    table.weight, table.embedding_dim = _take(table.weight, 1, hidden), len(hidden)  # [rows,D']


def _narrow_norm(norm: Any, hidden: Tensor) -> None:
    """Leave only these hidden dimensions of a norm."""
    for name, weight in list(norm.named_parameters()):
        setattr(norm, name, _take(weight, 0, hidden))  # [D']
    if hasattr(norm, "normalized_shape"):
        norm.normalized_shape = (len(hidden),)


def _take(parameter: Tensor, dim: int, index: Tensor) -> nn.Parameter:
    """Return a parameter of these rows (0) or columns (1) only."""
    taken = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(taken, parameter.requires_grad)
