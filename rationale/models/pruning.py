"""Models whose matrices are really cut: what the gates closed is gone from memory, file and time.

A cut classifier is of the same Hugging Face class as the one it was cut from; its configuration tells the
original sizes and, in `cut`, how many heads (groups of heads, where several share their keys) and FFN units
each layer has left and how many hidden dimensions there are. `Pruned…` lets the Auto classes load one. Heads
keep their width. A sublayer with nothing left still adds its output bias and is followed by its norm, as under
closed gates.

Axes: L layer, H head, F FFN unit, D hidden dimension, d head width; H', F', D' what is left.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from eraser import Fault, InputError
from rationale.models.gates import Openings, gated
from rationale.models.layers import inputs_of, probe
from rationale.models.matrices import (
    Dimensions,
    Family,
    Layer,
    Matrices,
    Part,
    dimensions,
    matrices_of,
    sizes_of,
    spans,
    uncuttable,
)
from rationale.models.wrapped import WrappedConfig

CLOSE, HALF_CLOSE = 1e-3, 0.05  # of logits, as a share: what rounding may do in float32 and in less
COUNTS = ("num_attention_heads", "num_heads", "n_heads", "num_key_value_heads", "all_head_size")


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
    """An attention without heads: nothing is read, and the context has no width.

    Its last matrix, where the family has it inside, is kept under its own name, for its bias.
    """

    def __init__(self, last: Part | None) -> None:
        super().__init__()
        self.last = None if last is None else last.name
        if last is not None:
            self.add_module(last.name, last.value)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return (context [..., 0], or what the last matrix adds [..., D']; no weights) of states [..., D']."""
        nothing = hidden_states[..., :0]
        return (nothing if self.last is None else self.get_submodule(self.last)(nothing)), None


@torch.no_grad()
def cut(model: PreTrainedModel, openings: Openings) -> PreTrainedModel:
    """Return a new classifier without what is closed, the other gates folded into its weights.

    It answers as `model` does under `gated(model, openings)`, or is refused.
    """
    sizes = dimensions(model)
    _check_openings(openings, sizes)
    kept = Kept(
        tuple(scale.nonzero()[:, 0] for scale in openings.head_scales),
        tuple(scale.nonzero()[:, 0] for scale in openings.unit_scales),
        openings.hidden.nonzero()[:, 0],
    )
    small = deepcopy(model)
    found = matrices_of(small)
    _fold(found, openings, sizes)
    _shrink(found, kept, sizes)
    small.config.cut = kept.counts()
    _check_same(model, openings, small)
    return small


def check_cuttable(model: PreTrainedModel) -> None:
    """Refuse a classifier that cannot be cut: half of everything is, once, on a copy."""
    n, heads, units, hidden, *_ = dimensions(model)
    turn = torch.arange(n, device=model.device)[:, None]

    def every_other(count: int) -> Tensor:
        return (torch.arange(count, device=model.device) + turn) % 2 * 0.5

    one = every_other(max(2, hidden))[0, :hidden] + 0.25 * (hidden == 1)
    ones = torch.ones(n, device=model.device)
    cut(model, Openings(every_other(heads), every_other(units), one, ones, ones))


