"""What a classifier's model can do beyond answering: drop tokens, work less than it was made to.

A function of texts can do neither, and no Hugging Face library is imported to say so.
"""

from __future__ import annotations

from typing import TypeGuard

from rationale.text_classifier import ModelClassifier, TextClassifier


def drops_tokens(classifier: TextClassifier) -> bool:
    """Return whether the model drops tokens."""
    if classifier.opaque:
        return False
    from rationale.models import capabilities

    return capabilities.drops_tokens(classifier.model)


def has_rationale_head(classifier: TextClassifier) -> bool:
    """Return whether the model says which words people would mark."""
    return getattr(classifier, "rationale_head", None) is not None


def is_efficient(classifier: TextClassifier) -> TypeGuard[ModelClassifier]:
    """Return whether the model works less than the dense one it was made from: adaptive, or cut."""
    if classifier.opaque:
        return False
    from rationale.models import capabilities

    return capabilities.has_dial(classifier.model) or capabilities.is_cut(classifier.model)
