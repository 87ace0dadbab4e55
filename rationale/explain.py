"""One text in, its words with scores out: the shortest way to ask which words decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eraser import Fault, InputError, Text
from eraser.types import Floats
from eraser.words import Spans, WordCutter, cutter_for, gaps, placed
from rationale.attribution import METHODS, Case, attribute
from rationale.extract import top_words
from rationale.hf import Classifier
from rationale.predict import text_probs
from rationale.rich import fragment


@dataclass(frozen=True)
class Explanation:
    """What the model said of a text, and one score for each word (NaN where it did not read it).

    `string` is the text, where it was given as such; `cut` what cut it into words, `note` why, if by itself.
    """

    words: tuple[str, ...]
    scores: Floats
    label: str
    probs: Mapping[str, float]
    target: str
    method: str
    string: str | None = None
    cut: WordCutter | None = None
    note: str | None = None

    @property
    def text(self) -> str:
        """The text."""
        return placed(self.string, self.words)[0]

    @property
    def spans(self) -> Spans:
        """The characters of each word: `text[start:end]` is the word."""
        return placed(self.string, self.words)[1]

    def top(self, size: int) -> list[tuple[str, float]]:
        """Return the words with the highest scores, the highest first; of equals the first in the text."""
        picked = top_words(self.scores, size).nonzero()[0]
        ranked = sorted(picked, key=lambda i: (-self.scores[i], i))
        return [(self.words[i], float(self.scores[i])) for i in ranked]

    def _repr_html_(self) -> str:
        """Return the text with its words coloured by score, the strongest full, for notebooks."""
        strongest = float(np.nanmax(np.abs(self.scores), initial=0.0)) or 1.0
        words = [
            (word, None, 0.0, gap) if np.isnan(score) else (word, float(score), float(score) / strongest, gap)
            for word, score, gap in zip(self.words, self.scores, gaps(self.text, self.spans), strict=True)
        ]
        return fragment("explanation.html", found=self, words=words)


def explain(  # noqa: PLR0913 (a keyword each)
    classifier: Classifier,
    text: str,
    method: str = "integrated_gradients",
    *,
    target: str | None = None,
    query: str | None = None,
    seed: int = 0,
    words: WordCutter | None = None,
) -> Explanation:
    """Explain the prediction for one text.

    Args:
        classifier: see `rationale.hf.load_classifier`.
        text: as long as it likes; read in windows.
        method: a name of METHODS.
        target: the label to explain; default the predicted one.
        query: a question that goes before the text and gets no scores.
        seed: for methods that draw.
        words: what cuts the text into words, see `eraser.words.cut_words`; default `punctuation`, or
            `characters` for a text without spaces between words.
    """
    if method not in METHODS:
        raise InputError(Fault(f"a method of {', '.join(METHODS)}", repr(method)))
    if target is not None and target not in classifier.labels:
        raise InputError(Fault(f"a label of {', '.join(classifier.labels)}", repr(target)))
    cut, note = cutter_for([text], words, "punctuation")
    given = Text.of("text", text, cut, query)
    (windows,) = classifier.encoder.encode([given])
    probs = text_probs(classifier, [windows])[0]
    label = classifier.labels[int(probs.argmax())]
    case = Case(windows, len(given.words), classifier.labels.index(target or label), seed)
    (found,) = attribute(classifier, method, [case])
    by_label = dict(zip(classifier.labels, map(float, probs), strict=True))
    return Explanation(given.words, found.scores, label, by_label, target or label, method, text, cut, note)
