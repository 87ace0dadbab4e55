"""Train AdapLeR: a fine-tuned model → saliency targets → soft removal → hard removal.

The soft stage is the published training (docs/adapler.md). The hard stage is ours: thresholds and
predictors rest, tokens are really removed, and the rest of the weights learns to do without them, at the
cost of the shrunk model. `speedup` aims at a number of times fewer operations: the lengths are pushed
only until it is reached, and the thresholds are scaled to it before each hard epoch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from eraser import Dataset, Fault, InputError
from eraser.write import write_json
from rationale.hf import (
    SETTINGS,
    Classifier,
    check_first_token,
    load_classifier,
    load_model,
    read_settings,
    save_classifier,
)
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adapler_losses import LossWeights, task_loss
from rationale.models.removal import Removal, measure_removal, scale_thresholds
from rationale.settings import digest
from rationale.text import length_batches
from rationale.training.adapler import (
    AdaplerBatch,
    AdaplerStep,
    linear,
    steepness,
)
from rationale.training.adapler_settings import AdaplerSettings
from rationale.training.dense import EPOCHS
from rationale.training.loop import (
    MICRO_PIECES,
    Loop,
    TrainingWindow,
    decay_groups,
    resume_schedule,
    say,
    shuffled_batches,
    training_windows,
)
from rationale.training.targets import kept_on_disk, saliency_targets, teacher_logits

SPEED_SMOOTHING = 0.9  # of the running mean that `speedup` compares with
CALIBRATION = 512  # windows of train on which thresholds are scaled


def train_adapler(
    dense: Path, dataset: Dataset, out: Path, settings: AdaplerSettings, start: Path | None = None
) -> dict[str, Any]:
    """Train, keep the fastest epoch within the tolerance of the dense model on val, return the record.

    Args:
        dense: a model that `train_dense` made: the teacher, and where saliency comes from (its best
            epochs, where it kept them).
        dataset: with train and val splits.
        out: the model's folder; a finished one with the same settings is left as it is, a half-finished
            one goes on where it stopped.
        settings: see AdaplerSettings.
        start: a folder whose encoder is trained instead of the dense model's (the pretrained weights, say).
    """
    settings.check()
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            raise InputError(Fault(f"a {split} split to train with", "none", dataset.source))
    texts = digest([(e.id, e.label, e.query, dataset.text(e).words) for e in dataset.splits["train"]])
    wanted = {**asdict(settings), "dense": str(dense), "start": str(start or dense), "texts": texts}
    wanted = json.loads(json.dumps(wanted))
    if done := read_settings(out):
        if done.get("training") == wanted:
            return done
        raise InputError(Fault("an empty folder or a model with the same settings", "other settings", out))
    teacher = load_classifier(dense, device=settings.device, precision=settings.precision)
    check_first_token(teacher.encoder.tokenizer, dense)
    if teacher.labels != dataset.labels:
        raise InputError(Fault(f"labels {list(dataset.labels)}", str(list(teacher.labels)), dense))
    windows = training_windows(teacher.encoder, dataset, dataset.splits["train"])
    targets, logits = _taught(dense, teacher, dataset, windows, settings)
    set_seed(settings.seed)
    model = AdaplerForSequenceClassification.from_dense(
        teacher.model if start is None else _started(start, teacher)
    )
    nn.init.constant_(model.eta, settings.eta)
    model.requires_grad_(True).to(teacher.device)  # type: ignore[arg-type]
    reference = measure_removal(teacher, dataset, "val")
    run = _Run(
        replace(teacher, model=model), dataset, windows, targets, logits, out, settings, reference, wanted
    )
    return run.train()


def _started(start: Path, teacher: Classifier) -> Any:
    config = teacher.model.config
    return load_model(
        start, num_labels=len(teacher.labels), id2label=config.id2label, label2id=config.label2id
    )[0]


def _taught(
    dense: Path, teacher: Classifier, dataset: Dataset, windows: Sequence[TrainingWindow], s: AdaplerSettings
) -> tuple[list[Tensor], list[Tensor]]:
    """Return KL targets and teacher logits of the windows, computed once and kept beside the dense model."""
    folders = sorted((dense / EPOCHS).glob("[0-9]*")) or [dense]
    if len(folders) > s.saliency_epochs:
        log = {str(e["epoch"]): e["val_accuracy"] for e in read_settings(dense)["log"]}
        folders = sorted(folders, key=lambda f: log[f.name], reverse=True)[: s.saliency_epochs]
    of_windows = digest([(w.window.ids.tolist(), w.label) for w in windows], teacher.bf16)
    key = digest(
        of_windows, s.target, s.target_class, [f.name for f in folders], read_settings(dense).get("log")
    )

    def compute() -> list[Tensor]:
        say(f"saliency targets: {s.target} of {', '.join(map(str, folders))}")
        models = [load_classifier(f, device=s.device, precision=s.precision) for f in folders]
        models = [replace(m, encoder=teacher.encoder) for m in models]
        found = saliency_targets(models, dataset, windows, s.target, s.target_class == "predicted")
        return [torch.from_numpy(t) for t in found]

    targets = kept_on_disk(dense / "targets" / f"{key}.safetensors", compute)
    logits = kept_on_disk(
        dense / "targets" / f"logits-{of_windows}.safetensors", lambda: list(teacher_logits(teacher, windows))
    )
    return targets, logits


@dataclass
class _Run:
    """One training run: what it learns from, and its two stages."""

    classifier: Classifier
    dataset: Dataset
    windows: Sequence[TrainingWindow]
    targets: Sequence[Tensor]
    logits: Sequence[Tensor]
    out: Path
    settings: AdaplerSettings
    reference: Removal
    identity: dict[str, Any]

    @property
    def model(self) -> AdaplerForSequenceClassification:
        found = self.classifier.model
        assert isinstance(found, AdaplerForSequenceClassification)
        return found

    def train(self) -> dict[str, Any]:
        self.out.mkdir(parents=True, exist_ok=True)
        say(json.dumps({"dense_val_accuracy": self.reference.accuracy}))
        soft, hard = _SoftStage(self), _HardStage(self)
        if not hard.loop.resume():
            soft.train()
            hard.loop.progress |= {k: soft.loop.progress[k] for k in ("log", "best", "kept")}
        hard.train()
        progress = hard.loop.progress
        record = {
            "training": self.identity,
            "max_length": self.classifier.encoder.max_length,
            "labels": list(self.classifier.labels),
            "dense_val_accuracy": self.reference.accuracy,
            "kept": progress["kept"],
            "log": progress["log"],
        }
        write_json(self.out / SETTINGS, record)
        for stage in (soft, hard):
            stage.loop.file.unlink(missing_ok=True)
        return record

    def close_epoch(self, loop: Loop, entry: dict[str, Any]) -> None:
        """Measure the model on val, keep it if it is the best so far, and log."""
        self.model.eval()  # type: ignore[no-untyped-call]
        found = measure_removal(self.classifier, self.dataset, "val")
        entry |= {
            "val_accuracy": found.accuracy,
            "speedup": round(found.speedup, 3),
            "lengths": [round(float(x), 2) for x in found.lengths],
            "eta": [round(x, 4) for x in self.model.eta.tolist()],
            "within_tolerance": found.accuracy > self.reference.accuracy - self.settings.tolerance,
        }
        # the fastest of those within the tolerance; while there is none, the most accurate
        rank = [1.0, found.speedup] if entry["within_tolerance"] else [0.0, found.accuracy]
        if rank >= loop.progress["best"]:
            loop.progress |= {"best": rank, "kept": entry}
            save_classifier(self.model, self.classifier.encoder.tokenizer, self.out)
        loop.next_epoch(entry)
        loop.save()

    def parts(self, rows: list[int]) -> list[list[int]]:
        """Return the micro-batches of a batch."""
        limit = MICRO_PIECES.get(self.classifier.device.type, MICRO_PIECES["cpu"])
        return [
            [rows[i] for i in p] for p in length_batches([len(self.windows[i].window) for i in rows], limit)
        ]

    def batch(self, rows: list[int]) -> AdaplerBatch:
        """Return windows as the losses take them."""
        device = self.classifier.device
        batch = self.classifier.encoder.collate([self.windows[i].window for i in rows]).to(device)
        saliency = nn.utils.rnn.pad_sequence([self.targets[i] for i in rows], batch_first=True)
        labels = torch.tensor([self.windows[i].label for i in rows], device=device)
        teacher = torch.stack([self.logits[i] for i in rows]).to(device)
        return AdaplerBatch(batch.ids, batch.types, batch.real, labels, saliency.to(device), teacher)

    def order(self, epoch: int, stage: int) -> list[list[int]]:
        """Return the batches of an epoch."""
        lengths = [len(w.window) for w in self.windows]
        return shuffled_batches(
            lengths, self.settings.batch_size, (self.settings.seed + 10**6 * stage, epoch)
        )

    def loop(self, name: str, optimizers: dict[str, Any]) -> Loop:
        file = self.out / f"{name}.checkpoint.safetensors"
        loop = Loop(file, self.model, optimizers, self.identity, self.settings.checkpoint_seconds)
        loop.progress |= {"best": [-1.0, 0.0], "kept": None}
        return loop


class _SoftStage:
    """The published training: tokens fade, λ grows from epoch to epoch."""

    def __init__(self, run: _Run) -> None:
        self.run, self.settings = run, run.settings
        self.steps = -(-len(run.windows) // self.settings.batch_size)
        self.step = AdaplerStep(run.model, self.settings.step, max(1, self.steps * self.settings.epochs))
        weights, thresholds = self.step.optimizers
        self.loop = run.loop("soft", {"weights": weights, "thresholds": thresholds})
        self.loop.progress["speed"] = 1.0

    def train(self) -> None:
        progress, epochs = self.loop.progress, self.settings.epochs
        if self.loop.resume():
            progress = self.loop.progress
            for schedule in self.step.schedules:
                resume_schedule(schedule, progress["epoch"] * self.steps + progress["step"])
        while progress["epoch"] < epochs:
            epoch = progress["epoch"]
            self.run.model.train()
            lam = steepness(epoch, epochs, self.settings.steepness)
            loss = self.loop.epoch(self.run.order(epoch, 0), partial(self._step, lam))
            self.run.close_epoch(
                self.loop, {"stage": "soft", "epoch": epoch, "lambda": lam, "train_loss": loss}
            )

    def _step(self, lam: float, rows: list[int]) -> float:
        run, progress, settings = self.run, self.loop.progress, self.settings
        push = settings.speedup is None or progress["speed"] < settings.speedup
        task = length = 0.0
        for part in run.parts(rows):
            share = len(part) / len(rows)
            with run.classifier.autocast():
                found = self.step.losses(run.batch(part), lam, push)
            for term, value in (("task", found.task), ("saliency", found.head), ("length", found.length)):
                self.loop.check_finite(float(value.detach()), f"{term} loss")
            self.step.backward(found, share)
            task, length = (
                task + share * float(found.task.detach()),
                length + share * float(found.length.detach()),
            )
        self.step.apply()
        tokens = np.mean([len(run.windows[i].window) for i in rows]) * len(run.model.eta)
        now = float(tokens) / length
        progress["speed"] = SPEED_SMOOTHING * progress["speed"] + (1 - SPEED_SMOOTHING) * now
        return task


class _HardStage:
    """Ours: tokens are really removed; thresholds and predictors rest, the other weights adapt."""

    def __init__(self, run: _Run) -> None:
        self.run, self.settings = run, run.settings
        self.steps = -(-len(run.windows) // self.settings.batch_size)
        total = max(1, self.steps * self.settings.hard_epochs)
        named = [(f"model.{n}", p) for n, p in run.model.model.named_parameters()]
        self.weights = [p for _, p in named]
        step = self.settings.step
        self.optimizer = AdamW(decay_groups(named, step.weight_decay), lr=self.settings.hard_lr, eps=step.eps)
        self.schedule = LambdaLR(self.optimizer, lambda s: linear(s, total, step.warmup * total))
        self.loop = run.loop("hard", {"weights": self.optimizer})

    def train(self) -> None:
        progress = self.loop.progress
        resume_schedule(self.schedule, progress["epoch"] * self.steps + progress["step"])
        while progress["epoch"] < self.settings.hard_epochs:
            epoch = progress["epoch"]
            if progress["step"] == 0 and self.settings.speedup is not None:
                self._calibrate(self.settings.speedup)
            self.run.model.train()
            loss = self.loop.epoch(self.run.order(epoch, 1), self._step)
            self.run.close_epoch(self.loop, {"stage": "hard", "epoch": epoch, "train_loss": loss})

    def _calibrate(self, speedup: float) -> None:
        self.run.model.eval()  # type: ignore[no-untyped-call]
        random = np.random.default_rng(self.settings.seed)
        picked = random.permutation(len(self.run.windows))[:CALIBRATION]
        reached = scale_thresholds(self.run.classifier, [self.run.windows[i].window for i in picked], speedup)
        say(json.dumps({"thresholds_scaled_to": round(reached, 3), "wanted": speedup}))

    def _step(self, rows: list[int]) -> float:
        s, run, value = self.settings.step, self.run, 0.0
        weights = LossWeights(0.0, 0.0, distill=s.distill, temperature=s.temperature)
        for part in run.parts(rows):
            batch = run.batch(part)
            with run.classifier.autocast():
                logits = run.model(batch.ids, batch.real, batch.types).logits
            loss = task_loss(logits.float(), batch.labels, weights, batch.teacher) * (len(part) / len(rows))
            value += self.loop.check_finite(float(loss.detach()), "task loss")
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, s.clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return value
