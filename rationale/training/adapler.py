"""AdapLeR's training step: one soft forward pass, two losses, two optimisers (docs/adapler.md).

`total` (task + γ · KL) trains all weights; `combined` (task + φ · length) trains the thresholds eta, and by
proxy theta, which gets the gradient of the forward factor divided by theta (K1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rationale.models.adapler import (
    AdaplerForSequenceClassification,
    Losses,
    LossWeights,
    kl_losses,
    losses,
)

ETA_MIN, ETA_MAX = 0.01, 1.0
CLIP_THETA = 1e-7  # added to theta where it divides
NO_DECAY = ("LayerNorm", "layer_norm", "bias")


@dataclass(frozen=True)
class AdaplerStepSettings:
    """The constants of a step; defaults are those of the released code's recipes."""

    gamma: float = 0.005
    phi: float = 0.0005
    lr: float = 3e-5
    threshold_lr: float = 5e-4
    weight_decay: float = 0.01
    clip: float = 1.0
    eps: float = 1e-12
    warmup: float = 0.06


def steepness(epoch: int, epochs: int) -> float:
    """Return λ after a step of the epoch (from 0): 50·50^e for 3 epochs, 10·3^e for 10, else 10·10^e."""
    first, growth = {3: (50, 50), 10: (10, 3)}.get(epochs, (10, 10))
    return float(first * growth**epoch)


def linear(step: int, total: int, warmup: float) -> float:
    """Return the learning rate's factor: up from 0 over `warmup` steps, down to 0 at `total`."""
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))


def _groups(named: Iterator[tuple[str, nn.Parameter]], decay: float) -> list[dict[str, object]]:
    parameters = list(named)
    plain = [p for n, p in parameters if any(part in n for part in NO_DECAY)]
    decayed = [p for n, p in parameters if not any(part in n for part in NO_DECAY)]
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


class AdaplerStep:
    """Model, the two optimisers and their schedules."""

    def __init__(
        self, model: AdaplerForSequenceClassification, settings: AdaplerStepSettings, total: int
    ) -> None:
        self.model, self.settings = model, settings
        self.thresholds = [model.eta, model.theta]
        weights = ((n, p) for n, p in model.named_parameters() if n not in ("eta", "theta", "first"))
        groups = _groups(weights, settings.weight_decay)
        self.weights = [p for g in groups for p in g["params"]]  # type: ignore[attr-defined]
        self.optimizers: tuple[Optimizer, Optimizer] = (
            AdamW(groups, lr=settings.lr, eps=settings.eps),
            Adam(self.thresholds, lr=settings.threshold_lr, eps=settings.eps),
        )
        warmup = settings.warmup * total
        self.schedules = [LambdaLR(o, lambda s: linear(s, total, warmup)) for o in self.optimizers]

    def losses(
        self, ids: Tensor, types: Tensor, real: Tensor, labels: Tensor, saliency: Tensor, lam: float
    ) -> Losses:
        """Return the losses of a batch; `saliency` [B,T] are the KL targets."""
        model, s = self.model, self.settings
        out = model.soft(ids, types, real, lam)
        kl = kl_losses(out.steps, saliency, real, model.eta.detach(), model.theta.detach(), lam)
        return losses(out.logits, labels, out.steps, kl, LossWeights(s.gamma, s.phi))

    def apply(self, found: Losses) -> None:
        """Take one step with both optimisers."""
        model = self.model
        of_thresholds = torch.autograd.grad(found.combined, [model.eta, model.first], retain_graph=True)
        of_weights = torch.autograd.grad(found.total, self.weights, allow_unused=True)
        for weight, gradient in zip(self.weights, of_weights, strict=True):
            weight.grad = gradient
        model.eta.grad = of_thresholds[0]
        model.theta.grad = of_thresholds[1] / (model.theta.detach() + CLIP_THETA)
        for group, optimizer, schedule in zip(
            (self.weights, self.thresholds), self.optimizers, self.schedules, strict=True
        ):
            nn.utils.clip_grad_norm_(group, self.settings.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        with torch.no_grad():
            model.eta.clamp_(ETA_MIN, ETA_MAX)
