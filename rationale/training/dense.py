"""Fine-tune a Hugging Face sequence classifier on a data set's labels.

Every window of a long text is trained with the text's label; a text's probability is the mean over its
windows. One seed fixes head, order of batches and dropout, also across a kill.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from torch import nn
from torch.optim import AdamW
from transformers import PreTrainedModel, PreTrainedTokenizerBase, get_linear_schedule_with_warmup

from eraser import Dataset, Fault, InputError
from eraser.files.content import content_of_examples
from eraser.files.owned import claim, finish, forget, is_done
from eraser.labels import SEVERAL
from rationale.hf.card import write_record
from rationale.hf.classifier import (
    Classifier,
    save_classifier,
)
from rationale.hf.device import pick_device, use_bf16
from rationale.hf.folder_checks import content_of_model
from rationale.hf.positions import longest
from rationale.hf.rationale_head import save_head
from rationale.inference.predict import piece_budget, text_probs
from rationale.settings import digest
from rationale.text.encode import Batch, Encoder
from rationale.text.windows import length_batches
from rationale.training.align import alignment_of, head_of, with_marks
from rationale.training.checkpoint import alone, made_before
from rationale.training.class_weights import as_tensor, by_label, say_balance, weighted, weights_of
from rationale.training.faithful import check_mask, half_erased
from rationale.training.loop import (
    Loop,
    TrainingWindow,
    check_splits,
    decay_groups,
    resume_schedule,
    shuffled_batches,
    training_windows,
)
from rationale.training.settings import TrainSettings

BY = "train dense"
CHECKPOINT = "checkpoint.safetensors"
EPOCHS = "epochs"  # the folder of the best epochs' models, by number


def train_dense(
    untrained: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    dataset: Dataset,
    out: Path,
    settings: TrainSettings,
    origin: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train, keep the epoch that scores best on val, and return what `rationale.json` records.

    Args:
        untrained: makes the model and its tokenizer (called after the seed is set).
        dataset: with a train split, and a val split to choose the epoch by.
        out: the model's folder: see `eraser.files.owned`; a finished one of the same work is left as it is, a
            half-finished one resumes where it stopped.
        settings: see TrainSettings.
        origin: what the model was started from, for the record: a hub id, or a folder.
        overwrite: whether an earlier model of this suite there makes room.

    Raises:
        InputError: settings or data do not fit, the folder holds something else, or the loss is not finite.
    """
    settings.check()
    if several := [x for x in dataset.labels if SEVERAL in x or not x]:
        message = f"cannot train on several labels per text, as {several[0]!r}; such models can be evaluated"
        raise InputError(Fault.of(message, dataset.source))
    if len(dataset.labels) < 2:  # noqa: PLR2004
        raise InputError(Fault("at least two labels to train on", repr(list(dataset.labels)), dataset.source))
    examples = [e for s in ("train", "val") for e in dataset.splits.get(s, ())]
    taught = settings.marks.align != "none"
    marks = [content_of_examples(dataset, dataset.splits.get("train", ()))] if taught else []
    texts = digest([(e.id, e.label, e.query, dataset.text(e).words) for e in examples], *marks)
    check_splits(dataset)
    weights = weights_of(settings.class_weights, dataset)
    wanted = {**settings.as_record(), "dataset": dataset.name, "texts": texts}
    wanted |= {"content_of_backbone": content_of_model(origin)}  # wherever it lies
    wanted = json.loads(json.dumps(wanted))  # as it is read again
    reads = (origin, dataset.source)
    if is_done(out, BY, wanted, reads, overwrite):
        return made_before(out)
    say_balance(dataset, weights)
    set_seed(settings.seed)
    model, tokenizer = untrained()
    check_mask(tokenizer, settings, origin)
    length = min(settings.max_length, longest(model, tokenizer))
    claim(out, BY, wanted, reads, (CHECKPOINT, ".partial/*"), overwrite)
    run = _Run(model, Encoder(tokenizer, length), dataset, out, settings, wanted)
    run.class_weights = as_tensor(weights, run.accelerator.device)
    record = {
        "training": {**wanted, "backbone": origin},
        "max_length": length,
        "labels": list(dataset.labels),
    }
    record |= by_label(weights, dataset)
    return alone(out, lambda: is_done(out, BY, wanted, reads), lambda: run.train(record, tokenizer))


