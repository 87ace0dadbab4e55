"""What a classifier's model can do beyond answering: drop tokens, work less than it was made to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from rationale.asked import Asked
from rationale.models.adaptive import AdaptiveForSequenceClassification

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier


def drops_tokens(classifier: Asked) -> bool:
    """Return whether the model drops tokens; a function does not."""
    model = None if classifier.opaque else classifier.model
    return isinstance(model, AdaptiveForSequenceClassification) and model.drops_tokens


def spares(classifier: Asked) -> TypeGuard[Classifier]:
    """Return whether the model works less than the dense one it was made from: adaptive, or cut."""
    adaptive = isinstance(classifier.model, AdaptiveForSequenceClassification)
    return adaptive or getattr(getattr(classifier.model, "config", None), "cut", None) is not None
