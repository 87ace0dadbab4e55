"""What the contribution predictors learn to imitate: saliency of the training windows, computed once.

`gradient_x_input` is the published target. Any attribution method will do, and `human` where annotators
marked words; names joined by `+` are averaged, each scaled to sum 1 first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from eraser import Dataset, Fault, InputError
from eraser.data.catalog import cache_dir
from eraser.files.whole import write_whole
from eraser.progress import progress
from eraser.types import Mask
from rationale.attribution import halving, refuse_unfit
from rationale.attribution.methods import METHODS, Method
from rationale.attribution.request import AttributionBatch
from rationale.hf.classifier import Classifier
from rationale.inference.predict import piece_budget
from rationale.models.adapler import saliency
from rationale.settings import BASELINES, AttributionSettings
from rationale.text.encode import Batch
from rationale.text.windows import OUTSIDE, Window, covers, length_batches
from rationale.training.loop import TrainingWindow

PUBLISHED, HUMAN = "gradient_x_input", "human"
TARGETS = "targets"  # folder of what is computed once of a dense model
IG_STEPS = 8
Float32s = NDArray[np.float32]


def _published(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """‖e ⊙ ∂logit/∂e‖₂ on the embedding output, specials included."""
    batch = request.batch
    with classifier.autocast():
        return saliency(classifier.model, batch.ids, batch.types, batch.real, request.target).float()


def target_names() -> tuple[str, ...]:
    """Return the names `--target` takes."""
    return (
        PUBLISHED,
        HUMAN,
        *(m for m, of in METHODS.items() if not of.adaptive and m not in (PUBLISHED, *BASELINES)),
    )


def parse_target(text: str) -> tuple[str, ...]:
    """Return the parts of a target's name.

    Raises:
        InputError: one is unknown.
    """
    names = tuple(text.split("+"))
    if unknown := [n for n in names if n not in target_names()]:
        raise InputError(
            Fault(f"a target of {', '.join(target_names())}, or several joined by +", repr(unknown[0]))
        )
    return names


def saliency_targets(
    classifiers: Sequence[Classifier],
    dataset: Dataset,
    windows: Sequence[TrainingWindow],
    name: str,
    predicted: bool = False,
) -> list[Float32s]:
    """Return a target [T] for each window, the mean over classifiers (the best fine-tuned epochs).

    Args:
        classifiers: dense models.
        dataset: whose train split the windows are, in order; `human` reads its evidence.
        windows: what the predictors will be trained on.
        name: see parse_target.
        predicted: explain each model's own prediction instead of the label.
    """
    parts = [
        _human(classifiers[0], dataset, windows)
        if part == HUMAN
        else _mean([_attribute(c, part, windows, predicted) for c in classifiers])
        for part in parse_target(name)
    ]
    return parts[0] if len(parts) == 1 else _mean([[_normal(t) for t in part] for part in parts])


def _mean(stacks: Sequence[Sequence[Float32s]]) -> list[Float32s]:
    return [np.mean(same, axis=0) for same in zip(*stacks, strict=True)]


def _normal(target: Float32s) -> Float32s:
    scaled: Float32s = target / max(float(target.sum()), 1e-15)
    return scaled


def _attribute(
    classifier: Classifier, name: str, windows: Sequence[TrainingWindow], predicted: bool
) -> list[Float32s]:
    method = Method(_published, "sum", False, "AdapLeR") if name == PUBLISHED else METHODS[name]
    refuse_unfit(classifier, [name] if name != PUBLISHED else [])
    found: list[Float32s] = [np.empty(0, dtype=np.float32)] * len(windows)
    for rows, batch in window_batches(classifier, [w.window for w in windows], name):
        target = torch.tensor([windows[i].label for i in rows], device=classifier.device)
        if predicted:
            target = logits_of(classifier, batch).argmax(-1)
        request = AttributionBatch(
            batch, target, tuple(rows), AttributionSettings(ig_steps=IG_STEPS), len(rows)
        )
        scores = halving(classifier, method, request).abs().float().cpu().numpy()
        for row, i in enumerate(rows):
            found[i] = scores[row, : len(windows[i].window)]
    return found


def _human(classifier: Classifier, dataset: Dataset, windows: Sequence[TrainingWindow]) -> list[Float32s]:
    """Return 1 on the pieces of words that annotators marked; 1 on all words where they marked none."""
    examples = dataset.splits["train"]
    counts = [len(w) for w in classifier.encoder.encode([dataset.text(e) for e in examples])]
    golds = [dataset.truth(e).gold for e, n in zip(examples, counts, strict=True) for _ in range(n)]
    if not any(g.any() for g in golds):
        raise InputError(
            Fault.of("target human needs human evidence on train, and there is none", dataset.source)
        )
    return [_marked(w.window, gold) for w, gold in zip(windows, golds, strict=True)]


def _marked(window: Window, gold: Mask) -> Float32s:
    inside, marked = window.word != OUTSIDE, covers(window, gold)
    chosen: Float32s = (marked if marked.any() else inside).astype(np.float32)
    return chosen


@torch.inference_mode()
def logits_of(classifier: Classifier, batch: Batch) -> Tensor:
    """Return logits [B,C] of a batch."""
    with classifier.autocast():
        logits: Tensor = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits
    return logits.float()


def taught_logits(teachers: Sequence[Classifier], batch: Batch) -> Tensor:
    """Return the logits [B,C] of one teacher; of several the logarithm of their mean probability."""
    if len(teachers) == 1:
        return logits_of(teachers[0], batch)
    log_probs = torch.stack([logits_of(t, batch).log_softmax(-1) for t in teachers])
    return log_probs.logsumexp(0) - math.log(len(teachers))


def teacher_logits(teachers: Sequence[Classifier], windows: Sequence[TrainingWindow]) -> Tensor:
    """Return what the teachers say of each window [window, C]."""
    found = torch.empty(len(windows), len(teachers[0].labels))
    for rows, batch in window_batches(teachers[0], [w.window for w in windows], "teacher"):
        found[rows] = taught_logits(teachers, batch).cpu()
    return found


def window_batches(
    classifier: Classifier, windows: Sequence[Window], name: str
) -> Iterator[tuple[list[int], Batch]]:
    """Return (indices, batch) of all windows, longest first, and say under that name how far they are."""
    limit = piece_budget(classifier.device, "backward")
    rows = list(length_batches([len(w) for w in windows], limit))
    batches = ((r, classifier.encoder.collate([windows[i] for i in r]).to(classifier.device)) for r in rows)
    return progress(batches, name, "batches", len(rows))


def kept_on_disk(dense: Path, name: str, compute: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
    """Return tensors of a dense model, computed and written first if they are not there.

    They lie in its folder or, where that may only be read, in the cache; `name` tells them from all others.
    """
    file = dense / TARGETS / name
    if not file.is_file() and not _is_writable(file.parent):
        file = cache_dir() / TARGETS / name
    if not file.is_file():
        tensors = compute()
        flat = {
            "values": torch.cat([t.flatten() for t in tensors]),
            "lengths": torch.tensor([t.numel() for t in tensors]),
        }
        write_whole(file, lambda partial: save_file(flat, partial))
    stored = load_file(file)
    return list(torch.split(stored["values"], stored["lengths"].tolist()))


def _is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, or itself in its parent."""
    return os.access(folder if folder.is_dir() else folder.parent, os.W_OK | os.X_OK)