class _Run:
    """One training run: model, optimiser, schedule and progress."""

    class_weights: torch.Tensor | None = None  # [C]

    def __init__(  # noqa: PLR0913 (what a run is made of)
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        dataset: Dataset,
        out: Path,
        settings: TrainSettings,
        identity: dict[str, Any],
    ) -> None:
        self.settings, self.out, self.dataset, self.encoder = settings, out, dataset, encoder
        device = pick_device(settings.device)
        bf16 = use_bf16(settings.precision, device)
        if device.index is not None:
            torch.cuda.set_device(device)
        AcceleratorState._reset_state(True)  # else a second run keeps the precision of the first
        self.accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=device.type == "cpu")
        self.windows = training_windows(encoder, dataset, dataset.splits["train"])
        if settings.marks.align != "none":
            self.windows = with_marks(self.windows, dataset, settings.marks)
        head = head_of(model, settings.marks)
        named = chain(model.named_parameters(), () if head is None else head.named_parameters())
        optimizer = AdamW(decay_groups(named, settings.weight_decay), lr=settings.lr)
        self.steps = -(-len(self.windows) // settings.batch_size)
        total = self.steps * settings.epochs
        warmup = round(settings.warmup * total)
        schedule = get_linear_schedule_with_warmup(optimizer, warmup, total)  # type: ignore[no-untyped-call]
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(model, optimizer, schedule)
        self.classifier = Classifier(model, encoder, dataset.labels, self.accelerator.device, bf16)
        if head is not None:
            head.to(self.accelerator.device)
        self.alignment = alignment_of(self.classifier, settings.marks, head)
        plain = self.accelerator.unwrap_model(self.model)
        trained = plain if head is None else nn.ModuleList([plain, head])
        optimizers = {"weights": self.optimizer.optimizer}
        file = out / CHECKPOINT
        self.loop = Loop(file, trained, optimizers, identity, settings.checkpoint_seconds)

    def train(self, record: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        self._resume()
        progress = self.loop.progress
        while progress["epoch"] < self.settings.epochs:
            seed = (self.settings.seed, progress["epoch"])
            order = shuffled_batches([len(w.window) for w in self.windows], self.settings.batch_size, seed)
            self.model.train()
            loss = self.loop.epoch(order, lambda rows: self._step(self._drawn(rows)))
            self.model.eval()
            score = accuracy(self.classifier, self.dataset, "val")
            entry = {"epoch": progress["epoch"], "train_loss": loss, "val_accuracy": score}
            self._keep_epoch([*progress["log"], entry], tokenizer)
            if score >= progress["best"]:  # ties go to the later, which trained longer
                progress["best"] = score
                self._save(tokenizer, self.out)
            self.loop.next_epoch(entry)
            self.loop.save()
        record |= {"val_accuracy": progress["best"], "log": progress["log"]}
        write_record(self.out, record)
        finish(self.out)
        self.loop.file.unlink(missing_ok=True)
        return record

    def _keep_epoch(self, log: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> None:
        """Save this epoch's model if it is one of the best `keep_epochs`; delete one that no longer is."""
        if self.settings.keep_epochs == 1:
            return
        best = best_epochs(log, self.settings.keep_epochs)
        if (epoch := log[-1]["epoch"]) in best:
            folder = self.out / EPOCHS / str(epoch)
            folder.mkdir(parents=True, exist_ok=True)
            self._save(tokenizer, folder)
        forget(self.out, *(f"{EPOCHS}/{e['epoch']}" for e in log if e["epoch"] not in best))

    def _save(self, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
        """Write the model as it is now, and its rationale head where there is one."""
        save_classifier(self.accelerator.unwrap_model(self.model), tokenizer, folder)
        if self.alignment is not None and self.alignment.head is not None:
            save_head(self.alignment.head, folder)

    def _drawn(self, rows: list[int]) -> list[TrainingWindow]:
        """Return the windows of a batch, half of them with words removed if the settings say so."""
        windows, s = [self.windows[i] for i in rows], self.settings
        if not s.faithful:
            return windows
        rng = np.random.default_rng((s.seed, self.loop.progress["epoch"], *rows))  # the same after a kill
        return half_erased(windows, self.encoder, s.faithful_by, rng)

    def _step(self, rows: Sequence[TrainingWindow]) -> float:
        """Take one optimiser step on the mean loss of `rows`, in micro-batches that fit in memory."""
        limit = piece_budget(self.accelerator.device, "backward")
        value = 0.0
        for part in length_batches([len(r.window) for r in rows], limit):
            loss, strange = self._loss([rows[i] for i in part])
            loss *= len(part) / len(rows)
            value += self.loop.check_finite(float(loss.detach()), "training loss", strange)
            self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.loop.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        return value

    def _loss(self, rows: Sequence[TrainingWindow]) -> tuple[torch.Tensor, list[str]]:
        """Return the mean loss of windows, and the examples of those whose logits are not finite."""
        batch = self.encoder.collate([r.window for r in rows]).to(self.accelerator.device)
        labels = torch.tensor([r.label for r in rows], device=self.accelerator.device)
        logits, of_marks = self._answer(batch, rows)
        finite = logits.detach().isfinite().all(1).tolist()
        strange = [row.id for row, is_finite in zip(rows, finite, strict=True) if not is_finite]
        loss = weighted(nn.functional.cross_entropy, logits.float(), labels, self.class_weights)
        return loss + of_marks, strange

    def _answer(
        self, batch: Batch, rows: Sequence[TrainingWindow]
    ) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Return logits [B,C] of a batch, and the loss of annotators' marks where they are taught."""
        if self.alignment is None:
            with self.accelerator.autocast():
                return self.model(input_ids=batch.ids, **self.classifier.inputs(batch)).logits, 0.0
        marks = [torch.from_numpy(row.marks) for row in rows]
        padded = nn.utils.rnn.pad_sequence(marks, batch_first=True).to(batch.ids.device)  # [B,T]
        return self.alignment.losses(batch, padded)

    def _resume(self) -> None:
        if not self.loop.resume():
            return
        progress = self.loop.progress
        done = progress["epoch"] * self.steps + progress["step"]
        resume_schedule(self.schedule.scheduler, done)


def best_epochs(log: Sequence[dict[str, Any]], k: int) -> list[int]:
    """Return the `k` epochs of highest val accuracy, best first; of tied ones the later first."""
    ranked = sorted(log, key=lambda e: (e["val_accuracy"], e["epoch"]), reverse=True)
    return [int(e["epoch"]) for e in ranked[:k]]


def accuracy(classifier: Classifier, dataset: Dataset, split: str) -> float:
    """Return the classifier's accuracy on a split."""
    examples = dataset.splits[split]
    texts = [dataset.text(e) for e in examples]
    probs = text_probs(classifier, classifier.encoder.encode(texts), texts)
    predicted = [classifier.labels[i] for i in probs.argmax(1)]
    return float(np.mean([s == e.label for s, e in zip(predicted, examples, strict=True)]))
