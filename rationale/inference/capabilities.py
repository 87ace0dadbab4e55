"""What a classifier's model can do besides classify: drop tokens, save work.

A function of texts can do neither, which is answered without importing a Hugging Face library.
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
    """Return whether the model predicts which words annotators would mark."""
    return getattr(classifier, "rationale_head", None) is not None


def is_efficient(classifier: TextClassifier) -> TypeGuard[ModelClassifier]:
    """Return whether the model does less work than its dense original: it is adaptive or pruned."""
    if classifier.opaque:
        return False
    from rationale.models import capabilities

    return capabilities.has_dial(classifier.model) or capabilities.is_cut(classifier.model)
