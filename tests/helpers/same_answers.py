"""What an exported model must answer: what the whole package does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import rationale
from rationale.hf.classifier import Classifier
from rationale.onnx.model import OnnxModel

LONG = "a warm and moving film , never dull , with a cast that is a joy to watch from start to end . " * 3
TEXTS = (
    "A warm, moving film.",
    "It's dull!",
    LONG,
    "naïve café \u200b — 2.5 stars…",
    ("is it good ?", "a dull film"),
    ("is it good ?", LONG),
    "a \u0301\u0301 film",  # marks alone, which the tokenizer takes away
)


def assert_same_answers(
    model: OnnxModel, classifier: Classifier, texts: Sequence[str | tuple[str, str]]
) -> None:
    """Hold labels, probabilities, words, their characters, layers and scores against `rationale.explain`."""
    explained = rationale.explain(classifier, texts, "survivors")
    for answer, (one,) in zip(model.predict(texts), explained.found, strict=True):
        assert answer.label == one.label
        assert answer.scores == pytest.approx(dict(one.probs), abs=1e-4)
        assert [w.text for w in answer.words] == list(one.words)
        assert [(w.start, w.end) for w in answer.words] == list(one.spans)
        assert [w.side for w in answer.words] == list(one.sides)
        found = np.array([np.nan if w.score is None else w.score for w in answer.words])
        assert found == pytest.approx(one.scores, abs=1e-3, nan_ok=True)
        layers = [None if np.isnan(score) else int(score) for score in one.scores]
        assert [w.layer for w in answer.words] == layers
        assert answer.unread == int(np.isnan(one.scores).sum())
