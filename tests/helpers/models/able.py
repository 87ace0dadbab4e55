"""Classifiers that a method of METHODS can explain, whatever it needs."""

from __future__ import annotations

from dataclasses import replace

import torch

from rationale.attribution import METHODS
from rationale.hf.classifier import Classifier
from rationale.hf.rationale_head import RationaleHead
from tests.conftest import dropping

UNTAUGHT = tuple(name for name, of in METHODS.items() if not of.taught)  # need no rationale head
ENCODERS = tuple(name for name in UNTAUGHT if not METHODS[name].adaptive)  # fit any dense encoder


def able(classifier: Classifier, method: str) -> Classifier:
    """The classifier itself, one around it that drops tokens, or with a rationale head."""
    if METHODS[method].adaptive:
        return replace(classifier, model=dropping(classifier.model))
    if METHODS[method].taught:
        head = RationaleHead(classifier.model.config.hidden_size)
        with torch.no_grad():
            head.weight.copy_(torch.linspace(-1, 1, len(head.weight)))
        return replace(classifier, rationale_head=head.requires_grad_(False))
    return classifier
