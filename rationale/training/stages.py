"""The stages of AdapLeR's training: predictors alone, soft removal as published, hard removal.

Each stage is a step on a batch; `train_stages` runs them in turn, and goes on in the one that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rationale.models.adapler_losses import LossWeights, packed_kl, task_loss
from rationale.models.encoder import run_packed
from rationale.models.packed import Rows
from rationale.models.removal import scale_thresholds
from rationale.training.adapler import AdaplerBatch, AdaplerStep, linear, steepness
from rationale.training.loop import decay_groups, resume_schedule
from rationale.training.run import Run

SPEED_SMOOTHING = 0.9  # of the running mean that `speedup` compares with
CALIBRATION = 2**15  # pieces of train, at least, on which thresholds are scaled


class Stage:
    """One stage: its name, its number of epochs, its optimisers, and what it does with a batch."""

    name: str

    def __init__(
        self, run: Run, epochs: int, optimizers: dict[str, Optimizer], schedules: Sequence[LambdaLR]
    ) -> None:
        self.run, self.epochs, self.schedules = run, epochs, schedules
        self.loop = run.loop(self.name, optimizers)
        self.seed = list(STAGES).index(self.name)

    def train(self) -> None:
        """Train the epochs that are left."""
        progress, steps = self.loop.progress, self.run.steps
        for schedule in self.schedules:
            resume_schedule(schedule, progress["epoch"] * steps + progress["step"])
        while progress["epoch"] < self.epochs:
            fresh = progress["step"] == 0
            begun = self.begin_epoch(progress["epoch"], fresh)
            if fresh:
                progress["begun"] = {"stage": self.name, "epoch": progress["epoch"], **begun}
            loss = self.loop.epoch(self.run.order(progress["epoch"], self.seed), self.step)
            self.run.close_epoch(self.loop, progress["begun"] | {"train_loss": loss})

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Prepare an epoch, `fresh` or gone on with; return what its log entry should say."""
        raise NotImplementedError

    def step(self, rows: list[int]) -> float:
        """Learn from a batch; return its loss."""
        raise NotImplementedError


class SoftStage(Stage):
    """The published training: tokens fade, λ grows from epoch to epoch."""

    name = "soft"

    def __init__(self, run: Run) -> None:
        epochs = run.settings.epochs
        self.both = AdaplerStep(run.model, run.settings.step, max(1, run.steps * epochs))
        weights, thresholds = self.both.optimizers
        super().__init__(run, epochs, {"weights": weights, "thresholds": thresholds}, self.both.schedules)
        self.loop.progress["speed"] = 1.0
        self.lam = 0.0

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Set λ."""
        self.run.model.train()
        self.lam = steepness(epoch, self.epochs, self.run.settings.steepness)
        return {"lambda": self.lam}

    def step(self, rows: list[int]) -> float:
        """Take one step with both optimisers; push the lengths while the model is slower than wanted."""
        run, progress, wanted = self.run, self.loop.progress, self.run.settings.speedup
        push = wanted is None or progress["speed"] < wanted
        task = length = 0.0
        for part in run.parts(rows):
            share = len(part) / len(rows)
            with run.classifier.autocast():
                found = self.both.losses(run.batch(part), self.lam, push)
            for term, value in (("task", found.task), ("saliency", found.head), ("length", found.length)):
                self.loop.check_finite(float(value.detach()), f"{term} loss")
            self.both.backward(found, share)
            task += share * float(found.task.detach())
            length += share * float(found.length.detach())
        self.both.apply()
        tokens = float(np.mean([len(run.windows[i].window) for i in rows])) * len(run.model.eta)
        progress["speed"] = SPEED_SMOOTHING * progress["speed"] + (1 - SPEED_SMOOTHING) * tokens / length
        return task


class PackedStage(Stage):
    """What the two stages of our own share: packed batches, and predictors that imitate saliency.

    The predictors see detached states: their KL moves nothing but them.
    """

    def __init__(self, run: Run, epochs: int, groups: list[dict[str, Any]]) -> None:
        s, total = run.settings.step, max(1, run.steps * epochs)
        self.groups = groups
        self.optimizer = AdamW(groups, lr=run.settings.hard_lr, eps=s.eps)
        schedule = LambdaLR(self.optimizer, lambda step: linear(step, total, s.warmup * total))
        super().__init__(run, epochs, {"weights": self.optimizer}, [schedule])

    def forward(self, batch: AdaplerBatch, remove: bool) -> tuple[Tensor, Tensor]:
        """Return logits [B,C] and Σ KL over layers, with or without removal."""
        model, kls = self.run.model, []
        target = batch.saliency[batch.real]

        def choose(layer: int, states: Tensor, rows: Rows) -> tuple[Tensor, None]:
            nonlocal target
            kept, scores = model.choose(layer, states.detach(), rows)
            kls.append(packed_kl(target, scores, rows))
            kept = kept if remove else torch.ones_like(kept)
            target = target[kept]
            return kept, None

        with self.run.classifier.autocast():
            output = run_packed(model.model, batch.ids, batch.types, batch.real, choose)
        return output.logits.float(), torch.stack(kls).sum()

    def apply(self) -> None:
        """Take a step; each kind of weight is clipped by itself."""
        for group in self.groups:
            nn.utils.clip_grad_norm_(group["params"], self.run.settings.step.clip)
        self.optimizer.step()
        for schedule in self.schedules:
            schedule.step()
        self.optimizer.zero_grad()


def _predictor_groups(run: Run) -> list[dict[str, Any]]:
    named = run.model.contribution_predictors.named_parameters()
    lr = run.settings.step.predictor_lr or run.settings.hard_lr
    return [g | {"lr": lr} for g in decay_groups(named, run.settings.step.weight_decay)]


class PredictorStage(PackedStage):
    """Ours: nothing is removed, the encoder rests, the predictors learn to imitate saliency."""

    name = "predictors"

    def __init__(self, run: Run) -> None:
        super().__init__(run, run.settings.predictor_epochs, _predictor_groups(run))

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Rest the encoder, dropout included."""
        self.run.model.eval()  # type: ignore[no-untyped-call]
        return {}

    def step(self, rows: list[int]) -> float:
        """Take one step with the predictors."""
        self.run.model.model.requires_grad_(False)
        value = 0.0
        for part in self.run.parts(rows):
            _, kl = self.forward(self.run.batch(part), remove=False)
            loss = kl * (len(part) / len(rows))
            value += self.loop.check_finite(float(loss.detach()), "saliency loss")
            loss.backward()  # type: ignore[no-untyped-call]
        self.apply()
        self.run.model.model.requires_grad_(True)
        return value


