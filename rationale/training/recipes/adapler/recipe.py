"""Train AdapLeR: a fine-tuned model → saliency targets → stages → the fastest model that is good enough.

The soft stage is the published training; the others are ours and off by default (docs/adapler.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Dataset, Fault, InputError
from eraser.progress import say
from rationale.hf.card import read_settings
from rationale.hf.classifier import Classifier
from rationale.hf.folder_checks import content_of_model
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.capabilities import has_dial
from rationale.settings import digest
from rationale.training.adaptive import Recipe, best_folders, digest_of, of_epochs
from rationale.training.loop import TrainingWindow
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.adapler.stages import ADAPLER_STAGES
from rationale.training.targets import HUMAN, kept_on_disk, parse_target, saliency_targets


def _model(inner: PreTrainedModel, settings: AdaplerSettings) -> AdaplerForSequenceClassification:
    if has_dial(inner):
        raise InputError(Fault("a dense or cut model to build on", type(inner).__name__))
    model = AdaplerForSequenceClassification.wrap(inner, eta_max=settings.eta_max)
    nn.init.constant_(model.eta, settings.eta)
    return model


def _marks(dataset: Dataset, settings: AdaplerSettings) -> list[list[int]]:
    """Return the words that annotators marked on train, where the target depends on them."""
    if HUMAN not in parse_target(settings.target):
        return []
    return [dataset.truth(e).gold.nonzero()[0].tolist() for e in dataset.splits["train"]]


def _saliency(
    dense: Path, teacher: Classifier, dataset: Dataset, windows: Sequence[TrainingWindow], s: AdaplerSettings
) -> list[Tensor]:
    """Return KL targets of the windows, computed once and kept (targets.py)."""
    folders = best_folders(dense, s.saliency_epochs)
    log = read_settings(dense).get("log")
    of_folders = [content_of_model(f) for f in folders]
    key = digest(digest_of(windows, teacher), _marks(dataset, s), s.target, s.target_class, of_folders, log)

    def compute() -> list[Tensor]:
        say(f"saliency targets: {s.target} of {', '.join(map(str, folders))}")
        models = of_epochs(folders, teacher, s)
        found = saliency_targets(models, dataset, windows, s.target, s.target_class == "predicted")
        return [torch.from_numpy(t) for t in found]

    return kept_on_disk(dense, f"{key}.safetensors", compute)


ADAPLER = Recipe(AdaplerSettings, _model, ADAPLER_STAGES, _saliency, _marks)
