"""Floating-point operations, counted at the lengths that each layer works on.

Only matrix products count, two operations per multiply-add, as in `torch.utils.flop_counter`. That counter
watches three short passes of the model, without their arithmetic; a layer's cost is a polynomial of degree
two in the length, so three points give it for any length. Norms, softmaxes and activations are left out. A
pruned model counts at its pruned size. Padding is never counted.

Axes: B sequence, T token, L layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, PreTrainedModel

from eraser.types import Floats
from rationale.models.adaptive import AdaptiveForSequenceClassification, unwrap
from rationale.models.packed.encoder import Output, check_encoder
from rationale.models.packed.layers import LayerCall, anatomy_of, attention, depth_of, inputs_of, standing_in
from rationale.models.pruning import build, original

WATCHED = (4, 8, 12)  # tokens of the passes that are counted


def _linear(module: nn.Module | None) -> int:
    """Return the operations of a module's matrices on one token."""
    if module is None:
        return 0
    return sum(2 * m.in_features * m.out_features for m in module.modules() if isinstance(m, nn.Linear))


@dataclass(frozen=True)
class Costs:
    """What a model's parts cost: `token`, `pair`, `fixed` of each layer [L] (times T, T², 1), the rest."""

    token: tuple[int, ...]
    pair: tuple[int, ...]
    remover: tuple[int, ...]  # a token that enters a layer's removal
    exit: tuple[int, ...]  # a sequence that ran a layer
    embedding: int  # a token, before and after the layers
    head: int  # a sequence
    fixed: tuple[int, ...] = ()  # a sequence that runs a layer, as DeBERTa's table of distances; () for none

    def layer(self, index: int, lengths: ArrayLike) -> Floats:
        """Return a layer's operations [B] for sequences of these lengths [B]."""
        n = np.asarray(lengths, dtype=np.float64)  # [B]
        once = self.fixed[index] * (n > 0) if self.fixed else 0
        found: Floats = self.token[index] * n + self.pair[index] * n * n + once
        return found

    def dense(self, lengths: ArrayLike) -> Floats:
        """Return the operations [B] of the whole model, nothing removed, for sequences of lengths [B]."""
        n = np.asarray(lengths, dtype=np.float64)  # [B]
        return self.embedding * n + sum(self.layer(i, n) for i in range(len(self.token))) + self.head

    def shrinking(self, lengths: ArrayLike, kept: ArrayLike) -> Floats:
        """Return the operations [B] of a model that works on `kept` [L,B] of `lengths` [B] tokens.

        The selector of a layer runs on the tokens that reach it; sequences that have stopped (`kept` 0) cost
        nothing.
        """
        n, kept = np.asarray(lengths, dtype=np.float64), np.asarray(kept, dtype=np.float64)  # [B], [L,B]
        total = self.embedding * n + self.head  # [B]
        for i, after in enumerate(kept):
            before = kept[i - 1] if i else n  # [B]
            total = (
                total + self.layer(i, after) + np.where(after > 0, self.remover[i] * before + self.exit[i], 0)
            )
        return total


def costs(model: PreTrainedModel) -> Costs:
    """Return the costs of a classifier, or of an adaptive model around one."""
    inner = unwrap(model)
    check_encoder(inner)
    nothing: list[nn.Module | None] = [None] * depth_of(inner)
    selectors: Sequence[nn.Module | None] = ()
    exits: Sequence[nn.Module] = ()
    if isinstance(model, AdaptiveForSequenceClassification):
        selectors, exits = model.token_selectors(), model.exit_heads()
    rest, layers = _polynomials(inner)
    return Costs(
        tuple(token for _, token, _ in layers),
        tuple(pair for pair, _, _ in layers),
        tuple(map(_linear, selectors or nothing)),
        tuple(map(_linear, exits or nothing)),
        rest[1],
        0 if exits else rest[2],
        tuple(fixed for _, _, fixed in layers) if any(fixed for _, _, fixed in layers) else (),
    )


def full_costs(model: PreTrainedModel) -> Costs:
    """Return the costs of the dense model that a classifier was made from, before pruning."""
    inner = unwrap(model)
    if getattr(inner.config, "cut", None) is None:
        return costs(inner)
    return _uncut_costs(original(inner.config).to_json_string())


