"""Train a head at each layer, for any rule of early exits; then halting units alone, on what is there.

First every layer's answer counts alike, while the encoder learns too (as in PABEE) or rests (as in DeeBERT).
Then the loss is DACT-BERT's, and only halting units learn: from states that are computed once.

Axes: L layer, B window, b of one batch, D hidden width, C class.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from eraser.progress import progress
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification, halting_chance, read_of
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import TINY
from rationale.models.packed.encoder import run_packed
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups, linear
from rationale.training.recipes.dact import with_exits
from rationale.training.recipes.settings import ExitsSettings
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage, Stage


class HeadsStage(PackedStage):
    """The loss is the mean over layers of the task loss of y_n."""

    name = "heads"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, ExitsSettings)
        self.settings, self.model = run.settings, run.model_as(DactForSequenceClassification)
        s, heads = self.settings, [m for pair in self.model.exit_heads() for m in pair[:1]]  # type: ignore[index]
        own = {id(p) for head in heads for p in head.parameters()}
        named = [(n, p) for n, p in self.model.named_parameters() if not n.startswith("halting_units")]
        if s.frozen:
            self.model.requires_grad_(False)
            for head in heads:
                head.requires_grad_(True)
        groups = [
            g | {"lr": s.head_lr}
            for g in decay_groups([(n, p) for n, p in named if id(p) in own], s.step.weight_decay)
        ]
        if not s.frozen:
            groups += decay_groups([(n, p) for n, p in named if id(p) not in own], s.step.weight_decay)
        super().__init__(run, place, s.epochs, groups, s.step.lr)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the mean task loss of the layers' own answers."""
        accumulator = self.model.accumulator(halts=False)
        self.forward(batch, self.model.select_tokens, accumulator)
        own = [self.task((y + TINY).log(), batch) for y in accumulator.answers]
        return {"heads": torch.stack(own).mean()}


class HaltingStage(Stage):
    """The loss is that of a_N, and τ Σ p_n; all but the halting units rests."""

    name = "halting"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, ExitsSettings)
        self.settings, self.model = run.settings, run.model_as(DactForSequenceClassification)
        s, units = self.settings, self.model.halting_units
        self.model.requires_grad_(False)
        units.requires_grad_(True)
        total = max(1, run.steps * s.halting_epochs)
        self.optimizer = AdamW(units.parameters(), lr=s.halting_lr, weight_decay=0.0, eps=s.step.eps)
        schedule = LambdaLR(self.optimizer, lambda step: linear(step, total, s.step.warmup * total))
        self.states = self.answers = torch.empty(0)
        super().__init__(run, place, s.halting_epochs, {"weights": self.optimizer}, [schedule])

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Compute what the layers say, once; let the best of these epochs be kept, not one of the heads'."""
        self.model.eval()  # type: ignore[no-untyped-call]
        if not len(self.states):
            self.states, self.answers = self._said()
        if fresh and epoch == 0:
            self.loop.progress |= {"best": [-1.0, 0.0], "kept": None}
        return {}

    @torch.no_grad()
    def _said(self) -> tuple[Tensor, Tensor]:
        """Return what halting units read [B,L,D] of each window, and y_n [B,L,C]."""
        run, found = self.run, dict[int, tuple[Tensor, Tensor]]()
        for part in progress(run.parts(list(range(len(run.windows)))), "states", "batches"):
            batch, states = run.batch(part), list[Tensor]()
            policy = self.model.accumulator(halts=False)
            read = policy.read

            def noting(layer: int, given: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
                states.append(read_of(given, real).float())  # noqa: B023 (called within this turn)
                return read(layer, given, real)  # noqa: B023

            policy.read = noting
            with run.classifier.autocast():
                run_packed(
                    unwrap(self.model), batch.ids, batch.types, batch.real, self.model.select_tokens, policy
                )
            pairs = zip(torch.stack(states, 1), torch.stack(policy.answers, 1), strict=True)
            found |= zip(part, pairs, strict=True)
        states_of, answers_of = zip(*(found[i] for i in range(len(found))), strict=True)
        return torch.stack(states_of), torch.stack(answers_of)  # [B,L,D], [B,L,C]

    def step(self, rows: list[int]) -> float:
        """Learn from a batch; return the task loss."""
        u, y, s = self.states[rows], self.answers[rows], self.settings  # [b,L,D], [b,L,C]
        units: list[nn.Module] = list(self.model.halting_units)
        policy = Accumulator(len(units), lambda n, *_: (y[:, n], halting_chance(units[n], u[:, n], None)), None)
        running = torch.arange(len(rows), device=u.device)  # [b]
        for n in range(len(units)):
            policy.should_stop(n, running, running)
        labels = torch.tensor([self.run.windows[i].label for i in rows], device=u.device)  # [b]
        task = nn.functional.nll_loss(policy.logits(), labels)
        loss = task + s.tau * torch.stack(policy.ponder).sum(0).mean()
        ids = [self.run.windows[i].id for i in rows]
        self.loop.check_finite(float(loss.detach()), "halting loss", ids)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedules[0].step()
        self.optimizer.zero_grad()
        return float(task.detach())


EXITS = Recipe(ExitsSettings, with_exits, {"heads": HeadsStage, "halting": HaltingStage})
