"""What training runs share: epochs of shuffled batches, checkpoints by the clock, resuming after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from eraser import Dataset, Example, Fault, InputError
from eraser.load import is_table
from eraser.progress import Progress, say
from rationale.text.encode import Encoder
from rationale.text.windows import Window
from rationale.training.checkpoint import load_state, save_state

NO_DECAY = ("LayerNorm", "layer_norm", "bias")
FIRST = 3  # examples that are named
POOL = 50  # batches shuffled together before sorting by length: little padding, still random


@dataclass(frozen=True)
class TrainingWindow:
    """One window, the index of its label, the id of its example, and annotators' marks [T] if they teach."""

    window: Window
    label: int
    id: str = ""
    marks: NDArray[np.float32] | None = field(default=None, compare=False)


class Loop:
    """A run's progress, its state on disk, and one epoch of steps."""

    def __init__(
        self,
        file: Path,
        model: nn.Module,
        optimizers: Mapping[str, Optimizer],
        identity: Mapping[str, Any],
        checkpoint_seconds: float,
    ) -> None:
        self.file, self.model, self.optimizers, self.identity = file, model, optimizers, identity
        self.checkpoint_seconds = checkpoint_seconds
        self.progress: dict[str, Any] = {"epoch": 0, "step": 0, "best": -1.0, "log": [], "loss_sum": 0.0}

    def save(self) -> None:
        """Write the run's progress and state."""
        save_state(self.file, self.model, self.optimizers, {**self.progress, "run": self.identity})

    def resume(self) -> bool:
        """Resume an earlier run of the same identity; return False if there was none."""
        if not self.file.exists():
            return False
        self.progress = load_state(self.file, self.model, self.optimizers, self.identity)
        say(f"resumed at epoch {self.progress['epoch'] + 1}, step {self.progress['step']}")
        return True

    def epoch(self, order: Sequence[list[int]], step: Callable[[list[int]], float]) -> float:
        """Call `step` on each batch of indices not done yet; return the epoch's mean loss."""
        progress, saved = self.progress, time.monotonic()
        name = f"epoch {progress['epoch'] + 1}"
        with Progress(name, "steps", len(order), progress["step"]) as bar:
            for rows in order[progress["step"] :]:
                loss = step(rows)
                progress["loss_sum"] += loss
                progress["step"] += 1
                bar.add(note=f"loss={loss:.3f}")
                if time.monotonic() - saved > self.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        return float(progress["loss_sum"] / len(order))

    def next_epoch(self, entry: dict[str, Any]) -> None:
        """Log an epoch and begin the next."""
        self.progress["log"].append(entry)
        say(json.dumps(entry))
        self.progress.update(epoch=self.progress["epoch"] + 1, step=0, loss_sum=0.0)

    def check_finite(self, value: float, term: str, ids: Sequence[str] = ()) -> float:
        """Return the value; `ids` are the examples that it was computed on.

        Raises:
            InputError: it is NaN or infinite; the last checkpoint stays as it was.
        """
        if np.isfinite(value):
            return value
        at = f"epoch {self.progress['epoch'] + 1}, step {self.progress['step'] + 1}"
        at += f", {_named(ids)}" if ids else ""
        kept = "the last good checkpoint is kept; try a lower --lr or --precision float32 with another --out"
        raise InputError(Fault.of(f"{term} is {value} at {at}; {kept}", self.file.parent))


def _named(ids: Sequence[str]) -> str:
    more = len(ids) - FIRST
    return f"in {', '.join(ids[:FIRST])}" + (f" and {more} more" if more > 0 else "")


def decay_groups(named: Iterable[tuple[str, nn.Parameter]], decay: float) -> list[dict[str, Any]]:
    """Split parameters into those that weight decay shrinks and those it leaves: biases and norms."""
    plain: list[nn.Parameter] = []
    decayed: list[nn.Parameter] = []
    for name, parameter in named:
        vector = parameter.dim() < 2 or any(part in name for part in NO_DECAY)  # noqa: PLR2004 (no matrix)
        (plain if vector else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


def linear(step: int, total: int, warmup: float) -> float:
    """Return the learning rate's factor: up from 0 over `warmup` steps, down to 0 at `total`."""
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / (total - warmup))


def resume_schedule(schedule: LambdaLR, done: int) -> None:
    """Set a schedule, and its optimiser's learning rates, to their state after `done` steps."""
    schedule.load_state_dict({**schedule.state_dict(), "last_epoch": done, "_step_count": done + 1})
    groups = zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True)
    for group, base, rule in groups:
        group["lr"] = base * rule(done)


def check_splits(dataset: Dataset) -> None:
    """Refuse a data set without the train and val splits; a single file is one split."""
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            of_file = " (`rationale data import --file` divides a file)" if is_table(dataset.source) else ""
            message = f"training needs a {split} split, which is missing or empty{of_file}"
            raise InputError(Fault.of(message, dataset.source))


def training_windows(
    encoder: Encoder, dataset: Dataset, examples: Sequence[Example], labels: Sequence[str] | None = None
) -> list[TrainingWindow]:
    """Return every window of the examples, with its text's place among `labels`, by default the data's."""
    texts = encoder.encode([dataset.text(e) for e in examples])
    index = {label: i for i, label in enumerate(labels or dataset.labels)}
    return [
        TrainingWindow(window, index[example.label], example.id)
        for example, windows in zip(examples, texts, strict=True)
        for window in windows
    ]


def shuffled_batches(lengths: Sequence[int], size: int, seed: tuple[int, int]) -> list[list[int]]:
    """Return batches of `size` indices: shuffled, sorted by length within pools, shuffled again."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    pools = [order[i : i + POOL * size] for i in range(0, len(order), POOL * size)]
    by_length = [i for pool in pools for i in sorted(pool.tolist(), key=lambda i: lengths[i])]
    found = [by_length[i : i + size] for i in range(0, len(by_length), size)]
    return [found[i] for i in random.permutation(len(found))]
