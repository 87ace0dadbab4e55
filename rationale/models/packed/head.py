"""What a classifier does after its last layer, applied to any layer's states: its own pooler and head.

Axes: N sequence, T token, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from rationale.models.packed.layers import (
    LayerCall,
    anatomy_of,
    base_of,
    inputs_of,
    layers_of,
    probe,
    standing_in,
    width_of,
)

HEAD_TOLERANCE = 1e-4  # of answers that are the same computation


def answer(
    model: PreTrainedModel,
    read: Tensor,
    real: Tensor | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Return logits [N,C] of states as they leave a layer: the model itself with its layers passed over.

    Args:
        model: the classifier.
        read: what its head reads, [N,D], or [N,T,D] where it reads all.
        real: True, or a weight, for each token [N,T].
        weights: of other parameters, by name, that take the place of the model's own.
    """
    one_token = read.dim() == 2  # noqa: PLR2004 ([N,D])
    states = read[:, None] if one_token else read  # [N,1,D], or [N,T,D]
    ids = probe(model, *states.shape[:2])[0][:1, :1].expand(states.shape[:2])  # [N,T]
    given = torch.ones_like(ids) if real is None else real  # [N,T]
    inputs = inputs_of(model, torch.zeros_like(ids), given.bool())
    if given.is_floating_point():
        inputs["attention_mask"] = given  # [N,T]

    def pass_over(layer: int, entering: Tensor, run: LayerCall) -> Tensor:
        return states  # [N,T,D]

    with standing_in(anatomy_of(model).calls, pass_over):
        found = functional_call(model, dict(weights or {}), kwargs={"input_ids": ids, **inputs})
    logits: Tensor = found.logits  # [N,C]
    return logits


class Head(nn.Module):
    """A classifier's pooler, where it has one, and its head: [CLS] states [N,D] → logits [N,C].

    Only where the answer is just these two's, as BERT's, RoBERTa's, ELECTRA's: else see Tail.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        own: Any = model
        pooler = getattr(base_of(model), "pooler", None)
        self.pooler = nn.Identity() if pooler is None else nn.Sequential(pooler, own.dropout)
        self.classifier = own.classifier

    def forward(
        self, read: Tensor, real: Tensor | None = None, model: PreTrainedModel | None = None
    ) -> Tensor:
        """Return logits [N,C]."""
        logits: Tensor = self.classifier(self.pooler(read[:, None]))  # [N,D] → [N,1,D] → [N,C]
        return logits


class Tail(nn.Module):
    """A classifier's modules after its last layer, by their place in it; the model says how they are used."""

    def __init__(self, model: PreTrainedModel, places: Sequence[str]) -> None:
        super().__init__()
        self.places = tuple(places)
        for place in places:
            self.add_module(place.replace(".", "_"), model.get_submodule(place))

    def forward(
        self, read: Tensor, real: Tensor | None = None, model: PreTrainedModel | None = None
    ) -> Tensor:
        """Return logits [N,C] by the model with these parameters in it."""
        assert model is not None
        parts = ((p, self.get_submodule(p.replace(".", "_"))) for p in self.places)
        weights = {f"{place}.{n}": w for place, part in parts for n, w in part.named_parameters()}
        return answer(model, read, real, weights)  # [N,C]


def head_of(model: PreTrainedModel, places: Sequence[str] | None) -> Head | Tail:
    """Return the model's own head: of modules at these places, or pooler and classifier."""
    return Head(model) if places is None else Tail(model, places)


@torch.no_grad()
def places_of(model: PreTrainedModel) -> tuple[str, ...] | None:
    """Return where the modules after the last layer are; None where these are pooler and classifier."""
    anatomy = anatomy_of(model)
    with _evaluated(model):
        ran = _after_layers(model)
        if anatomy.reads == "first" and hasattr(model, "classifier"):
            states = torch.randn(2, width_of(model), device=model.device, dtype=model.dtype)  # [N,D]
            try:
                same = torch.allclose(Head(model)(states), answer(model, states), atol=HEAD_TOLERANCE)
            except (AttributeError, RuntimeError, TypeError):
                same = False
            if same:
                return None
    return ran


@contextmanager
def _evaluated(model: PreTrainedModel) -> Iterator[None]:
    training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.train(training)


def _after_layers(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the names of the largest modules with parameters that run after the last layer."""
    layers, ran, left = layers_of(model), list[str](), len(anatomy_of(model).calls)
    inside = {id(m) for layer in layers for m in layer.modules()}
    around = {name for name, m in model.named_modules() if any(id(x) in inside for x in m.modules())}

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1

    def note(name: str) -> Any:
        return lambda *_: ran.append(name) if left <= 0 else None

    named = [(n, m) for n, m in model.named_modules() if n not in around and id(m) not in inside]
    handles = [layer.register_forward_hook(count) for layer in layers]
    handles += [m.register_forward_pre_hook(note(n)) for n, m in named if any(True for _ in m.parameters())]
    try:
        ids, real = probe(model, 1, 4)  # [1,T], [1,T]
        model(input_ids=ids, **inputs_of(model, torch.zeros_like(ids), real))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(n for n in dict.fromkeys(ran) if not any(n.startswith(f"{o}.") for o in ran))
