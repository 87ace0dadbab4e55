"""Train AdapLeR: a fine-tuned model → saliency targets → stages → the fastest model that is good enough.

The soft stage is the published training; the others are ours and off by default (docs/adapler.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn

from eraser import Dataset, Fault, InputError
from eraser.write import write_json
from rationale.hf import SETTINGS, Classifier, check_first_token, load_classifier, load_model, read_settings
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.encoder import check_encoder
from rationale.models.removal import measure_removal
from rationale.settings import digest
from rationale.training.adapler_settings import AdaplerSettings
from rationale.training.dense import EPOCHS, best_epochs
from rationale.training.loop import TrainingWindow, say, training_windows
from rationale.training.run import CHECKPOINT, Run
from rationale.training.stages import train_stages
from rationale.training.targets import HUMAN, kept_on_disk, parse_target, saliency_targets, teacher_logits


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
    examples = [e for split in ("train", "val") for e in dataset.splits[split]]
    texts = digest(
        [(e.id, e.label, e.query, dataset.text(e).words) for e in examples], _marks(dataset, settings)
    )
    wanted = {**asdict(settings), "dense": str(dense), "start": str(start or dense), "texts": texts}
    wanted = json.loads(json.dumps(wanted))
    if done := read_settings(out):
        if done.get("training") == wanted:
            return done
        raise InputError(Fault("an empty folder or a model with the same settings", "other settings", out))
    if not dense.is_dir():
        raise InputError(Fault("the folder of a dense model", "nothing there", dense))
    teacher = load_classifier(dense, device=settings.device, precision=settings.precision)
    check_encoder(teacher.model)
    check_first_token(teacher.encoder.tokenizer, dense)
    if teacher.labels != dataset.labels:
        raise InputError(Fault(f"labels {list(dataset.labels)}", str(list(teacher.labels)), dense))
    windows = training_windows(teacher.encoder, dataset, dataset.splits["train"])
    teachers = _teachers(dense, teacher, settings)
    targets, logits = _taught(dense, teachers, dataset, windows, settings)
    set_seed(settings.seed)
    model = AdaplerForSequenceClassification.from_dense(
        teacher.model if start is None else _started(start, teacher)
    )
    nn.init.constant_(model.eta, settings.eta)
    model.requires_grad_(True).to(teacher.device)  # type: ignore[arg-type]
    reference = measure_removal(teacher, dataset, "val")
    run = Run(
        replace(teacher, model=model),
        teachers,
        dataset,
        windows,
        targets,
        logits,
        out,
        settings,
        reference,
        wanted,
    )
    return _train(run)


def _started(start: Path, teacher: Classifier) -> Any:
    config = teacher.model.config
    return load_model(
        start, num_labels=len(teacher.labels), id2label=config.id2label, label2id=config.label2id
    )[0]


def _marks(dataset: Dataset, settings: AdaplerSettings) -> list[list[int]]:
    """Return the words that people marked on train, where the target depends on them."""
    if HUMAN not in parse_target(settings.target):
        return []
    return [dataset.truth(e).gold.nonzero()[0].tolist() for e in dataset.splits["train"]]


def _taught(
    dense: Path,
    teachers: tuple[Classifier, ...],
    dataset: Dataset,
    windows: Sequence[TrainingWindow],
    s: AdaplerSettings,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return KL targets and teacher logits of the windows, computed once and kept beside the dense model."""
    folders = _best_epochs(dense, s.saliency_epochs)
    of_windows = digest([(w.window.ids.tolist(), w.label) for w in windows], teachers[0].bf16)
    marks = _marks(dataset, s)
    key = digest(
        of_windows,
        marks,
        s.target,
        s.target_class,
        sorted(f.name for f in folders),
        read_settings(dense).get("log"),
    )

    def compute() -> list[Tensor]:
        say(f"saliency targets: {s.target} of {', '.join(map(str, folders))}")
        models = _of_epochs(folders, teachers[0], s)
        found = saliency_targets(models, dataset, windows, s.target, s.target_class == "predicted")
        return [torch.from_numpy(t) for t in found]

    targets = kept_on_disk(dense / "targets" / f"{key}.safetensors", compute)
    of_teachers = sorted(f.name for f in _best_epochs(dense, s.teacher_epochs))
    of_logits = digest(of_windows, of_teachers, read_settings(dense).get("log"))
    logits = kept_on_disk(
        dense / "targets" / f"logits-{of_logits}.safetensors",
        lambda: list(teacher_logits(teachers, windows)),
    )
    return targets, logits


def _teachers(dense: Path, teacher: Classifier, s: AdaplerSettings) -> tuple[Classifier, ...]:
    """Return whose mean probability is distilled: the dense model's, or several of its epochs'."""
    if s.teacher_epochs == 1:
        return (teacher,)
    found = _best_epochs(dense, s.teacher_epochs)
    if len(found) < s.teacher_epochs:
        expected = f"{s.teacher_epochs} epochs kept by train dense --keep-epochs"
        raise InputError(Fault(expected, str(len(found)), dense))
    return _of_epochs(found, teacher, s)


def _best_epochs(dense: Path, count: int) -> list[Path]:
    """Return the folders of the dense model's best epochs, best first; its own where it kept none."""
    folders = sorted((dense / EPOCHS).glob("[0-9]*"))
    if not folders:
        return [dense]
    if "log" not in read_settings(dense):
        raise InputError(Fault("a model whose training is finished", f"no {SETTINGS}", dense))
    best = [str(epoch) for epoch in best_epochs(read_settings(dense)["log"], len(folders))]
    return sorted(folders, key=lambda f: best.index(f.name))[:count]


def _of_epochs(folders: Sequence[Path], like: Classifier, s: AdaplerSettings) -> tuple[Classifier, ...]:
    """Return the models of epochs, which read as the finished one does."""
    models = [load_classifier(f, device=s.device, precision=s.precision) for f in folders]
    return tuple(replace(m, encoder=like.encoder) for m in models)


def _train(run: Run) -> dict[str, Any]:
    """Run all stages; write what was done beside the weights."""
    run.out.mkdir(parents=True, exist_ok=True)
    say(json.dumps({"dense_val_accuracy": run.reference.accuracy}))
    progress = train_stages(run)
    record = {
        "training": run.identity,
        "max_length": run.classifier.encoder.max_length,
        "labels": list(run.classifier.labels),
        "dense_val_accuracy": run.reference.accuracy,
        "kept": progress["kept"],
        "log": progress["log"],
    }
    write_json(run.out / SETTINGS, record)
    for file in run.out.glob(f"*{CHECKPOINT}"):
        file.unlink()
    return record
