"""An exported model: texts → labels, probabilities and surviving words, the same as the full package gives.

Axes: T piece of a window, C logit or answer, W word of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eraser.errors import InputError
from eraser.text import Text
from eraser.types import Floats
from eraser.words import WordCutter, cutter_for
from rationale.heads import HEADS, predicted_label
from rationale.onnx.answer import DIGITS, Answer, AnswerWord
from rationale.onnx.described import Described, read_description
from rationale.onnx.pieces import tokenizer_of
from rationale.onnx.session import Graph, Read, check_largest, check_places, open_graph
from rationale.settings import THRESHOLD, LongTexts
from rationale.text.cutting import WindowCutter
from rationale.text.pairs import Pair, pair_of
from rationale.text.windows import Window, words_read
from rationale.text.word_scores import word_scores


@dataclass(frozen=True)
class OnnxModel:
    """A model in an exported file, and how it reads; any number of threads may use it at once.

    `words` cuts texts into words: by default `punctuation`, or `characters` for a text without spaces between
    words. A multi-label model predicts the labels above `threshold`.
    """

    described: Described
    graph: Graph
    cutter: WindowCutter
    words: WordCutter | None = None
    threshold: float = THRESHOLD

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its answers, in their order."""
        return self.described.labels

    def predict(self, texts: str | Pair | Sequence[str | Pair], rationale: bool = True) -> list[Answer]:
        """Return the answers for texts, or for pairs as tuples, each read by itself.

        Args:
            texts: one or several.
            rationale: whether each answer holds the words and how far they came.

        Raises:
            InputError: a text has no words, or the model returns NaN or infinity.
        """
        one = isinstance(texts, str) or (isinstance(texts, tuple) and all(isinstance(t, str) for t in texts))
        given = [texts] if one else list(texts)
        return [self.answer(text, rationale) for text in given]  # type: ignore[arg-type]

    def answer(self, text: str | Pair, rationale: bool = True, long_texts: LongTexts | None = None) -> Answer:
        """Return the answer for one text, or for a pair; see `predict`.

        `long_texts` says how a text longer than a window is read; by default as the file says.
        """
        query, string = pair_of(text)
        cut, _ = cutter_for([string], self.words, "punctuation")
        given = Text.of("text", string, cut, query, both=True)
        ((_, windows),) = self.cutter.windows([given])
        kept = windows[:1] if (long_texts or self.described.long_texts) == "truncate" else windows
        return self._said(given, windows, kept, rationale and self.described.adaptive)

    def _said(self, text: Text, windows: Sequence[Window], kept: Sequence[Window], rationale: bool) -> Answer:
        """Return the answer for a text, from those of its windows that are kept."""
        reads = [self.graph.read(window) for window in kept]
        logits = np.stack([read.logits for read in reads])  # [window, C]
        if not np.isfinite(logits).all():
            raise InputError(text.fault("finite logits from the model", "NaN or infinity"))
        answers = HEADS[self.described.head].answers(logits).mean(0)  # [C]
        n, read = len(text.words), words_read(kept, len(text.words))  # [W]
        lost = words_read(windows, n) & ~read if len(kept) < len(windows) else np.zeros(n, bool)  # [W]
        return Answer(
            predicted_label(self.described.head, self.labels, answers, self.threshold),
            dict(zip(self.labels, answers.tolist(), strict=True)),
            tuple(logits.mean(0).tolist()),
            _words(text, self._scores(kept, reads, n)) if rationale else (),
            self.described.depth,
            len(kept),
            int((~read).sum()),
            int(lost.sum()),
        )

    def _scores(self, windows: Sequence[Window], reads: Sequence[Read], n_words: int) -> Floats:
        """Return the score of each word [W] as in the method `survivors`; NaN for words not read."""
        return word_scores(windows, [read.survived(self.described.depth) for read in reads], n_words, "max")


def _words(text: Text, scores: Floats) -> tuple[AnswerWord, ...]:
    """Return the words of a text with their scores [W]."""
    unread = np.isnan(scores)  # [W]
    reached = np.where(unread, 0.0, scores)  # [W]
    layers: list[int | None] = reached.astype(np.int64).tolist()
    contributions: list[float | None] = (reached % 1.0).round(DIGITS).tolist()
    for word in unread.nonzero()[0].tolist():
        layers[word] = contributions[word] = None
    starts, ends = zip(*(span for _, spans in text.sides for span in spans), strict=True)
    sides = [side for side, (_, spans) in enumerate(text.sides) for _ in spans]
    return tuple(map(AnswerWord, text.words, starts, ends, layers, contributions, sides))


def load_file(path: Path, threads: int = 1) -> OnnxModel:
    """Return the model of an exported file; see `rationale.onnx.load`."""
    graph = open_graph(path, threads)
    described = read_description(graph.metadata, path)
    check_places(graph, path)
    tokenize, largest = tokenizer_of(described.tokenizer, path)
    check_largest(graph, largest, path, described.labels)
    cutter = WindowCutter(tokenize, described.max_length, described.start)
    return OnnxModel(replace(described, tokenizer={}), graph, cutter)  # no longer needed once it is read