def _check_same(model: PreTrainedModel, openings: Openings, small: PreTrainedModel) -> None:
    """Refuse a cut model that does not answer as the gated one: its family's line is not true of it."""
    ids, _ = probe(model, 1, 9)
    inputs = inputs_of(model, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    small.eval()  # type: ignore[no-untyped-call]
    try:
        with gated(model, openings):
            expected = model(input_ids=ids, **inputs).logits.float()
        found = small(input_ids=ids, **inputs).logits.float()
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise uncuttable(model, f"{type(error).__name__} when a cut one is run") from None
    finally:
        model.train(training)
        small.train(training)
    apart = float((found - expected).abs().max() / (1 + expected.abs().max()))
    if not apart <= (CLOSE if model.dtype == torch.float32 else HALF_CLOSE):
        raise uncuttable(model, f"logits {apart:.2g} apart from those under its gates")


def build(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a classifier with fresh weights, of the sizes in `config.cut` where there is one."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.get_default_dtype()  # what it is loaded in, not what it was saved in
    )
    counts = getattr(config, "cut", None)
    if counts is not None:
        found = matrices_of(model)
        sizes = sizes_of(model, found)
        check_cut(counts, sizes)
        kept = Kept(
            tuple(map(torch.arange, counts["heads"])),
            tuple(map(torch.arange, counts["units"])),
            torch.arange(counts["hidden"]),
        )
        _shrink(found, kept, sizes)
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


def _fold(found: Matrices, openings: Openings, sizes: Dimensions) -> None:
    """Multiply gates into the weights they act on, in place."""
    for layer, head, unit in zip(found.layers, openings.head_scales, openings.unit_scales, strict=True):
        width = layer.out_of_heads.in_features // sizes.heads
        layer.out_of_heads.weight.mul_(head.repeat_interleave(width))
        layer.out_of_units.weight.mul_(unit)
    for writer in (*found.writes, *found.distances[-1:]):
        _scale(writer, openings.hidden)


def _scale(writer: Any, hidden: Tensor) -> None:
    """Multiply what a module writes, [..., D], by [D], in its weights."""
    bias = getattr(writer, "bias", None)
    if bias is not None:
        bias.mul_(hidden)
    if isinstance(writer, nn.Linear):
        writer.weight.mul_(hidden[:, None])
    elif isinstance(writer, nn.Embedding):
        writer.weight.mul_(hidden)
    else:
        more = _added(writer)
        writer.weight.add_(more).mul_(hidden).sub_(more)


def _added(norm: Any) -> float:
    """Return what a norm adds to its weight before it multiplies by it: Gemma's 1, else 0."""
    nothing = {name: torch.zeros_like(weight) for name, weight in norm.named_parameters()}
    states = torch.arange(len(norm.weight), dtype=norm.weight.dtype, device=norm.weight.device)
    return float(functional_call(norm, nothing, (states + 1,)).any())


def _shrink(found: Matrices, kept: Kept, sizes: Dimensions) -> None:
    """Leave only what is kept, in place: rows and columns go, values stay."""
    for table in (*found.tables, *found.distances[:1]):
        table.weight, table.embedding_dim = _take(table.weight, 1, kept.hidden), len(kept.hidden)
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


def _shrink_attention(
    family: Family, layer: Layer, heads: Tensor, hidden: Tensor, sizes: Dimensions
) -> None:
    """Leave the heads [H'] of an attention sublayer, each as wide as it was."""
    for part in layer.into_heads:
        rows = part.rows(heads, sizes.heads)
        if isinstance(part.value, nn.Parameter):
            setattr(part.owner, part.name, _take(part.value, 0, rows))
        else:
            _narrow(part.value, hidden, rows)
    out = layer.out_of_heads
    _narrow(out, spans(heads, out.in_features // sizes.heads), hidden)
    if not len(heads):
        inside = family.out_of_heads.removeprefix(f"{family.attention}.")
        owner: Any = layer.module.get_submodule(family.attention)
        last = None if inside == family.out_of_heads else Part(owner, inside)
        layer.module.set_submodule(family.attention, NoAttention(last))
    for owner in {id(p.owner): p.owner for p in layer.into_heads}.values():
        for name in COUNTS:
            if hasattr(owner, name):
                setattr(owner, name, getattr(owner, name) // sizes.heads * len(heads))


def _narrow(linear: nn.Linear, inputs: Tensor | None = None, outputs: Tensor | None = None) -> None:
    """Leave only these inputs and outputs of a matrix; None leaves all.

    In place, for a new `nn.Linear` of no width would warn that it has nothing to initialise.
    """
    if inputs is not None:
        linear.weight, linear.in_features = _take(linear.weight, 1, inputs), len(inputs)
    if outputs is not None:
        linear.weight, linear.out_features = _take(linear.weight, 0, outputs), len(outputs)
        if linear.bias is not None:
            linear.bias = _take(linear.bias, 0, outputs)


def _narrow_norm(norm: Any, hidden: Tensor) -> None:
    """Leave only these hidden dimensions of a norm."""
    for name, weight in list(norm.named_parameters()):
        setattr(norm, name, _take(weight, 0, hidden))
    if hasattr(norm, "normalized_shape"):
        norm.normalized_shape = (len(hidden),)


def _take(parameter: Tensor, dim: int, index: Tensor) -> nn.Parameter:
    """Return a parameter of these rows (0) or columns (1) only."""
    taken = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(taken, parameter.requires_grad)


class PrunedConfig(WrappedConfig):  # type: ignore[no-untyped-call]
    """The configuration of a cut classifier, with its `cut`."""

    model_type = "pruned"
    keys_to_ignore_at_inference = [*WrappedConfig.keys_to_ignore_at_inference, "past_key_values"]

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
        same = ("id2label", "label2id", "problem_type")
        model = cls(PrunedConfig(dense.config.to_dict(), **{k: getattr(dense.config, k) for k in same}))
        model.model.load_state_dict(dense.state_dict())
        return model

    def forward(  # noqa: PLR0913 (what the library's models take, by name: its Trainer and pipelines look)
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return what the classifier inside returns."""
        given = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "inputs_embeds": inputs_embeds,
            "labels": labels,
            "return_dict": return_dict,
        }
        return self.model(**{name: x for name, x in given.items() if x is not None}, **kwargs)


AutoConfig.register("pruned", PrunedConfig)
AutoModelForSequenceClassification.register(PrunedConfig, PrunedForSequenceClassification)