def parts_by_layer(model: PreTrainedModel, lengths: Floats, kept: ArrayLike) -> dict[str, Floats]:
    """Return each layer's operations [L], summed over sequences, by what they are for.

    `dense` is what the layer of the dense model would take, `matrices`, `attention` and `deciding` (which
    tokens stay, or whether to stop) what this model takes; `matrices` with what a layer costs once per text.

    Args:
        model: a classifier, or an adaptive model around one.
        lengths: tokens of each sequence [N].
        kept: tokens that each layer worked on [L,N].
    """
    cost, full = costs(model), full_costs(model)
    n, after = np.asarray(lengths, dtype=np.float64), np.asarray(kept, dtype=np.float64)
    before = np.concatenate([n[None], after[:-1]])  # [L,N]
    layers = range(len(after))
    pairs = [cost.pair[i] * after[i] ** 2 for i in layers]
    deciding = [np.where(after[i] > 0, cost.remover[i] * before[i] + cost.exit[i], 0).sum() for i in layers]
    return {
        "dense": np.array([full.layer(i, n).sum() for i in layers]),
        "matrices": np.array([(cost.layer(i, after[i]) - pairs[i]).sum() for i in layers]),
        "attention": np.array([of_layer.sum() for of_layer in pairs]),
        "deciding": np.array(deciding),
    }


@lru_cache(maxsize=8)
def _uncut_costs(config: str) -> Costs:
    """Return the costs of a model of this configuration (JSON), whatever its weights."""
    settings = json.loads(config)
    with torch.random.fork_rng(devices=[]):  # only the first time are weights drawn: a run must not notice
        return costs(build(AutoConfig.for_model(settings.pop("model_type"), **settings)))


Polynomial = tuple[int, int, int]  # of T², T and 1
Shapes = tuple[tuple[int, ...], ...]
_KNOWN: WeakKeyDictionary[PreTrainedModel, tuple[Shapes, tuple[Polynomial, list[Polynomial]]]] = (
    WeakKeyDictionary()
)


def _polynomials(model: PreTrainedModel) -> tuple[Polynomial, list[Polynomial]]:
    """Return what a pass costs outside its layers, and what each layer costs [L]; counted once."""
    shapes = tuple(tuple(p.shape) for p in model.parameters())
    if model not in _KNOWN or _KNOWN[model][0] != shapes:
        _KNOWN[model] = shapes, _fitted(model)
    return _KNOWN[model][1]


def _fitted(model: PreTrainedModel) -> tuple[Polynomial, list[Polynomial]]:
    try:
        found = np.array([_counted(model, tokens, _shapes_alone) for tokens in WATCHED])  # [3,1 + L]
    except RuntimeError:  # a shape of its depends on values: DeBERTa
        found = np.array([_counted(model, tokens, _whole) for tokens in WATCHED])  # [3,1 + L]
    powers = np.vander(WATCHED, 3).astype(np.float64)  # [3,3] of T², T, 1
    rest, *layers = np.rint(np.linalg.solve(powers, found)).astype(np.int64).T.tolist()
    return tuple(rest), [tuple(layer) for layer in layers]


def _counted(model: PreTrainedModel, tokens: int, run: Callable[[PreTrainedModel, int], None]) -> list[int]:
    """Return the operations of a pass over `tokens` tokens: outside the layers, and in each layer."""
    calls = anatomy_of(model).calls
    inside = [0] * len(calls)
    counter = FlopCounterMode(display=False)

    def counting(layer: int, states: Tensor, own: LayerCall) -> Tensor:
        before = counter.get_total_flops()
        left = own(states)
        inside[layer] += counter.get_total_flops() - before
        return left

    with torch.no_grad(), standing_in(calls, counting), attention(model, "eager"), counter:
        run(model, tokens)
    return [counter.get_total_flops() - sum(inside), *inside]


def _whole(model: PreTrainedModel, tokens: int) -> None:
    """Run a pass over `tokens` tokens, without gradients: the counter fails on a leaf that has one."""
    ids = torch.arange(1, tokens + 1, device=model.device)[None] % model.config.vocab_size  # [1,T]
    inputs = inputs_of(model, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    functional_call(model, weights, kwargs={"input_ids": ids, **inputs})


def _shapes_alone(model: PreTrainedModel, tokens: int) -> None:
    """Run a pass without its arithmetic: all weights are on the meta device, which has only shapes."""
    ids = torch.arange(tokens, device="meta")[None]  # [1,T]
    named = (*model.named_parameters(), *model.named_buffers())
    shapes = {name: torch.empty_like(weight, device="meta") for name, weight in named}
    inputs = inputs_of(model, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    with _Truths(), torch.device("meta"):  # type: ignore[no-untyped-call]
        functional_call(model, shapes, kwargs={"input_ids": ids, **inputs})


class _Truths(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers questions about values, which meta tensors lack, as a batch without padding would: true."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a question for one number."""
        if func is torch.ops.aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else 1
        return func(*args, **(kwargs or {}))


def kept_lengths(output: Output) -> NDArray[np.int64]:
    """Return how many tokens each layer worked on [L,B]."""
    return np.stack([layer.kept.sum(1).cpu().numpy() for layer in output.trace])  # [L,B]
