"""Pruned models: what the gates closed is gone from memory, file and time.

A pruned classifier has the same Hugging Face class as the original; its configuration holds the original
sizes and, in `cut`, how many heads (groups of heads, where several share their keys) and FFN units
each layer has left and how many hidden dimensions there are. `Pruned…` lets the Auto classes load one.

Axes: B sequence, T token, L layer, H head, or group of heads that share their keys; F FFN unit, D hidden
width, C class; H', F', D' what is left.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from eraser import Fault, InputError
from rationale.models.gates import GateValues, gated
from rationale.models.nested_config import NestedConfig
from rationale.models.packed.layers import inputs_of, probe, rounding_tolerance
from rationale.models.packed.matrices import Dimensions, dimensions, matrices_of, sizes_of, uncuttable
from rationale.models.shrink import KeptIndices, fold, shrink


@torch.no_grad()
def cut(model: PreTrainedModel, openings: GateValues) -> PreTrainedModel:
    """Return a new classifier without the closed parts, the other gates folded into its weights.

    It answers as `model` does under `gated(model, openings)`, or is refused.
    """
    sizes = dimensions(model)
    _check_openings(openings, sizes)
    kept = KeptIndices(
        tuple(scale.nonzero()[:, 0] for scale in openings.head_scales),  # [H'] of each layer
        tuple(scale.nonzero()[:, 0] for scale in openings.unit_scales),  # [F'] of each layer
        openings.hidden.nonzero()[:, 0],  # [D']
    )
    small = deepcopy(model)
    found = matrices_of(small)
    fold(found, openings, sizes)
    shrink(found, kept, sizes)
    small.config.cut = kept.counts()
    _check_same(model, openings, small)
    return small


def check_cuttable(model: PreTrainedModel) -> None:
    """Refuse a classifier that cannot be pruned: half of everything is removed, once, from a copy."""
    n, heads, units, hidden, *_ = dimensions(model)
    turn = torch.arange(n, device=model.device)[:, None]  # [L,1]

    def every_other(count: int) -> Tensor:
        return (torch.arange(count, device=model.device) + turn) % 2 * 0.5  # [L,count]

    ones = torch.ones(n, device=model.device)  # [L]
    cut(model, GateValues(every_other(heads), every_other(units), every_other(hidden + 1)[0, 1:], ones, ones))


def _check_same(model: PreTrainedModel, openings: GateValues, small: PreTrainedModel) -> None:
    """Refuse a pruned model that answers unlike the gated one: its family's line does not describe it."""
    ids, _ = probe(model, 1, 9)  # [1,T]
    inputs = inputs_of(model, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    small.eval()  # type: ignore[no-untyped-call]
    try:
        with gated(model, openings):
            expected = model(input_ids=ids, **inputs).logits.float()  # [1,C]
        found = small(input_ids=ids, **inputs).logits.float()  # [1,C]
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise uncuttable(model, f"{type(error).__name__} when a cut one is run") from None
    finally:
        model.train(training)
        small.train(training)
    apart = float((found - expected).abs().max() / (1 + expected.abs().max()))
    if not apart <= rounding_tolerance(model.dtype):
        raise uncuttable(model, f"logits {apart:.2g} apart from those under its gates")


def build(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a classifier with fresh weights, of the sizes in `config.cut` where there is one."""
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
        config,
        dtype=torch.get_default_dtype(),  # what it is loaded in, not what it was saved in
    )
    counts = getattr(config, "cut", None)
    if counts is not None:
        found = matrices_of(model)
        sizes = sizes_of(model, found)
        check_cut(counts, sizes)
        kept = KeptIndices(
            tuple(map(torch.arange, counts["heads"])),
            tuple(map(torch.arange, counts["units"])),
            torch.arange(counts["hidden"]),
        )
        shrink(found, kept, sizes)
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


def _check_openings(openings: GateValues, sizes: Dimensions) -> None:
    """Refuse openings of another model, and those that leave no hidden dimension."""
    n = sizes.layers
    shapes = ((n, sizes.heads), (n, sizes.units), (sizes.hidden,), (n,), (n,))
    for field, shape in zip(fields(openings), shapes, strict=True):
        given = tuple(getattr(openings, field.name).shape)
        if given != shape:
            raise InputError(Fault(f"openings of {field.name} {shape}", str(given)))
    if not openings.hidden.any():
        raise InputError(Fault("at least one open hidden dimension", "none"))


class PrunedConfig(NestedConfig):  # type: ignore[no-untyped-call]
    """The configuration of a pruned classifier, with its `cut`."""

    model_type = "pruned"
    keys_to_ignore_at_inference = [*NestedConfig.keys_to_ignore_at_inference, "past_key_values"]

    # transformers makes a dataclass, without `encoder`, of a configuration that has no constructor of its own
    def __init__(self, encoder: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(encoder, **kwargs)


class PrunedForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A pruned classifier as the Auto classes can load it; `model` is what runs."""

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