class HardStage(PackedStage):
    """Ours: tokens are really removed; thresholds rest, all other weights adapt."""

    name = "hard"

    def __init__(self, run: Run) -> None:
        encoder = [(f"model.{n}", p) for n, p in run.model.model.named_parameters()]
        groups = decay_groups(encoder, run.settings.step.weight_decay) + _predictor_groups(run)
        super().__init__(run, run.settings.hard_epochs, groups)

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Scale the thresholds to the wanted speed-up, where one is wanted."""
        run, wanted = self.run, self.run.settings.speedup
        found: dict[str, Any] = {}
        if fresh and wanted is not None:
            run.model.eval()  # type: ignore[no-untyped-call]
            reached = scale_thresholds(run.classifier, run.some_windows(CALIBRATION), wanted)
            found = {"scaled_to": round(reached, 3)}
        run.model.train()
        return found

    def step(self, rows: list[int]) -> float:
        """Take one step: the task on the shrunk batch, and the saliency of what reached each layer."""
        s, run, value = self.run.settings.step, self.run, 0.0
        weights = LossWeights(0.0, 0.0, distill=s.distill, temperature=s.temperature)
        epoch = self.loop.progress["epoch"]
        for part in run.parts(rows):
            batch = run.shorter_batch(part, epoch) if run.settings.word_drop else run.batch(part)
            share = len(part) / len(rows)
            logits, kl = self.forward(batch, remove=True)
            task = task_loss(logits, batch.labels, weights, batch.teacher)
            self.loop.check_finite(float(kl.detach()), "saliency loss")
            value += share * self.loop.check_finite(float(task.detach()), "task loss")
            total = (task + kl) * share
            total.backward()  # type: ignore[no-untyped-call]
        self.apply()
        return value


STAGES: dict[str, Callable[[Run], Stage]] = {
    "predictors": PredictorStage,
    "soft": SoftStage,
    "hard": HardStage,
}


def train_stages(run: Run) -> dict[str, Any]:
    """Train every stage after the one that an earlier run left, and the rest of that one."""
    stages = [make(run) for make in STAGES.values()]
    begun = [i for i, stage in enumerate(stages) if stage.loop.file.exists()]
    first = begun[-1] if begun else 0
    if begun:
        stages[first].loop.resume()
    for i, stage in enumerate(stages[first:], start=first):
        if i > first:
            stage.loop.progress |= {k: stages[i - 1].loop.progress[k] for k in ("log", "best", "kept")}
        stage.train()
    return stages[-1].loop.progress
