"""AdapLeR's losses: task, saliency and length (docs/adapler.md).

Axes: B sequence, T token, P packed token, L layer, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from rationale.models.adapler import TINY, SoftStep, fade, normalise, soft_removal, with_anchor
from rationale.models.packed.attention import PackedLayout

CLIP = 1e-7  # of both sides of the KL


def kl_losses(
    steps: Sequence[SoftStep], target: Tensor, real: Tensor, eta: Tensor, theta: Tensor, lam: float
) -> Tensor:
    """Return KL(saliency ‖ predictor) of each layer [L], averaged over the batch.

    The target [B,T] is the same for all layers, masked by a mask of its own that fades as the scores say
    (without the forward factor, K3); theta [L-1] scales its [CLS] entry from layer 1 on (K1). Gradients
    reach the encoder and, through the target's mask, earlier predictors (K2).
    """
    mask, anchor = real.float(), steps[0].anchor  # [B,T], [1,T] or [B,T]
    losses = []
    for i, step in enumerate(steps):
        wanted = normalise(target * mask)  # [B,T]
        wanted = normalise(with_anchor(wanted, anchor, theta[i - 1] if i else 1.0)).clamp(CLIP, 1)  # [B,T]
        divergence = (wanted * (wanted / step.scores.clamp(CLIP, 1)).log()).sum(-1)  # [B]
        losses.append((divergence * mask.masked_fill(anchor, 0.0).amax(-1).detach()).mean())  # a number
        delta = eta[i] / (mask.sum(-1, keepdim=True) + TINY)  # [B,1]
        after = fade(mask, soft_removal(step.scores, delta, lam) * mask)  # [B,T]
        mask = after.masked_fill(anchor, 1.0)  # [B,T]
    return torch.stack(losses)  # [L]


def packed_kl(target: Tensor, scores: Tensor, rows: PackedLayout) -> Tensor:
    """Return KL(saliency ‖ predictor) over the tokens that reach a layer, mean over sequences (ours).

    Target and scores are packed [P]; the target is scaled to sum 1 in each sequence.
    """
    n = len(rows.lengths)
    total = target.new_zeros(n).index_add(0, rows.sequence_index, target)  # [B]
    wanted = (target / (total[rows.sequence_index] + TINY)).clamp(CLIP, 1)  # [P]
    return (wanted * (wanted / scores.clamp(CLIP, 1)).log()).sum() / n  # a number


@dataclass(frozen=True)
class Losses:
    """The two losses of a step: `total` trains the weights, `combined` the thresholds."""

    task: Tensor
    kl: Tensor  # [L]
    head: Tensor
    length: Tensor
    total: Tensor
    combined: Tensor


@dataclass(frozen=True)
class LossWeights:
    """γ weighs the KL, φ the lengths; `classes` [C] weighs the task loss by label, imitation included.

    `distill` is the share of the task loss that follows a teacher's logits at `temperature` (ours).
    """

    gamma: float
    phi: float
    classes: Tensor | None = None
    distill: float = 0.0
    temperature: float = 2.0


def task_loss(logits: Tensor, labels: Tensor, weights: LossWeights, teacher: Tensor | None = None) -> Tensor:
    """Return cross-entropy, mixed with T² · KL(teacher ‖ model) at temperature T (Hinton 2015)."""
    each = cross_entropy(logits, labels, reduction="none")  # [B]
    of_class = None if weights.classes is None else weights.classes[labels]  # [B]
    task = (each if of_class is None else each * of_class).mean()  # a number
    if teacher is None or weights.distill == 0:
        return task
    t = weights.temperature
    wanted, found = (teacher / t).log_softmax(-1), (logits / t).log_softmax(-1)  # [B,C], [B,C]
    if of_class is None:
        imitation = kl_div(found, wanted, reduction="batchmean", log_target=True) * t**2  # a number
    else:
        apart = kl_div(found, wanted, reduction="none", log_target=True).sum(-1)  # [B]
        imitation = (apart * of_class).mean() * t**2  # a number
    return (1 - weights.distill) * task + weights.distill * imitation


def losses(  # noqa: PLR0913 (what a step computed)
    logits: Tensor,
    labels: Tensor,
    steps: Sequence[SoftStep],
    kl: Tensor,
    weights: LossWeights,
    teacher: Tensor | None = None,
) -> Losses:
    """Return task + γ Σ (L − i) KL_i and task + φ · mean summed length."""
    task = task_loss(logits, labels, weights, teacher)
    falling = torch.arange(len(steps), 0, -1, device=kl.device, dtype=kl.dtype)  # [L]
    head = (falling * kl).sum()  # a number
    length = torch.stack([s.length for s in steps]).sum(0).mean()  # [L,B] → [B] → a number
    return Losses(task, kl, head, length, task + weights.gamma * head, task + weights.phi * length)
