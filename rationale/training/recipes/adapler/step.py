"""AdapLeR's training step: one soft forward pass, two losses, two optimisers (docs/adapler.md).

`total` (task + γ · KL) trains all weights; `combined` (task + φ · length) trains the thresholds eta, and by
proxy theta, which gets the gradient of the forward factor divided by theta (K1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rationale.models.adapler import ETA_MAX, ETA_MIN, AdaplerForSequenceClassification
from rationale.models.adapler_losses import Losses, LossWeights, kl_losses, losses
from rationale.training.loop import decay_groups, linear
from rationale.training.recipes.adapler.settings import AdaplerStepSettings
from rationale.training.run import TrainingBatch

CLIP_THETA = 1e-7  # added to theta where it divides


def steepness(epoch: int, epochs: int, schedule: tuple[float, float] | None = None) -> float:
    """Return λ of the epoch (from 0): first · growth^epoch.

    As published: 50·50^e for 3 epochs, 10·3^e for 10, else 10·10^e.
    """
    first, growth = schedule or {3: (50, 50), 10: (10, 3)}.get(epochs, (10, 10))
    return float(first * growth**epoch)


def _groups(weights: list[tuple[str, nn.Parameter]], settings: AdaplerStepSettings) -> list[dict[str, Any]]:
    """Return the optimiser's groups; predictors apart only where they have a learning rate of their own."""
    if settings.predictor_lr is None:
        return decay_groups(weights, settings.weight_decay)
    predictors = [w for w in weights if w[0].startswith("contribution_predictors")]
    others = [w for w in weights if not w[0].startswith("contribution_predictors")]
    own = [g | {"lr": settings.predictor_lr} for g in decay_groups(predictors, settings.weight_decay)]
    return decay_groups(others, settings.weight_decay) + own


class AdaplerStep:
    """Model, the two optimisers and their schedules; `class_weights` [C] weigh the task loss by label."""

    def __init__(
        self,
        model: AdaplerForSequenceClassification,
        settings: AdaplerStepSettings,
        total: int,
        class_weights: Tensor | None = None,
    ) -> None:
        self.model, self.settings, self.class_weights = model, settings, class_weights
        self.thresholds = [model.eta, model.theta]
        weights = [(n, p) for n, p in model.named_parameters() if n not in ("eta", "theta", "first")]
        groups = _groups(weights, settings)
        self.weights = [p for g in groups for p in g["params"]]
        self.optimizers: tuple[Optimizer, Optimizer] = (
            AdamW(groups, lr=settings.lr, eps=settings.eps),
            Adam(self.thresholds, lr=settings.threshold_lr, eps=settings.eps),
        )
        warmup = settings.warmup * total
        self.schedules = [LambdaLR(o, lambda s: linear(s, total, warmup)) for o in self.optimizers]

    def losses(self, batch: TrainingBatch, lam: float, push: bool = True) -> Losses:
        """Return the losses of a batch; without `push` the length loss has weight 0."""
        model, s = self.model, self.settings
        out = model.soft(batch.ids, batch.types, batch.real, lam)
        assert batch.saliency is not None
        kl = kl_losses(out.steps, batch.saliency, batch.real, model.eta.detach(), model.theta.detach(), lam)
        weights = LossWeights(s.gamma, s.phi * push, self.class_weights, s.distill, s.temperature)
        return losses(out.logits.float(), batch.labels, out.steps, kl, weights, batch.teacher)

    def backward(self, found: Losses, share: float = 1.0) -> None:
        """Add the gradients of a micro-batch that is `share` of its batch."""
        model = self.model
        of_thresholds = torch.autograd.grad(
            found.combined,
            [model.eta, model.first],
            retain_graph=True,
            allow_unused=True,  # of one layer there is no `first`
            materialize_grads=True,
        )
        of_weights = torch.autograd.grad(found.total, self.weights, allow_unused=True)
        of_theta = of_thresholds[1] / (model.theta.detach() + CLIP_THETA)
        pairs = zip([*self.weights, *self.thresholds], [*of_weights, of_thresholds[0], of_theta], strict=True)
        for weight, gradient in pairs:
            if gradient is not None:
                weight.grad = gradient * share if weight.grad is None else weight.grad + gradient * share

    def apply(self) -> None:
        """Take one step with both optimisers."""
        for group, optimizer, schedule in zip(
            (self.weights, self.thresholds), self.optimizers, self.schedules, strict=True
        ):
            nn.utils.clip_grad_norm_(group, self.settings.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        with torch.no_grad():
            self.model.eta.clamp_(ETA_MIN, ETA_MAX)
