"""Fine-tune a Hugging Face sequence classifier on a data set's labels.

Every window of a long text is trained with the text's label; a text's probability is the mean over its
windows. One seed fixes head, order of batches and dropout, also across a kill.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase, get_linear_schedule_with_warmup

from eraser import Dataset, Example, Fault, InputError
from eraser.write import write_json
from rationale.hf import (
    SETTINGS,
    Classifier,
    Precision,
    longest,
    pick_device,
    read_settings,
    save_classifier,
    use_bf16,
)
from rationale.predict import text_probs
from rationale.settings import digest
from rationale.text import Encoder, Window, length_batches
from rationale.training.state import load_state, save_state

NO_DECAY = ("bias", "LayerNorm.weight", "layer_norm.weight")
MICRO_PIECES = {"cpu": 8 * 512, "cuda": 128 * 512}  # whose activations are held at once
POOL = 50  # batches shuffled together before sorting by length: little padding, still random


@dataclass(frozen=True)
class TrainSettings:
    """How a classifier is trained; saved beside its weights."""

    epochs: int = 2
    lr: float = 5e-5
    batch_size: int = 32
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip: float = 1.0
    max_length: int = 512
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0
    checkpoint_seconds: float = 120.0

    def check(self) -> None:
        """Refuse settings that cannot train, all at once."""
        least = {"epochs": 1, "batch_size": 1, "max_length": 1, "seed": 0, "warmup": 0, "weight_decay": 0}
        values = asdict(self)
        faults = [
            Fault(f"{name} of at least {low}", str(values[name]))
            for name, low in least.items()
            if not values[name] >= low
        ]
        if not 0 < self.lr < np.inf:
            faults.append(Fault("a learning rate above 0", str(self.lr)))
        if faults:
            raise InputError(*faults)


@dataclass(frozen=True)
class TrainingWindow:
    """One window and the index of its label."""

    window: Window
    label: int


def train_dense(
    start: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    dataset: Dataset,
    out: Path,
    settings: TrainSettings,
    origin: str = "",
) -> dict[str, Any]:
    """Train, keep the epoch that scores best on val, and return what `rationale.json` records.

    Args:
        start: makes the untrained model and its tokenizer (called after the seed is set).
        dataset: with a train split, and a val split to choose the epoch by.
        out: the model's folder; a finished one with the same settings is left as it is, a
            half-finished one goes on where it stopped.
        settings: see TrainSettings.
        origin: what the model was started from, for the record.
    """
    settings.check()
    examples = [e for s in ("train", "val") for e in dataset.splits.get(s, ())]
    texts = digest([(e.id, e.label, e.query, dataset.text(e).words) for e in examples])
    wanted = {**asdict(settings), "dataset": dataset.name, "backbone": origin, "texts": texts}
    done = read_settings(out)
    if done:
        if done.get("training") == wanted:
            return done
        raise InputError(Fault("an empty folder or a model with the same settings", "other settings", out))
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            raise InputError(Fault(f"a {split} split to train with", "none", dataset.source))
    out.mkdir(parents=True, exist_ok=True)
    set_seed(settings.seed)
    model, tokenizer = start()
    length = min(settings.max_length, longest(model, tokenizer))
    run = _Run(model, Encoder(tokenizer, length), dataset, out, settings)
    run.identity = wanted
    record = {"training": wanted, "max_length": length, "labels": list(dataset.labels)}
    return run.train(record, tokenizer)


class _Run:
    """One training run: model, optimiser, schedule and where it stands."""

    def __init__(
        self, model: PreTrainedModel, encoder: Encoder, dataset: Dataset, out: Path, settings: TrainSettings
    ) -> None:
        self.settings, self.out, self.dataset, self.encoder = settings, out, dataset, encoder
        device = pick_device(settings.device)
        bf16 = use_bf16(settings.precision, device)
        if device.index is not None:
            torch.cuda.set_device(device)
        AcceleratorState._reset_state(True)  # else a second run keeps the precision of the first
        self.accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=device.type == "cpu")
        self.windows = _training_windows(encoder, dataset, dataset.splits["train"])
        optimizer = AdamW(_decay_groups(model, settings.weight_decay), lr=settings.lr)
        self.steps = -(-len(self.windows) // settings.batch_size)
        total = self.steps * settings.epochs
        warmup = round(settings.warmup * total)
        schedule = get_linear_schedule_with_warmup(optimizer, warmup, total)  # type: ignore[no-untyped-call]
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(model, optimizer, schedule)
        self.classifier = Classifier(model, encoder, dataset.labels, self.accelerator.device, bf16)
        self.state_file = out / "checkpoint.safetensors"
        self.identity: dict[str, Any] = {}
        self.progress: dict[str, Any] = {"epoch": 0, "step": 0, "best": -1.0, "log": [], "loss_sum": 0.0}

    def train(self, record: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        if self.state_file.exists():
            self._resume()
        progress = self.progress
        while progress["epoch"] < self.settings.epochs:
            self._epoch()
            score = accuracy(self.classifier, self.dataset, "val")
            entry = {
                "epoch": progress["epoch"],
                "train_loss": progress["loss_sum"] / self.steps,
                "val_accuracy": score,
            }
            progress["log"].append(entry)
            tqdm.write(json.dumps(entry), file=sys.stderr)
            if score >= progress["best"]:  # of equals the later, trained longer
                progress["best"] = score
                save_classifier(self.accelerator.unwrap_model(self.model), tokenizer, self.out)
            progress.update(epoch=progress["epoch"] + 1, step=0, loss_sum=0.0)
            self._save()
        record |= {"val_accuracy": progress["best"], "log": progress["log"]}
        write_json(self.out / SETTINGS, record)
        self.state_file.unlink(missing_ok=True)
        return record

    def _epoch(self) -> None:
        progress, saved = self.progress, time.monotonic()
        order = shuffled_batches(
            [len(w.window) for w in self.windows],
            self.settings.batch_size,
            (self.settings.seed, progress["epoch"]),
        )
        self.model.train()
        bar = tqdm(
            total=self.steps,
            initial=progress["step"],
            desc=f"epoch {progress['epoch'] + 1}",
            leave=False,
            disable=None,
        )
        for rows in order[progress["step"] :]:
            loss = self._step([self.windows[i] for i in rows])
            progress["loss_sum"] += loss
            progress["step"] += 1
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if time.monotonic() - saved > self.settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        bar.close()
        self.model.eval()

    def _step(self, rows: Sequence[TrainingWindow]) -> float:
        """Take one optimiser step on the mean loss of `rows`, in micro-batches that fit in memory."""
        limit = MICRO_PIECES.get(self.accelerator.device.type, MICRO_PIECES["cpu"])
        value = 0.0
        for part in length_batches([len(r.window) for r in rows], limit):
            loss = self._loss([rows[i] for i in part]) * (len(part) / len(rows))
            value += float(loss.detach())
            if not np.isfinite(value):
                raise InputError(Fault("a finite training loss", f"{value} at step {self.progress['step']}"))
            self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return value

    def _loss(self, rows: Sequence[TrainingWindow]) -> torch.Tensor:
        batch = self.encoder.collate([r.window for r in rows]).to(self.accelerator.device)
        labels = torch.tensor([r.label for r in rows], device=self.accelerator.device)
        with self.accelerator.autocast():
            logits = self.model(input_ids=batch.ids, **self.classifier.inputs(batch)).logits
        return nn.functional.cross_entropy(logits.float(), labels)

    def _save(self) -> None:
        model = self.accelerator.unwrap_model(self.model)
        progress = {**self.progress, "run": self.identity}
        save_state(self.state_file, model, {"weights": self.optimizer.optimizer}, progress)

    def _resume(self) -> None:
        model = self.accelerator.unwrap_model(self.model)
        self.progress = load_state(
            self.state_file, model, {"weights": self.optimizer.optimizer}, self.identity
        )
        progress = self.progress
        done = progress["epoch"] * self.steps + progress["step"]
        scheduler: LambdaLR = self.schedule.scheduler
        scheduler.load_state_dict({**scheduler.state_dict(), "last_epoch": done, "_step_count": done + 1})
        for group, base, rule in zip(
            self.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
        ):
            group["lr"] = base * rule(done)
        tqdm.write(f"resumed at epoch {progress['epoch'] + 1}, step {progress['step']}", file=sys.stderr)


def _training_windows(
    encoder: Encoder, dataset: Dataset, examples: Sequence[Example]
) -> list[TrainingWindow]:
    texts = encoder.encode([dataset.text(e) for e in examples])
    index = {label: i for i, label in enumerate(dataset.labels)}
    return [
        TrainingWindow(window, index[example.label])
        for example, windows in zip(examples, texts, strict=True)
        for window in windows
    ]


def _decay_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Split parameters into those that weight decay shrinks and those it leaves: biases and norms."""
    named = list(model.named_parameters())
    return [
        {"params": [p for n, p in named if not n.endswith(NO_DECAY)], "weight_decay": decay},
        {"params": [p for n, p in named if n.endswith(NO_DECAY)], "weight_decay": 0.0},
    ]


def shuffled_batches(lengths: Sequence[int], size: int, seed: tuple[int, int]) -> list[list[int]]:
    """Return batches of `size` indices: shuffled, sorted by length within pools, shuffled again."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    pools = [order[i : i + POOL * size] for i in range(0, len(order), POOL * size)]
    by_length = [i for pool in pools for i in sorted(pool.tolist(), key=lambda i: lengths[i])]
    found = [by_length[i : i + size] for i in range(0, len(by_length), size)]
    return [found[i] for i in random.permutation(len(found))]


def accuracy(classifier: Classifier, dataset: Dataset, split: str) -> float:
    """Return the share of a split's examples that the classifier labels as the data set does."""
    examples = dataset.splits[split]
    probs = text_probs(classifier, classifier.encoder.encode([dataset.text(e) for e in examples]))
    said = [classifier.labels[i] for i in probs.argmax(1)]
    return float(np.mean([s == e.label for s, e in zip(said, examples, strict=True)]))
