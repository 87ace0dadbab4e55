"""One text in, its words with scores out: the shortest way to explain an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eraser import Fault, InputError, Text
from eraser.errors import short_repr
from eraser.types import Floats, Kind
from eraser.words import Spans, WordCutter, cutter_for, gaps
from rationale.attribution import METHODS, AttributionInput, attribute, check_method, usual
from rationale.budgets import top_words
from rationale.heads import HEADS, predicted_label
from rationale.inference.predict import text_probs
from rationale.process.terminal import digits
from rationale.settings import THRESHOLD, target_label
from rationale.templates import fragment
from rationale.text.windows import note_in_part, words_in_part
from rationale.text_classifier import TextClassifier

WORDS_SHOWN = 5  # words of an explanation that is printed


@dataclass(frozen=True, repr=False)
class Explanation:
    """A model's answer to a text, and one score per word (NaN if the word was not read).

    `label` is the class; of a multi-label model all labels above the threshold, joined by `|`; of a model
    that gives a number its text. `probs` are each answer's own, `target` is the one explained. `string` is
    the text, where it was given as such; `cut` what cut it into words, `note` why, if by itself, and how many
    words were read only in part. Of a pair `first` is the first text, whose words stand before the word
    `second`.
    """

    words: tuple[str, ...]
    scores: Floats
    label: str
    probs: Mapping[str, float]
    target: str
    method: str
    kind: Kind = "class"
    string: str | None = None
    cut: WordCutter | None = None
    note: str | None = None
    first: str | None = None
    second: int | None = None

    @property
    def _given(self) -> Text:
        return Text(
            "text", self.words, {"text": 0}, (0,), None, self.string, first=self.first, second=self.second
        )

    @property
    def text(self) -> str:
        """The text; those of a pair on a line each."""
        return self._given.plain[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, or both texts of a pair."""
        return tuple(string for string, _ in self._given.sides)

    @property
    def sides(self) -> tuple[int, ...]:
        """The place in `texts` of the text that each word stands in."""
        return tuple(int(self.second is not None and word >= self.second) for word in range(len(self.words)))

    @property
    def spans(self) -> Spans:
        """The characters of each word in its own text: `texts[side][start:end]` is the word."""
        return tuple(span for _, spans in self._given.sides for span in spans)

    def top(self, size: int) -> list[tuple[str, float]]:
        """Return the words with the highest scores, the highest first; ties go to the first in the text."""
        selected = top_words(self.scores, size).nonzero()[0]
        ranked = sorted(selected, key=lambda i: (-self.scores[i], i))
        return [(self.words[i], float(self.scores[i])) for i in ranked]

    def __repr__(self) -> str:
        """Return the answer, the method and the words with the highest scores."""
        words = ", ".join(f"{word!r} {digits(score)}" for word, score in self.top(WORDS_SHOWN))
        known = self.target in self.probs  # not of what another tool explained
        answer = f"{self.target} {digits(self.probs[self.target])}" if known else ""
        return "; ".join(part for part in (self.label, answer, f"{self.method}: {words}") if part)

    def _repr_html_(self) -> str:
        """Return the text with its words coloured by score, the strongest full, for notebooks."""
        strongest = float(np.nanmax(np.abs(self.scores), initial=0.0)) or 1.0
        words = [
            (word, None, 0.0, gap) if np.isnan(score) else (word, float(score), float(score) / strongest, gap)
            for word, score, gap in zip(self.words, self.scores, gaps(*self._given.plain), strict=True)
        ]
        signed = self.method not in METHODS or METHODS[self.method].signed
        return fragment("explanation.html", found=self, words=words, signed=signed)


def explain(  # noqa: PLR0913 (what may be asked)
    classifier: TextClassifier,
    text: str,
    method: str | None = None,
    *,
    target: str | None = None,
    query: str | None = None,
    explain_query: bool = False,
    seed: int = 0,
    threshold: float = THRESHOLD,
    words: WordCutter | None = None,
) -> Explanation:
    """Explain the prediction for one text.

    Args:
        classifier: see `rationale.hf.classifier.load_classifier` and `rationale.blackbox.from_callable`.
        text: as long as it likes; read in windows.
        method: a name of METHODS; default integrated gradients, of a function leave-one-out.
        target: the label to explain; default the predicted one, of several the most probable.
        query: a question, or the first text of a pair, that goes before the text and gets no scores.
        explain_query: the words of the query get scores, too.
        seed: for methods that draw.
        threshold: above which a multi-label model's labels are said.
        words: what cuts the text into words, see `eraser.words.cut_words`; default `punctuation`, or
            `characters` for a text without spaces between words.

    Raises:
        InputError: the method, the target or the seed cannot be used, or the text has no words.
    """
    if not isinstance(target, str | None):
        raise InputError(Fault("target as the name of a label", short_repr(target)))
    if type(seed) is not int or seed < 0:
        raise InputError(Fault("a seed of at least 0", short_repr(seed)))
    name = method or ("leave_one_out" if classifier.opaque else "integrated_gradients")
    check_method(classifier, name)
    kind, labels = HEADS[classifier.head].kind, classifier.labels
    label = None if target is None else target_label(target, labels, (), kind)
    cut, note = cutter_for([text], words, "punctuation")
    given = Text.of("text", text, cut, query, both=explain_query)
    (windows,) = classifier.encoder.encode([given])
    probs = text_probs(classifier, [windows], [given])[0]
    at = int(probs.argmax()) if label is None else labels.index(label)
    case = AttributionInput(windows, len(given.words), at, seed, given)
    (found,) = attribute(classifier, name, [case], usual(classifier))
    by_label = dict(zip(labels, map(float, probs), strict=True))
    answer = predicted_label(classifier.head, labels, probs, threshold)
    asked = (answer, by_label, labels[at], name, kind)
    notes = (*(() if note is None else (note,)), *note_in_part(words_in_part(windows)))
    return Explanation(
        given.words, found.scores, *asked, text, cut, "; ".join(notes) or None, given.first, given.second
    )
