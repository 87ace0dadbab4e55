"""One text in, its words with scores out: the shortest way to ask which words decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eraser import Fault, InputError, Text
from eraser.types import Floats
from rationale.attribution import METHODS, Case, attribute, refuse_unfit
from rationale.extract import top_words
from rationale.hf import Classifier
from rationale.predict import text_probs
from rationale.rich import fragment


@dataclass(frozen=True)
class Explanation:
    """What the model said of a text, and one score for each word (NaN where it did not read it)."""

    words: tuple[str, ...]
    scores: Floats
    label: str
    probs: Mapping[str, float]
    target: str
    method: str

    def top(self, size: int) -> list[tuple[str, float]]:
        """Return the words with the highest scores, the highest first; of equals the first in the text."""
        picked = top_words(self.scores, size).nonzero()[0]
        ranked = sorted(picked, key=lambda i: (-self.scores[i], i))
        return [(self.words[i], float(self.scores[i])) for i in ranked]

    def _repr_html_(self) -> str:
        """Return the text with its words coloured by score, the strongest full, for notebooks."""
        strongest = float(np.nanmax(np.abs(self.scores), initial=0.0)) or 1.0
        words = [
            (word, None, 0.0) if np.isnan(score) else (word, float(score), float(score) / strongest)
            for word, score in zip(self.words, self.scores, strict=True)
        ]
        return fragment("explanation.html", found=self, words=words)


def explain(
    classifier: Classifier,
    text: str,
    method: str = "integrated_gradients",
    *,
    target: str | None = None,
    query: str | None = None,
    seed: int = 0,
) -> Explanation:
    """Explain the prediction for one text, its words cut at white space.

    Args:
        classifier: see `rationale.hf.load_classifier`.
        text: as long as it likes; read in windows.
        method: a name of METHODS.
        target: the label to explain; default the predicted one.
        query: a question that goes before the text and gets no scores.
        seed: for methods that draw.
    """
    if method not in METHODS:
        raise InputError(Fault(f"a method of {', '.join(METHODS)}", repr(method)))
    refuse_unfit(classifier, [method])
    if target is not None and target not in classifier.labels:
        raise InputError(Fault(f"a label of {', '.join(classifier.labels)}", repr(target)))
    words = tuple(text.split())
    (windows,) = classifier.encoder.encode([Text("text", words, {"text": 0}, (0,), query)])
    probs = text_probs(classifier, [windows])[0]
    label = classifier.labels[int(probs.argmax())]
    case = Case(windows, len(words), classifier.labels.index(target or label), seed)
    (found,) = attribute(classifier, method, [case])
    by_label = dict(zip(classifier.labels, map(float, probs), strict=True))
    return Explanation(words, found.scores, label, by_label, target or label, method)
