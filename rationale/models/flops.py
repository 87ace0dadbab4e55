"""Floating-point operations, counted at the lengths at which the work is done.

Only matrix products count, two operations a multiply-add, as in `torch.utils.flop_counter`, with which a
test compares them; norms, softmaxes and activations are left out. Costs come from the shapes of the
model's own matrices, so a cut model counts as what it is. Padding is never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from transformers import PreTrainedModel

from rationale.models.adaptive import AdaptiveForSequenceClassification, plain
from rationale.models.encoder import Head, Output, base_of, check_encoder, layers_of
from rationale.models.pruning import build, original

Floats = NDArray[np.float64]


def _linear(module: nn.Module | None) -> int:
    """Return the operations of a module's matrices on one token."""
    if module is None:
        return 0
    return sum(2 * m.in_features * m.out_features for m in module.modules() if isinstance(m, nn.Linear))


@dataclass(frozen=True)
class Costs:
    """What a model's parts cost: `token` and `pair` of each layer [L] (times T, times T²), the rest."""

    token: tuple[int, ...]
    pair: tuple[int, ...]
    remover: tuple[int, ...]  # a token that enters a layer's removal
    exit: tuple[int, ...]  # a sequence that ran a layer
    embedding: int  # a token
    head: int  # a sequence

    def layer(self, index: int, lengths: ArrayLike) -> Floats:
        """Return a layer's operations for sequences of these lengths."""
        n = np.asarray(lengths, dtype=np.float64)
        return self.token[index] * n + self.pair[index] * n * n

    def dense(self, lengths: ArrayLike) -> Floats:
        """Return the operations of the whole model, nothing removed, for sequences of these lengths."""
        n = np.asarray(lengths, dtype=np.float64)
        return self.embedding * n + sum(self.layer(i, n) for i in range(len(self.token))) + self.head

    def shrinking(self, lengths: ArrayLike, kept: ArrayLike) -> Floats:
        """Return the operations of a model that works on `kept` [L, sequence] of `lengths` tokens.

        What decides a layer's removal runs on the tokens that reach it; of sequences that have stopped, whose
        `kept` is 0, nothing.
        """
        n, kept = np.asarray(lengths, dtype=np.float64), np.asarray(kept, dtype=np.float64)
        total = self.embedding * n + self.head
        for i, after in enumerate(kept):
            before = kept[i - 1] if i else n
            total = (
                total + self.layer(i, after) + np.where(after > 0, self.remover[i] * before + self.exit[i], 0)
            )
        return total


def costs(model: PreTrainedModel) -> Costs:
    """Return the costs of a classifier, or of an adaptive model around one."""
    inner = plain(model)
    check_encoder(inner)
    layers = list(layers_of(inner))
    nothing: list[nn.Module | None] = [None] * len(layers)
    removers: Sequence[nn.Module | None] = ()
    exits: Sequence[nn.Module | None] = ()
    if isinstance(model, AdaptiveForSequenceClassification):
        removers, exits = model.removers(), model.exits()
    return Costs(
        tuple(_linear(layer) for layer in layers),
        tuple(4 * _attention_width(layer) for layer in layers),  # queries by keys, weights by values
        tuple(map(_linear, removers or nothing)),
        tuple(map(_linear, exits or nothing)),
        _linear(getattr(base_of(inner), "embeddings_project", None)),
        0 if exits else _linear(Head(inner)),
    )


def full_costs(model: PreTrainedModel) -> Costs:
    """Return the costs of the dense model that a classifier was made from, before anything was cut."""
    with torch.device("meta"):
        return costs(build(original(plain(model).config)))


def _attention_width(layer: nn.Module) -> int:
    """Return the summed width of a layer's heads; 0 where all were cut."""
    widths = (m.out_features for name, m in layer.named_modules()
              if name.endswith("query") and isinstance(m, nn.Linear))  # fmt: skip
    return next(widths, 0)


def kept_lengths(output: Output) -> NDArray[np.int64]:
    """Return how many tokens each layer worked on [L, sequence]."""
    return np.stack([layer.kept.sum(1).cpu().numpy() for layer in output.trace])


def official_bert_flops(lengths: ArrayLike, classes: int) -> Floats:
    """Return the released AdapLeR code's count for dense BERT-base, for comparison with its tables."""
    n = np.asarray(lengths, dtype=np.float64)
    total: Floats = 37872 * n**2 + 170216500 * n + 1181953 + 1537 * classes
    return total


def official_adapler_flops(kept: ArrayLike, classes: int) -> Floats:
    """Return the released code's count for AdapLeR on BERT-base, `kept` [12, sequence]."""
    n = np.asarray(kept, dtype=np.float64)
    total: Floats = 1183537 + 1537 * (classes - 1) + 6152 * n[0] + (3156 * n**2 + 14233554 * n).sum(0)
    return total
