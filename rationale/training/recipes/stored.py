"""Modules learn from states that are computed once: the encoder is frozen, so an epoch takes seconds.

After the first layers [CLS] differs between texts by only a thousandth, so a head learns next to nothing from
such states in an epoch. Heads and halting units therefore get standardised states; the standardisation is
folded into their first matrix whenever the model is measured or kept.

Axes: L layer, B window, b of one batch, D hidden width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from eraser import Fault, InputError
from eraser.progress import progress
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification
from rationale.models.packed.encoder import run_packed
from rationale.training.adaptive import digest_of
from rationale.training.loop import decay_groups, linear
from rationale.training.run import TrainingRun
from rationale.training.stage import Stage
from rationale.training.targets import kept_on_disk

LEAST = 1e-6  # smallest deviation: a constant coordinate carries no information


def first_matrix(module: nn.Module) -> nn.Linear | None:
    """Return the linear map that a head, or a halting unit, begins with."""
    return next((m for m in module.modules() if isinstance(m, nn.Linear)), None)


@torch.no_grad()
def fold(module: nn.Module, mean: Tensor, deviation: Tensor) -> None:
    """Make a module that takes (u − mean) / deviation take states u [b,D] instead."""
    matrix = first_matrix(module)
    assert matrix is not None
    matrix.weight.div_(deviation)  # [·,D]
    matrix.bias.sub_(matrix.weight @ mean)


@torch.no_grad()
def unfold(module: nn.Module, mean: Tensor, deviation: Tensor) -> None:
    """Make a module that takes u take (u − mean) / deviation instead: the inverse of `fold`."""
    matrix = first_matrix(module)
    assert matrix is not None
    matrix.bias.add_(matrix.weight @ mean)
    matrix.weight.mul_(deviation)


class StoredStage(Stage):
    """A stage in which one module each for some layers learns from stored states; the rest is frozen."""

    measured = True  # whether the model is measured after the last epoch

    def __init__(  # noqa: PLR0913 (what a stage is made of)
        self,
        run: TrainingRun,
        place: int,
        epochs: int,
        modules: Sequence[nn.Module],
        lr: float,
        weight_decay: float,
    ) -> None:
        self.model, self.modules = run.model_as(DactForSequenceClassification), nn.ModuleList(modules)
        self.model.requires_grad_(False)
        self.modules.requires_grad_(True)
        total, step = max(1, run.steps * epochs), run.settings.step
        groups = decay_groups(self.modules.named_parameters(), weight_decay)
        self.optimizer = AdamW(groups, lr=lr, eps=step.eps)
        schedule = LambdaLR(self.optimizer, lambda at: linear(at, total, step.warmup * total))
        self.states = self.mean = self.deviation = torch.empty(0)  # [B,L,D], [L,D], [L,D]
        super().__init__(run, place, epochs, {"weights": self.optimizer}, [schedule])

    def begin_epoch(self, epoch: int, fresh: bool) -> dict[str, Any]:
        """Compute the standardised states once, and adapt fresh modules to them."""
        self.model.eval()  # type: ignore[no-untyped-call]
        if not len(self.states):
            self.states = stored_states(self.run)
            self.mean = self.states.mean(0)  # [L,D]
            self.deviation = self.states.std(0).clamp(min=LEAST)  # [L,D]
            self.states = (self.states - self.mean) / self.deviation  # [B,L,D]
        if fresh and epoch == 0:
            self._each(unfold)
        return {}

    def close_epoch(self, entry: dict[str, Any]) -> None:
        """After the last epoch, make the modules take raw states again and measure the model."""
        if self.loop.progress["epoch"] + 1 < self.epochs:
            self.loop.next_epoch(entry)
            return
        self._each(fold)
        if self.measured:
            super().close_epoch(entry)
        else:
            self.loop.next_epoch(entry)
            self.loop.save()

    def _each(self, change: Any) -> None:
        for module, mean, deviation in zip(self.modules, self.mean, self.deviation, strict=False):
            change(module, mean, deviation)

    def loss(self, rows: list[int]) -> Tensor:
        """Return the loss of windows."""
        raise NotImplementedError

    def step(self, rows: list[int]) -> float:
        """Learn from a batch; return its loss."""
        loss = self.loss(rows)
        ids = [self.run.windows[i].id for i in rows]
        self.loop.check_finite(float(loss.detach()), f"{self.name} loss", ids)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedules[0].step()
        self.optimizer.zero_grad()
        return float(loss.detach())


def stored_states(run: TrainingRun) -> Tensor:
    """Return the heads' input for each window after each layer [B,L,D], computed once (targets.py)."""
    key = hashlib.sha256(digest_of(run.windows, run.classifier).encode())
    model = run.model_as(DactForSequenceClassification)
    for weight in model.model.state_dict().values():
        key.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    dense, name = Path(run.identity["dense"]), f"states-{key.hexdigest()[:16]}.safetensors"
    flat = torch.stack(kept_on_disk(dense, name, lambda: _states(run)))  # [B,L·D]
    return flat.view(len(flat), len(model.halting_units), -1).to(run.classifier.device)  # [B,L,D]


@torch.no_grad()
def _states(run: TrainingRun) -> list[Tensor]:
    model, found = run.model_as(DactForSequenceClassification), dict[int, Tensor]()
    policy = _Noting()
    for part in progress(run.parts(list(range(len(run.windows)))), "states", "batches"):
        batch, policy.read = run.batch(part), []
        with run.classifier.autocast():
            run_packed(unwrap(model), batch.ids, batch.types, batch.real, model.select_tokens, policy)
        found |= zip(part, torch.stack(policy.read, 1).float().cpu(), strict=True)  # [b,L,D]
    return [found[i] for i in range(len(run.windows))]


class _Noting:
    """Records the input of the heads; no text stops."""

    def __init__(self) -> None:
        self.read: list[Tensor] = []  # [b,D] of each layer

    def should_stop(self, layer: int, read: Tensor, running: Tensor, real: Tensor | None) -> None:
        """Record a layer's states."""
        if real is not None:
            raise InputError(
                Fault.of("heads learn from stored states only where they read one token, not all")
            )
        self.read.append(read)

    def logits(self) -> Tensor:
        """Return a placeholder."""
        return self.read[-1]
