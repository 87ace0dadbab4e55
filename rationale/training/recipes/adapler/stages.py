"""The stages of AdapLeR's training: predictors alone, soft removal as published, hard removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rationale.inference.savings import scale_thresholds
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adapler_losses import packed_kl
from rationale.models.adaptive import unwrap
from rationale.models.packed.attention import PackedLayout
from rationale.training.class_weights import as_tensor
from rationale.training.loop import decay_groups
from rationale.training.recipes.adapler.gradual import (
    gates,
    layer_shares,
    rising,
    set_layer_thresholds,
)
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.adapler.step import AdaplerStep, steepness
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage, RemovalStage, Stage, Stages

SPEED_SMOOTHING = 0.9  # of the running mean that `speedup` compares with


OFTEN_CALIBRATION = 2**13  # pieces of train, at least, for thresholds that are set many times


def adapler_of(run: TrainingRun) -> AdaplerForSequenceClassification:
    """Return the run's model, which is AdapLeR."""
    return run.model_as(AdaplerForSequenceClassification)


def settings_of(run: TrainingRun) -> AdaplerSettings:
    """Return the run's settings, which are AdapLeR's."""
    assert isinstance(run.settings, AdaplerSettings)
    return run.settings


def imitation(stage: PackedStage, batch: TrainingBatch, remove: bool) -> tuple[Tensor, Tensor]:
    """Return logits [B,C] and Σ KL of the predictors over layers, with or without removal.

    The predictors see detached states: their KL moves nothing but them, nor does the task through gates.
    """
    model, kls, weights = adapler_of(stage.run), list[Tensor](), list[Tensor]()
    assert batch.saliency is not None
    target, gate = batch.saliency[batch.real], settings_of(stage.run).gate

    def select_tokens(layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, None]:
        nonlocal target
        kept, scores = model.select_tokens(layer, states.detach(), rows)
        kls.append(packed_kl(target, scores, rows))
        kept = kept if remove else torch.ones_like(kept)
        target = target[kept]
        if gate and remove:
            weights.append(gates(scores, rows, model.eta[layer].detach(), gate)[kept])
        return kept, None

    def weigh(layer: int) -> Tensor:
        return weights[layer]

    logits = stage.forward(batch, select_tokens, weigh=weigh if gate and remove else None).logits
    return logits, torch.stack(kls).sum()


def _predictor_groups(run: TrainingRun) -> list[dict[str, Any]]:
    step = settings_of(run).step
    lr = step.predictor_lr or run.settings.hard_lr
    named = adapler_of(run).contribution_predictors.named_parameters()
    return [g | {"lr": lr} for g in decay_groups(named, step.weight_decay)]


class PredictorStage(PackedStage):
    """Ours: nothing is removed, the encoder is frozen, the predictors learn to imitate saliency."""

    name = "predictors"

    def __init__(self, run: TrainingRun, place: int) -> None:
        s = settings_of(run)
        super().__init__(run, place, s.predictor_epochs, _predictor_groups(run), s.hard_lr)

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Freeze the encoder, without dropout."""
        self.run.model.eval()  # type: ignore[no-untyped-call]
        return {}

    def batch(self, rows: list[int]) -> TrainingBatch:
        """Return a micro-batch of whole texts."""
        return self.run.batch(rows)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the KL."""
        return {"saliency": imitation(self, batch, remove=False)[1]}

    def step(self, rows: list[int]) -> float:
        """Take one step with the predictors."""
        self.run.model.model.requires_grad_(False)
        value = super().step(rows)
        self.run.model.model.requires_grad_(True)
        return value


