"""One training run of an adaptive model: what it learns from, and what happens after an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from eraser import Dataset
from eraser.types import Mask
from rationale.hf.classifier import Classifier, save_classifier
from rationale.inference.ablate import words_of
from rationale.inference.predict import piece_budget
from rationale.inference.savings import RemovalStats, measure_removal
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import has_dial
from rationale.models.packed.encoder import read_real
from rationale.text.windows import Window, covers, length_batches, without
from rationale.training.loop import Loop, TrainingWindow, shuffled_batches
from rationale.training.settings import AdaptiveSettings
from rationale.training.targets import taught_logits

CHECKPOINT = ".checkpoint.safetensors"
ModelT = TypeVar("ModelT", bound=PreTrainedModel)
REACHED = 0.95  # of the wanted speed-up: val is not the text on which thresholds were scaled


def drawn_words(window: Window, rng: np.random.Generator, share: float) -> Mask:
    """Return a random mask [W] of about that share of a window's words, units whole; never all of them."""
    drawn = rng.random(max(int(window.end.max()), 0) + 1) < share
    units = words_of(window)
    removed: Mask = np.zeros_like(drawn)
    removed[units] = drawn[units]
    return removed if len(without(window, removed)) else np.zeros_like(drawn)


@dataclass(frozen=True)
class TrainingBatch:
    """Padded windows [B,T], labels [B], what predictors should imitate [B,T], the teacher's logits [B,C]."""

    ids: Tensor
    types: Tensor
    real: Tensor
    labels: Tensor
    saliency: Tensor | None = None
    teacher: Tensor | None = None


@dataclass
class TrainingRun:
    """One training run: what it learns from, and how; `targets` is empty where nobody imitates saliency.

    `identity` is all that the model depends on; `places` are the folders `dense` and `start` that were read.
    `class_weights` [C] weigh the task loss, in the order of the model's labels; None where all weigh alike.
    """

    classifier: Classifier
    teachers: tuple[Classifier, ...]
    dataset: Dataset
    windows: Sequence[TrainingWindow]
    targets: Sequence[Tensor]
    logits: Sequence[Tensor]
    out: Path
    settings: AdaptiveSettings
    reference: RemovalStats
    identity: dict[str, Any]
    places: dict[str, str]
    class_weights: tuple[float, ...] | None = None

    @property
    def steps(self) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self.windows) // self.settings.batch_size)

    @property
    def model(self) -> PreTrainedModel:
        """Return the model in training."""
        return self.classifier.model

    def model_as(self, made: type[ModelT]) -> ModelT:
        """Return the model in training, of the class of which the recipe made it."""
        assert isinstance(self.model, made)
        return self.model

    def close_epoch(self, loop: Loop, entry: dict[str, Any]) -> None:
        """Measure the model on val, keep it if it is the best so far, and log."""
        self.model.eval()  # type: ignore[no-untyped-call]
        loop.check_finite(sum(float(p.detach().sum()) for p in self.model.parameters()), "sum of weights")
        found, described = self.measure_on_val(self.classifier)
        entry |= described
        rank = self.rank(found)
        if rank >= loop.progress["best"]:
            loop.progress |= {"best": rank, "kept": entry}
            save_classifier(self.model, self.classifier.encoder.tokenizer, self.out)
        loop.next_epoch(entry)
        loop.save()

    def measure_on_val(self, classifier: Classifier) -> tuple[RemovalStats, dict[str, Any]]:
        """Return what a model does on val, and the entry for the log."""
        found, model = measure_removal(classifier, self.dataset, "val"), classifier.model
        own = model.log_entry() if has_dial(model) else {}
        return found, {
            "val_accuracy": found.accuracy,
            "speedup": round(found.speedup, 3),
            "lengths": [round(float(x), 2) for x in found.lengths],
            **own,
            "within_tolerance": found.accuracy > self.reference.accuracy - self.settings.tolerance,
        }

    def rank(self, found: RemovalStats) -> list[float]:
        """Return how good an epoch is, to be compared number by number.

        The fastest of those within the tolerance, ties to the most accurate; while there is none, the most
        accurate. Where a speed-up is wanted: the most accurate of those that reach it.
        """
        wanted, tolerated = self.settings.speedup, self.reference.accuracy - self.settings.tolerance
        if wanted is not None:
            return [float(found.speedup >= REACHED * wanted), found.accuracy]
        return [1.0, found.speedup, found.accuracy] if found.accuracy > tolerated else [0.0, found.accuracy]

    def parts(self, rows: list[int]) -> list[list[int]]:
        """Return the micro-batches of a batch."""
        limit = piece_budget(self.classifier.device, "backward")
        return [
            [rows[i] for i in p] for p in length_batches([len(self.windows[i].window) for i in rows], limit)
        ]

    def batch(self, rows: list[int]) -> TrainingBatch:
        """Return windows as the losses take them."""
        windows = [self.windows[i].window for i in rows]
        batch = self._batch(rows, windows, [self.targets[i] for i in rows] if self.targets else [])
        return replace(batch, teacher=torch.stack([self.logits[i] for i in rows]).to(batch.ids.device))

    def shorter_batch(self, rows: list[int], epoch: int) -> TrainingBatch:
        """Return windows without some of their words, and the dense model's logits for them.

        The words are drawn again each epoch, from the rows alone, so that a resumed run draws the same.
        """
        rng = np.random.default_rng((self.settings.seed, epoch, *rows))
        shorter, targets = [], []
        for i in rows:
            window = self.windows[i].window
            removed = drawn_words(window, rng, self.settings.word_drop)
            shorter += [without(window, removed)]
            if self.targets:
                targets += [self.targets[i][torch.from_numpy(~covers(window, removed))]]
        batch = self._batch(rows, shorter, targets)
        read = self.classifier.encoder.collate(shorter).to(batch.ids.device)
        return replace(batch, teacher=taught_logits(self.teachers, read))

    def _batch(self, rows: list[int], windows: Sequence[Window], targets: Sequence[Tensor]) -> TrainingBatch:
        device = self.classifier.device
        batch = self.classifier.encoder.collate(windows).to(device)
        saliency = nn.utils.rnn.pad_sequence(list(targets), batch_first=True).to(device) if targets else None
        labels = torch.tensor([self.windows[i].label for i in rows], device=device)
        real = read_real(unwrap(self.classifier.model), batch.ids, batch.real)  # [B,T]
        return TrainingBatch(batch.ids, batch.types, real, labels, saliency)

    def some_windows(self, pieces: int) -> list[Window]:
        """Return random windows of at least `pieces` pieces in all, or all windows; always the same."""
        order = np.random.default_rng(self.settings.seed).permutation(len(self.windows))
        lengths = np.array([len(self.windows[i].window) for i in order])
        enough = int(np.searchsorted(lengths.cumsum(), pieces)) + 1
        return [self.windows[i].window for i in order[:enough]]

    def order(self, epoch: int, stage: int) -> list[list[int]]:
        """Return the batches of an epoch."""
        lengths = [len(w.window) for w in self.windows]
        return shuffled_batches(
            lengths, self.settings.batch_size, (self.settings.seed + 10**6 * stage, epoch)
        )

    def loop(self, name: str, module: nn.Module, optimizers: dict[str, Optimizer]) -> Loop:
        """Return the loop of a stage that trains a module."""
        file = self.out / f"{name}{CHECKPOINT}"
        loop = Loop(file, module, optimizers, self.identity, self.settings.checkpoint_seconds)
        loop.progress |= {"best": [-1.0, 0.0], "kept": None}
        return loop
