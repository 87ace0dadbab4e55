"""Gradual removal in AdapLeR's hard stage: a rising speed-up, thresholds layer by layer (ours).

Axes: L layer, P packed token, B window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from eraser.types import Floats
from rationale.hf.classifier import Classifier
from rationale.inference.savings import speedup_of
from rationale.models.adapler import TINY
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens
from rationale.models.flops import costs, full_costs, kept_lengths
from rationale.models.packed.attention import PackedLayout
from rationale.models.packed.encoder import run_packed
from rationale.text.windows import Window

HALVINGS = 60  # of the search for the first layer's share: past the precision of a double


def rising(speedup: float, anneal: float, place: int, places: int) -> float:
    """Return the target speed-up after scaling `place` (from 0) of `places` scalings.

    It rises by the same factor each time and reaches `speedup` after a share `anneal` of the scalings.

    >>> [round(rising(16.0, 0.5, i, 8), 3) for i in range(6)]
    [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]
    """
    rises = anneal * places
    return float(speedup ** min(1.0, (place + 1) / rises)) if rises else speedup


def layer_shares(classifier: Classifier, windows: Sequence[Window], speedup: float, decline: float) -> Floats:
    """Return the share of a text's tokens, its anchor aside, that each layer works on [L] for a speed-up.

    Each layer passes on a share `decline` of its tokens; early layers may work on all tokens.
    """
    price, lengths = costs(classifier.model), np.array([len(w) for w in windows])
    dense = full_costs(classifier.model).dense(lengths).sum()
    shape = decline ** np.arange(len(price.token))  # [L]

    def at(first: float) -> Floats:
        found: Floats = np.minimum(1.0, first * shape)
        return found

    low, high = -HALVINGS * np.log(2), -np.log(shape[-1])  # logarithms: from nothing kept to all
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        kept = 1 + at(np.exp(middle))[:, None] * (lengths - 1)  # [L,B]
        is_fast = dense / price.shrinking(lengths, kept).sum() >= speedup
        low, high = (middle, high) if is_fast else (low, middle)
    return at(np.exp(low))


@torch.inference_mode()
def set_layer_thresholds(classifier: Classifier, windows: Sequence[Window], shares: Floats) -> float:
    """Set each layer's threshold so that the windows keep these shares of their tokens [L], anchors aside.

    All windows form one packed batch; a layer's threshold is a quantile of the scores that reach it. Returns
    the speed-up reached, which differs from the target where thresholds hit their limits.
    """
    model = classifier.model
    assert drops_tokens(model)
    batch = classifier.encoder.collate(windows).to(classifier.device)
    free = int(batch.real.sum()) - len(windows)  # tokens that can be dropped
    thresholds = model.thresholds  # [L]

    def select_tokens(layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, Tensor]:
        _, scores = model.select_tokens(layer, states, rows)  # [P]
        assert scores is not None
        size = relative(scores, rows)  # [P]
        size[rows.anchor] = torch.inf
        wanted = len(rows.lengths) + round(float(shares[layer]) * free)  # anchors come first
        least = size.sort(descending=True).values[:wanted][-1]  # infinite (an anchor's) if none is wanted
        thresholds[layer] = least
        model.set_thresholds(thresholds)  # within their limits
        return size >= model.thresholds[layer], scores

    with classifier.autocast():
        output = run_packed(unwrap(model), batch.ids, batch.types, batch.real, select_tokens)
    return speedup_of(classifier, windows, kept_lengths(output))


def relative(scores: Tensor, rows: PackedLayout) -> Tensor:
    """Return scores [P] as multiples of an equal share; thresholds apply to these."""
    return scores * rows.counts[rows.sequence_index]  # [P]


def gates(scores: Tensor, rows: PackedLayout, eta: Tensor, temperature: float) -> Tensor:
    """Return weights [P] of 1 whose gradient estimates how much the task would lose without a token.

    A straight-through sigmoid of log(score / threshold); anchors get no gradient.
    """
    distance = (relative(scores, rows) + TINY).log() - eta.log()  # [P]
    soft = (distance / temperature).sigmoid()  # [P]
    anchored = torch.zeros_like(soft, dtype=torch.bool)  # [P]
    anchored[rows.anchor] = True
    return (1 + soft - soft.detach()).masked_fill(anchored, 1.0)  # [P]
