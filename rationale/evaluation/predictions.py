"""The parts of a chunk → its predictions, in the form that metrics read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from eraser import Ablation, Prediction
from eraser.metrics.faithfulness import bounds_of
from eraser.types import Bounds, Floats
from rationale.evaluation.pipeline import LEAVE_ONE_OUT, ChunkResults, Item, share_name
from rationale.evaluation.stored.method_result import ErasedAnswers, MethodResult, mask_from_indices
from rationale.heads import HEADS, predicted_label
from rationale.settings import EvaluateSettings
from rationale.text.elements import Elements
from rationale.text_classifier import TextClassifier


@dataclass(frozen=True)
class Reader:
    """Makes predictions from what a run computed; nothing is computed here.

    `unranked` are the methods that picked words without ranking them.
    """

    classifier: TextClassifier
    settings: EvaluateSettings
    budgets: tuple[str, ...]
    unranked: frozenset[str] = frozenset()

    def predictions(
        self, items: Iterable[Item], results: ChunkResults
    ) -> Iterator[tuple[str, str, Prediction]]:
        """Yield (method, budget, prediction) for each item, method and budget, in this order."""
        for n, item in enumerate(items):
            answer = self._answer(item, results.probs[n], results.targets[n])
            of_item = {method: found[n] for method, found in results.methods.items()}
            worst = None if results.reversed is None else results.reversed[n]
            bounds = None if worst is None else self._bounds(answer, of_item, worst)
            for method, result in of_item.items():
                falls = of_item.get(LEAVE_ONE_OUT) if method != LEAVE_ONE_OUT else None
                known = None if falls is None else falls.scores
                for budget in self.budgets:
                    found = self._at(item, answer, result, budget)
                    yield method, budget, replace(found, leave_one_out=known, bounds=bounds)

    def _answer(self, item: Item, probs: Floats, target: int) -> Prediction:
        """Return what the model predicts for an item [C], without words yet."""
        asked, nothing = self.classifier, np.zeros(item.truth.n_words)
        kind = HEADS[asked.head].kind
        return Prediction(
            item.example.id,
            predicted_label(asked.head, asked.labels, probs, self.settings.threshold),
            dict(zip(asked.labels, map(float, probs), strict=True)),
            nothing,
            nothing > 0,
            kind=kind,
            of=None if kind == "class" else asked.labels[target],
        )

    def _at(self, item: Item, answer: Prediction, result: MethodResult, budget: str) -> Prediction:
        """Return a method's prediction at a budget."""
        erased = result.at(budget)
        rationale = mask_from_indices(erased.words, item.truth.n_words)
        asked = budget != "gold" or bool(item.truth.spans)  # as many words as nobody marked: no question
        how = self.settings
        of_sentences = None
        if how.unit == "sentence":
            of_sentences = Elements.of(item.truth, how.unit, how.sentence_score).scores(result.scores)
        return replace(
            answer,
            scores=result.scores,
            rationale=rationale,
            sentence_scores=of_sentences,
            at_rationale=self._ablation(erased, float(rationale.mean())) if asked else None,
            ablations=self._ablations(result.erased),
        )

    def _bounds(
        self, answer: Prediction, results: dict[str, MethodResult], worst: tuple[ErasedAnswers, ...]
    ) -> Bounds | None:
        """Return the range of AOPC over all orderings of an example's words that were tried.

        None where all are one, as of a single word: their answers differ by the rounding of batches.
        """
        shares = {share_name(f) for f in self.settings.fractions}
        tried = (*(result.erased for name, result in results.items() if name not in self.unranked), worst)
        if len({tuple(a.words for a in erased if a.name in shares) for erased in tried}) == 1:
            return None
        return bounds_of([replace(answer, ablations=self._ablations(erased)) for erased in tried])

    def _ablations(self, erased: tuple[ErasedAnswers, ...]) -> tuple[Ablation, ...]:
        """Return what is at each share of the words."""
        by_name = {answers.name: answers for answers in erased}
        return tuple(self._ablation(by_name[share_name(f)], f) for f in self.settings.fractions)

    def _ablation(self, erased: ErasedAnswers, fraction: float) -> Ablation:
        labels = self.classifier.labels
        without, only = (dict(zip(labels, probs, strict=True)) for probs in (erased.without, erased.only))
        return Ablation(fraction, without, only)
