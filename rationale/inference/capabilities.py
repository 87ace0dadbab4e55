"""What a classifier's model can do beyond answering: drop tokens, work less than it was made to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from rationale.text_classifier import TextClassifier

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier


def _is_adaptive(classifier: TextClassifier) -> bool:
    """Return whether the model is one of ours; a function never is, and needs no Hugging Face library."""
    if classifier.opaque:
        return False
    from rationale.models.adaptive import AdaptiveForSequenceClassification

    return isinstance(classifier.model, AdaptiveForSequenceClassification)


def drops_tokens(classifier: TextClassifier) -> bool:
    """Return whether the model drops tokens."""
    return _is_adaptive(classifier) and bool(classifier.model.drops_tokens)


def is_efficient(classifier: TextClassifier) -> TypeGuard[Classifier]:
    """Return whether the model works less than the dense one it was made from: adaptive, or cut."""
    cut = getattr(getattr(classifier.model, "config", None), "cut", None)
    return _is_adaptive(classifier) or cut is not None
