"""A stage of training: epochs of steps on batches, resumed after a kill; and stages in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rationale.inference.savings import scale_thresholds
from rationale.models.adapler_losses import LossWeights, task_loss
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens
from rationale.models.packed.encoder import Output, run_packed
from rationale.models.packed.packing import Halting, SelectTokens, Weigh
from rationale.training.class_weights import as_tensor
from rationale.training.loop import decay_groups, linear, resume_schedule
from rationale.training.run import CHECKPOINT, TrainingBatch, TrainingRun

CALIBRATION = 2**15  # pieces of train, at least, on which thresholds are scaled


class Stage:
    """One stage: its name, its number of epochs, its optimisers, and what it does with a batch."""

    name: str
    class_weights: Tensor | None = None  # [C]

    def __init__(
        self,
        run: TrainingRun,
        place: int,
        epochs: int,
        optimizers: dict[str, Optimizer],
        schedules: Sequence[LambdaLR],
    ) -> None:
        self.run, self.place, self.epochs, self.schedules = run, place, epochs, schedules
        self.class_weights = as_tensor(run.class_weights, run.classifier.device)
        self.loop = run.loop(self.name, self.trained, optimizers)

    @property
    def trained(self) -> nn.Module:
        """Return all that this stage trains."""
        return self.run.model

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
            loss = self.loop.epoch(self.run.order(progress["epoch"], self.place), self.step)
            self.close_epoch(progress["begun"] | {"train_loss": loss})

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Prepare an epoch, `fresh` or resumed; return what its log entry should say."""
        raise NotImplementedError

    def step(self, rows: list[int]) -> float:
        """Learn from a batch; return its loss."""
        raise NotImplementedError

    def close_epoch(self, entry: dict[str, Any]) -> None:
        """Measure, keep what is best, log."""
        self.run.close_epoch(self.loop, entry)


class PackedStage(Stage):
    """A stage with one optimiser on packed batches; subclasses name the terms of its loss."""

    def __init__(
        self, run: TrainingRun, place: int, epochs: int, groups: list[dict[str, Any]], lr: float
    ) -> None:
        s, total = run.settings.step, max(1, run.steps * epochs)
        self.groups = groups
        self.optimizer = AdamW(groups, lr=lr, eps=s.eps)
        schedule = LambdaLR(self.optimizer, lambda step: linear(step, total, s.warmup * total))
        super().__init__(run, place, epochs, {"weights": self.optimizer}, [schedule])

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Train mode: dropout on, nothing frozen."""
        self.run.model.train()
        return {}

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the terms of a micro-batch's loss, which are summed; the first is logged."""
        raise NotImplementedError

    def step(self, rows: list[int]) -> float:
        """Take one step, in micro-batches."""
        run, value = self.run, 0.0
        for part in run.parts(rows):
            terms = self.losses(self.batch(part))
            share = len(part) / len(rows)
            ids = [run.windows[i].id for i in part]
            found = [self.loop.check_finite(float(t.detach()), f"{n} loss", ids) for n, t in terms.items()]
            value += share * found[0]
            (torch.stack(list(terms.values())).sum() * share).backward()  # type: ignore[no-untyped-call]
        self.apply()
        return value

    def batch(self, rows: list[int]) -> TrainingBatch:
        """Return a micro-batch, without some of its words if the settings say so."""
        if self.run.settings.word_drop:
            return self.run.shorter_batch(rows, self.loop.progress["epoch"])
        return self.run.batch(rows)

    def forward(
        self,
        batch: TrainingBatch,
        select_tokens: SelectTokens,
        halting_policy: Halting | None = None,
        weigh: Weigh | None = None,
    ) -> Output:
        """Run the encoder on a packed batch.

        Args:
            batch: padded windows [B,T].
            select_tokens: what is dropped before each layer.
            halting_policy: which sequences stop early.
            weigh: changes the weights of attention, see `run_packed`.
        """
        inner = unwrap(self.run.model)
        with self.run.classifier.autocast():
            return run_packed(
                inner, batch.ids, batch.types, batch.real, select_tokens, halting_policy, weigh=weigh
            )

    def task(self, logits: Tensor, batch: TrainingBatch) -> Tensor:
        """Return the task loss of logits [B,C], a share of which is distillation from the dense model."""
        s = self.run.settings.step
        weights = LossWeights(0.0, 0.0, self.class_weights, s.distill, s.temperature)
        return task_loss(logits.float(), batch.labels, weights, batch.teacher)

    def apply(self) -> None:
        """Take a step; each group of weights is clipped by itself."""
        for group in self.groups:
            nn.utils.clip_grad_norm_(group["params"], self.run.settings.step.clip)
        self.optimizer.step()
        for schedule in self.schedules:
            schedule.step()
        self.optimizer.zero_grad()


class RemovalStage(PackedStage):
    """Tokens are really removed while the encoder learns; thresholds are only scaled."""

    name = "hard"

    def __init__(self, run: TrainingRun, place: int, groups: list[dict[str, Any]] | None = None) -> None:
        s = run.settings
        encoder = unwrap(run.model).named_parameters()
        super().__init__(
            run, place, s.hard_epochs, groups or decay_groups(encoder, s.step.weight_decay), s.hard_lr
        )

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Scale the thresholds to the wanted speed-up, where one is wanted."""
        run, wanted = self.run, self.run.settings.speedup
        found: dict[str, Any] = {}
        if fresh and wanted is not None:
            run.model.eval()  # type: ignore[no-untyped-call]
            reached = scale_thresholds(run.classifier, run.some_windows(CALIBRATION), wanted)
            found = {"scaled_to": round(reached, 3)}
        return found | super().begin_epoch(epoch, fresh)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the task loss on the shrunk batch."""
        model = self.run.model
        assert drops_tokens(model)
        return {"task": self.task(self.forward(batch, model.select_tokens).logits, batch)}


Stages = Mapping[
    str, Callable[[TrainingRun, int], Stage]
]  # by name, in turn; a stage of a run, and its place


def train_stages(run: TrainingRun, makers: Stages) -> dict[str, Any]:
    """Train the stages that are left, beginning inside the one where an earlier run stopped.

    A stage is built when its turn comes, as the one before may leave it another model.
    """
    begun = [i for i, name in enumerate(makers) if (run.out / f"{name}{CHECKPOINT}").exists()]
    first = begun[-1] if begun else 0
    progress: dict[str, Any] = {}
    for i, make in enumerate(makers.values()):
        if i < first:
            continue
        stage = make(run, i)
        if begun and i == first:
            stage.loop.resume()
        elif i:
            stage.loop.progress |= {k: progress[k] for k in ("log", "best", "kept")}
        stage.train()
        progress = stage.loop.progress
    return progress
