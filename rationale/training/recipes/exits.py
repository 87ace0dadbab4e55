"""Train a head at each layer, for any early-exit rule, and halting units on top.

Three stages. `heads`: the encoder is frozen, and heads learn from stored states (as in DeeBERT; the last
layer keeps the dense model's own head). `joint`: encoder and heads learn together, with equal weight for each
layer's answer (similar to PABEE). `halting`: only the halting units learn, with DACT-BERT's loss.

Axes: L layer, b window of one batch, D hidden width, C class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from rationale.models.adapler_losses import LossWeights, task_loss
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification, halting_chance
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import TINY
from rationale.training.adaptive import Recipe
from rationale.training.class_weights import weighted
from rationale.training.loop import decay_groups
from rationale.training.recipes.dact import with_exits
from rationale.training.recipes.settings import ExitsSettings
from rationale.training.recipes.stored import StoredStage
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage


class HeadsStage(StoredStage):
    """The loss is the mean over layers of the task loss of y_n."""

    name = "heads"
    measured = False  # halting units are still to come

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, ExitsSettings)
        s = run.settings
        model = run.model_as(DactForSequenceClassification)
        super().__init__(run, place, s.head_epochs, model.heads, s.head_lr, s.step.weight_decay)

    def loss(self, rows: list[int]) -> Tensor:
        """Return the mean task loss of the layers' own answers."""
        run, s, u = self.run, self.run.settings.step, self.states[rows]  # [b,L,D]
        labels = torch.tensor([run.windows[i].label for i in rows], device=u.device)  # [b]
        teacher = torch.stack([run.logits[i] for i in rows]).to(u.device)  # [b,C]
        weights = LossWeights(0.0, 0.0, self.class_weights, s.distill, s.temperature)
        logits = [
            head.module(u[:, n], None, unwrap(self.model)) for n, head in enumerate(self.modules)
        ]  # [b,C] each
        return torch.stack([task_loss(of.float(), labels, weights, teacher) for of in logits]).mean()


class JointStage(PackedStage):
    """The loss is the mean over layers of the task loss of y_n; everything but the halting units learns."""

    name = "joint"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, ExitsSettings)
        self.model, s = run.model_as(DactForSequenceClassification), run.settings
        self.model.requires_grad_(True)
        self.model.halting_units.requires_grad_(False)
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        super().__init__(run, place, s.epochs, decay_groups(named, s.step.weight_decay), s.step.lr)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the mean task loss of the layers' own answers."""
        accumulator = self.model.accumulator(halts=False)
        self.forward(batch, self.model.select_tokens, accumulator)
        own = [self.task((y + TINY).log(), batch) for y in accumulator.answers]
        return {"heads": torch.stack(own).mean()}


class HaltingStage(StoredStage):
    """The loss is the task loss of a_N plus τ Σ p_n; everything but the halting units is frozen.

    Halting units start at h = 0.88, not 0.5: otherwise the last layers hardly count in a_N, and never will.
    """

    name = "halting"
    start = 2.0  # before σ

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, ExitsSettings)
        self.settings, s = run.settings, run.settings
        model = run.model_as(DactForSequenceClassification)
        super().__init__(run, place, s.halting_epochs, model.halting_units, s.halting_lr, s.halting_decay)
        self.answers = torch.empty(0)  # y_n [B,L,C]
        for unit in self.modules:
            nn.init.constant_(unit.module.bias, self.start)  # type: ignore[arg-type]

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Keep the last epoch, which alone is measured, regardless of earlier stages."""
        if fresh and epoch == 0:
            self.loop.progress |= {"best": [-1.0, 0.0], "kept": None}
        found = super().begin_epoch(epoch, fresh)
        if not len(self.answers):
            self.answers = self._said()
        return found

    @torch.no_grad()
    def _said(self) -> Tensor:
        """Return each layer's answer for each window [B,L,C]."""
        given = self.states * self.deviation + self.mean  # [B,L,D]
        said = [self.model.read(n, given[:, n])[0] for n in range(given.shape[1])]  # [B,C] each
        return torch.stack(said, 1)  # [B,L,C]

    def loss(self, rows: list[int]) -> Tensor:
        """Return the loss of a_N plus the ponder cost."""
        u, y = self.states[rows], self.answers[rows]  # [b,L,D], [b,L,C]
        units = [unit.module for unit in self.modules]
        at = Accumulator(len(units), lambda n, *_: (y[:, n], halting_chance(units[n], u[:, n], None)), None)
        running = torch.arange(len(rows), device=u.device)  # [b]
        for n in range(len(units)):
            at.should_stop(n, running, running)
        labels = torch.tensor([self.run.windows[i].label for i in rows], device=u.device)  # [b]
        task = weighted(nll_loss, at.logits(), labels, self.class_weights)
        return task + self.settings.tau * torch.stack(at.ponder).sum(0).mean()


EXITS = Recipe(ExitsSettings, with_exits, {"heads": HeadsStage, "joint": JointStage, "halting": HaltingStage})
