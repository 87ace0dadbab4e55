"""Modules learn from states that are computed once: the encoder is frozen, so an epoch takes seconds.

Heads and halting units get standardised states (see `Standardised`).

Axes: L layer, B window, b of one batch, D hidden width.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from eraser import Fault, InputError
from eraser.progress import progress
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification
from rationale.models.exits.standardised import Standardised
from rationale.models.packed.encoder import run_packed
from rationale.training.adaptive import digest_of
from rationale.training.loop import decay_groups, linear
from rationale.training.run import TrainingRun
from rationale.training.stage import Stage
from rationale.training.targets import kept_on_disk

LEAST = 1e-6  # smallest deviation: a constant coordinate carries no information


class StoredStage(Stage):
    """A stage in which one module each for some layers learns from stored states; the rest is frozen."""

    measured = True  # whether the model is measured after the last epoch

    def __init__(  # noqa: PLR0913 (what a stage is made of)
        self,
        run: TrainingRun,
        place: int,
        epochs: int,
        modules: nn.ModuleList,
        lr: float,
        weight_decay: float,
    ) -> None:
        self.model = run.model_as(DactForSequenceClassification)
        self.modules = [cast(Standardised, m) for m in modules]
        self.model.requires_grad_(False)
        modules.requires_grad_(True)
        total, step = max(1, run.steps * epochs), run.settings.step
        groups = decay_groups(modules.named_parameters(), weight_decay)
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
            for module, mean, deviation in zip(self.modules, self.mean, self.deviation, strict=False):
                module.adapt(mean, deviation)
        return {}

    def close_epoch(self, entry: dict[str, Any]) -> None:
        """Measure the model after the last epoch alone."""
        last = self.loop.progress["epoch"] + 1 == self.epochs
        if last and self.measured:
            super().close_epoch(entry)
            return
        self.loop.next_epoch(entry)
        if last:
            self.loop.save()

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
    dense, name = Path(run.places["dense"]), f"states-{key.hexdigest()[:16]}.safetensors"
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