class SoftStage(Stage):
    """The published training: tokens fade, λ grows from epoch to epoch."""

    name = "soft"

    def __init__(self, run: TrainingRun, place: int) -> None:
        self.settings = settings_of(run)
        model, step = adapler_of(run), self.settings.step
        total = max(1, run.steps * self.settings.epochs)
        of_classes = as_tensor(run.class_weights, run.classifier.device)
        self.both = AdaplerStep(model, step, total, of_classes)
        weights, thresholds = self.both.optimizers
        optimizers = {"weights": weights, "thresholds": thresholds}
        super().__init__(run, place, self.settings.epochs, optimizers, self.both.schedules)
        self.loop.progress["speed"] = 1.0
        self.lam = 0.0

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Set λ."""
        self.run.model.train()
        self.lam = steepness(epoch, self.epochs, self.settings.steepness)
        return {"lambda": self.lam}

    def step(self, rows: list[int]) -> float:
        """Take one step with both optimisers; penalise lengths while the speed-up is below its target."""
        run, progress, wanted = self.run, self.loop.progress, self.run.settings.speedup
        push = wanted is None or progress["speed"] < wanted
        task = length = 0.0
        for part in run.parts(rows):
            share = len(part) / len(rows)
            with run.classifier.autocast():
                found = self.both.losses(run.batch(part), self.lam, push)
            for term, value in (("task", found.task), ("saliency", found.head), ("length", found.length)):
                ids = [run.windows[i].id for i in part]
                self.loop.check_finite(float(value.detach()), f"{term} loss", ids)
            self.both.backward(found, share)
            task += share * float(found.task.detach())
            length += share * float(found.length.detach())
        self.both.apply()
        tokens = float(np.mean([len(run.windows[i].window) for i in rows])) * len(self.both.model.eta)
        progress["speed"] = SPEED_SMOOTHING * progress["speed"] + (1 - SPEED_SMOOTHING) * tokens / length
        return task


class HardStage(RemovalStage):
    """Ours: tokens are really removed; thresholds change only where they are set; all else is trained."""

    def __init__(self, run: TrainingRun, place: int) -> None:
        encoder = unwrap(run.model).named_parameters()
        groups = decay_groups(encoder, run.settings.step.weight_decay) + _predictor_groups(run)
        super().__init__(run, place, groups)
        self.every = -(-run.steps // settings_of(run).scalings)  # steps from one scaling to the next

    @property
    def is_gradual(self) -> bool:
        """Return whether thresholds are set within epochs, or layer by layer."""
        return settings_of(self.run).gradual != (0.0, 1, None)

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Scale the thresholds to the target speed-up, unless the steps do so."""
        if self.is_gradual:
            return PackedStage.begin_epoch(self, epoch, fresh)
        return super().begin_epoch(epoch, fresh)

    def step(self, rows: list[int]) -> float:
        """Take one step; before it, set the thresholds if that is due."""
        if self.is_gradual and self.loop.progress["step"] % self.every == 0:
            self.set_thresholds()
        return super().step(rows)

    def set_thresholds(self) -> None:
        """Set the thresholds to the current target speed-up."""
        run, s, progress = self.run, settings_of(self.run), self.loop.progress
        assert s.speedup is not None
        place = progress["epoch"] * s.scalings + progress["step"] // self.every
        wanted = rising(s.speedup, s.anneal, place, self.epochs * s.scalings)
        run.model.eval()  # type: ignore[no-untyped-call]
        windows = run.some_windows(OFTEN_CALIBRATION)
        if s.decline is None:
            reached = scale_thresholds(run.classifier, windows, wanted)
        else:
            shares = layer_shares(run.classifier, windows, wanted, s.decline)
            reached = set_layer_thresholds(run.classifier, windows, shares)
        progress["begun"] |= {"wanted": round(wanted, 3), "scaled_to": round(reached, 3)}
        run.model.train()

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the task on the shrunk batch, and the saliency of what reached each layer."""
        logits, kl = imitation(self, batch, remove=True)
        return {"task": self.task(logits, batch), "saliency": kl}


ADAPLER_STAGES: Stages = {"predictors": PredictorStage, "soft": SoftStage, "hard": HardStage}
