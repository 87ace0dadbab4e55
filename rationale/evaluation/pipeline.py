"""One chunk of an evaluation: predict, attribute, extract, ablate; each step's results are kept in parts.

A part is a file named by what its numbers depend on; an existing part is not computed again.
`predictions.py` reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eraser import Dataset, Example, GoldRationale, Text
from eraser.metrics.answers import marked_for
from eraser.types import Floats, Mask
from rationale.attribution import Attribution, AttributionInput, attribute, method_named
from rationale.attribution.fit import reading
from rationale.attribution.methods import Method
from rationale.budgets import Budget, extract, share_of, top_words
from rationale.evaluation.savings import ComputeSavings, savings_of
from rationale.evaluation.stored.method_result import ErasedAnswers, MethodResult, indices, mask_from_indices
from rationale.evaluation.stored.part_files import PartRows, part
from rationale.explanations.stored import ImportedMethod
from rationale.heads import HEADS, predicted_label, same_answer
from rationale.inference.ablate import ablate, without_and_only
from rationale.inference.predict import text_probs
from rationale.pass_cache import PassCache
from rationale.settings import EvaluateSettings, digest
from rationale.text.elements import Elements
from rationale.text.windows import Window
from rationale.text_classifier import TextClassifier

LEAVE_ONE_OUT = "leave_one_out"  # what tau and the bounds of normalised AOPC need
PARTS_VERSION = 6  # to be raised by a change that makes a method of this package give other numbers


@dataclass(frozen=True)
class Item:
    """One example of a run: its text, gold rationale and windows."""

    example: Example
    text: Text
    truth: GoldRationale
    windows: tuple[Window, ...]


class ChunkResults(NamedTuple):
    """The results of a model and all methods for a chunk's items.

    Probabilities [item, C] for whole texts, the class explained of each item, each method's results in the
    order of the items, and where leave_one_out was run the ablations of its ordering turned round.
    """

    probs: Floats
    targets: list[int]
    methods: dict[str, list[MethodResult]]
    reversed: list[tuple[ErasedAnswers, ...]] | None


def get_method(method: str) -> Method:
    """Return a method whose name `EvaluateSettings.check` has accepted."""
    found = method_named(method)
    assert found is not None
    return found


def seed_of(seed: int, example_id: str) -> int:
    """Return the example's own seed, so its random numbers do not depend on its neighbours."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{example_id}".encode()).digest()[:8])


@dataclass(frozen=True)
class EvaluationRun:
    """What all parts of a run share; `imported` are the explanations made elsewhere, by their row's name."""

    classifier: TextClassifier
    explained: TextClassifier
    settings: EvaluateSettings
    budgets: tuple[Budget, ...]
    folder: Path
    model_hashes: tuple[str, str]
    imported: Mapping[str, ImportedMethod] = field(default_factory=dict)

    def fresh(self) -> EvaluationRun:
        """Return the run with an empty cache."""
        passes, others = (PassCache(device=c.device) for c in (self.classifier, self.explained))
        same = self.explained.model is self.classifier.model
        explained = replace(self.explained, passes=passes if same else others)
        return replace(self, classifier=replace(self.classifier, passes=passes), explained=explained)

    def items(self, dataset: Dataset, examples: Sequence[Example]) -> list[Item]:
        """Return the examples with their texts, human evidence and windows."""
        texts = [dataset.text(e) for e in examples]
        encoded = self.classifier.encoder.encode(texts)
        items = [Item(e, t, dataset.truth(e), w) for e, t, w in zip(examples, texts, encoded, strict=True)]
        return self._carrying(items) if HEADS[self.classifier.head].kind == "labels" else items

    def _carrying(self, items: list[Item]) -> list[Item]:
        """Return the items, without the marks of those whose labels lack the one that is explained.

        What annotators marked there speaks for other labels.
        """
        targets = self._targets(items, self._predicted(items))
        labels = [self.classifier.labels[target] for target in targets]
        return [replace(i, truth=marked_for(i.truth, x)) for i, x in zip(items, labels, strict=True)]

    def compute(self, items: Sequence[Item]) -> ChunkResults:
        """Return the results of the model and each method for a chunk; missing parts are computed."""
        probs = self._predicted(items)
        targets = self._targets(items, probs)
        matched = sorted({b.method for b in self.budgets if b.kind == "match" and b.method is not None})
        selected = {m: self._selected(m, items, targets) for m in matched}
        methods = {m: self._results(m, items, targets, selected) for m in self.settings.methods}
        loo = methods.get(LEAVE_ONE_OUT)
        return ChunkResults(probs, targets, methods, None if loo is None else self._reversed(items, loo))

    def _predicted(self, items: Sequence[Item]) -> Floats:
        """Return the model's probabilities [item, C] for the whole texts."""
        return np.array(
            [row["probs"] for row in self._part(items, "predict", (), lambda: self._predict(items))]
        )

    def savings(self, items: Sequence[Item]) -> ComputeSavings | None:
        """Return what a model saved on these texts, or None if it was not made to save anything."""
        asked = self.classifier
        if asked.opaque:
            return None
        from rationale.inference.capabilities import is_efficient
        from rationale.inference.savings import run_windows

        if not is_efficient(asked):
            return None
        windows = [w for item in items for w in item.windows]

        def compute() -> PartRows:
            _, kept = run_windows(asked, windows)
            return [{"kept": of_window.tolist()} for of_window in kept.T]

        kept = np.array([row["kept"] for row in self._part(items, "kept", (), compute)]).T
        return savings_of(asked, [len(w) for w in windows], kept)

    def other_answers(self, items: Sequence[Item], results: ChunkResults) -> dict[str, int]:
        """Return the number of examples for which an imported explanation explains another answer."""
        labels, head, found = self.classifier.labels, self.classifier.head, {}
        predicted = [predicted_label(head, labels, p, self.settings.threshold) for p in results.probs]
        for method, given in self.imported.items():
            told = [given.examples[item.example.id] for item in items]
            of = [e.target for e in told]
            other = sum(x in labels and x != labels[t] for x, t in zip(of, results.targets, strict=True))
            own = [(e.label, x) for e, x in zip(told, predicted, strict=True) if e.label is not None]
            differs = sum(not same_answer(head, label, x) for label, x in own)
            found[f"{method}: another class is explained than by the run's methods"] = other
            if HEADS[head].kind != "value":  # two numbers are hardly ever the same
                found[f"{method}: its own label is not the model's"] = differs
            unknown = sum(x is not None and x not in labels for x in of)
            found[f"{method}: the class explained has a name that the model does not know"] = unknown
        return found

    def _results(
        self, method: str, items: Sequence[Item], targets: list[int], selected: dict[str, list[Mask]]
    ) -> list[MethodResult]:
        """Return what a method gives for each item."""

        def compute() -> PartRows:
            return [found.to_row() for found in self._explain(method, items, targets, selected)]

        depends = self._depends_on(method, items, targets, selected)
        return [MethodResult.from_row(row) for row in self._part(items, method, depends, compute)]

    def _selected(self, method: str, items: Sequence[Item], targets: list[int]) -> list[Mask]:
        """Return the words [W] of each item that a method selects by itself."""
        depends = [targets, self._uses(method, items)]

        def compute() -> PartRows:
            attributions = self._attribute(method, items, targets)
            return [
                {"id": i.example.id, "own": list(indices(a.selected))}
                for i, a in zip(items, attributions, strict=True)
                if a.selected is not None
            ]

        rows = self._part(items, f"{method}-own", depends, compute)
        return [mask_from_indices(row["own"], i.truth.n_words) for i, row in zip(items, rows, strict=True)]

    def _uses(self, method: str, items: Sequence[Item]) -> dict[str, Any]:
        """Return what a method's scores depend on: settings, or the explanations file."""
        if (given := self.imported.get(method)) is None:
            return {name: getattr(self.settings, name) for name in get_method(method).uses}
        return {"explanations": [given.examples[item.example.id].to_row() for item in items]}

    def _attribute(self, method: str, items: Sequence[Item], targets: list[int]) -> list[Attribution]:
        if (given := self.imported.get(method)) is not None:
            told = [given.examples[item.example.id] for item in items]
            return [Attribution(e.ranking, t, np.nan, e.selected) for e, t in zip(told, targets, strict=True)]
        seeds = [seed_of(self.settings.seed, i.example.id) for i in items]
        cases = [
            AttributionInput(i.windows, i.truth.n_words, target, seed, i.text)
            for i, target, seed in zip(items, targets, seeds, strict=True)
        ]
        classifier = self.classifier if get_method(method).adaptive else self.explained
        how = self.settings
        if not classifier.opaque:  # whose every answer may have a price
            attribute(replace(classifier, passes=None), method, cases[:1], how)  # to warm up, not timed
        return attribute(classifier, method, cases, how)

    def _reversed(
        self, items: Sequence[Item], results: Sequence[MethodResult]
    ) -> list[tuple[ErasedAnswers, ...]]:
        """Return the ablations of leave_one_out's ordering reversed, which is likely the worst ordering."""
        elements = [self.elements(item) for item in items]
        scores = [-e.scores(result.scores) for e, result in zip(elements, results, strict=True)]
        depends = [[s.tolist() for s in scores], self.settings.fractions, *self._told(elements)]

        def compute() -> PartRows:
            shares = [self._shares(e, s) for e, s in zip(elements, scores, strict=True)]
            return [
                {"id": i.example.id, "rationales": [erased.to_row() for erased in of_item]}
                for i, of_item in zip(items, self._ablate(items, shares), strict=True)
            ]

        rows = self._part(items, f"{LEAVE_ONE_OUT}-reversed", depends, compute)
        return [tuple(map(ErasedAnswers.from_row, row["rationales"])) for row in rows]

    def _part(
        self, items: Sequence[Item], name: str, depends: Any, compute: Callable[[], PartRows]
    ) -> PartRows:
        """Return the part of that name for these items, computed if it is not on disk."""
        texts = [(i.example.id, i.truth.n_words, [w.as_lists() for w in i.windows]) for i in items]
        encoder = self.classifier.encoder
        precisions = (self.classifier.bf16, self.explained.bf16)
        run = (self.settings.replace, precisions, encoder.pad_id, encoder.mask_id, *reading(self.explained))
        key = digest(PARTS_VERSION, self.model_hashes, texts, depends, run)
        return part(self.folder / f"{name}-{key}.parquet", compute)

    def _depends_on(
        self, method: str, items: Sequence[Item], targets: list[int], selected: dict[str, list[Mask]]
    ) -> Any:
        """Return what else a method's part depends on."""
        s = self.settings
        gold = [list(indices(i.truth.gold)) for i in items]
        used = self._uses(method, items)
        told = self._told([self.elements(item) for item in items])

        def size(mask: Mask) -> Any:  # of sentences it is not enough to know how many words were selected
            return list(indices(mask)) if told else int(mask.sum())

        sizes = {name: list(map(size, masks)) for name, masks in selected.items()}
        code = "" if method in self.imported else get_method(method).code
        own_code = [code] if code else []
        return [list(map(str, self.budgets)), s.fractions, gold, targets, used, sizes, *own_code, *told]

    def elements(self, item: Item) -> Elements:
        """Return what the rationales of an item are made of."""
        return Elements.of(item.truth, self.settings.unit, self.settings.sentence_score)

    def _told(self, elements: Sequence[Elements]) -> list[Any]:
        """Return what parts depend on when sentences are picked; nothing when words are."""
        s = self.settings
        return [] if s.unit == "word" else [s.unit, s.sentence_score, [e.starts for e in elements]]

    def _targets(self, items: Sequence[Item], probs: Floats) -> list[int]:
        """Return the class, label or number to explain for each item."""
        labels, kind = self.classifier.labels, HEADS[self.classifier.head].kind
        if (label := self.settings.target_label(labels, kind)) is not None:
            return [labels.index(label)] * len(items)
        if self.settings.target == "gold":
            return [labels.index(i.truth.label) for i in items]
        return [int(i) for i in probs.argmax(1)]

    def _predict(self, items: Sequence[Item]) -> PartRows:
        probs = text_probs(self.classifier, [i.windows for i in items], [i.text for i in items])
        return [{"id": i.example.id, "probs": p.tolist()} for i, p in zip(items, probs, strict=True)]

    def _explain(
        self, method: str, items: Sequence[Item], targets: list[int], selected: dict[str, list[Mask]]
    ) -> list[MethodResult]:
        """Attribute, extract and ablate a chunk with one method."""
        attributions = self._attribute(method, items, targets)
        rationales = [
            self._extract(method, item, a, {name: masks[n] for name, masks in selected.items()})
            for n, (item, a) in enumerate(zip(items, attributions, strict=True))
        ]
        return [
            MethodResult(
                item.example.id,
                a.milliseconds,
                self.classifier.where(),
                a.scores,
                a.convergence_delta,
                None if a.selected is None else indices(a.selected),
                erased,
            )
            for item, a, erased in zip(items, attributions, self._ablate(items, rationales), strict=True)
        ]

    def _extract(
        self, method: str, item: Item, attribution: Attribution, selected: dict[str, Mask]
    ) -> dict[str, Mask]:
        """Return the rationale [W] of each budget and of each ablation share, by name."""
        given, elements = self.imported.get(method), self.elements(item)
        ranked = attribution.scores if given is None else given.examples[item.example.id].extractable
        gold, scores = elements.touched(item.truth.gold), elements.scores(ranked)
        mine = None if attribution.selected is None else elements.touched(attribution.selected)
        chosen = {name: elements.touched(words) for name, words in selected.items()}
        at_budgets = {
            str(b): elements.words(
                extract(
                    scores,
                    Budget("own") if b.method == method else b,  # at its own size: what it chose
                    gold=gold,
                    selected=mine,
                    match=chosen.get(b.method or ""),
                )
            )
            for b in self.budgets
        }
        return at_budgets | self._shares(elements, scores)

    def _shares(self, elements: Elements, scores: Floats) -> dict[str, Mask]:
        """Return the words [W] of the top elements of each ablation share, by name, from their scores [E]."""
        sizes = {share_name(f): share_of(len(scores), f) for f in self.settings.fractions}
        return {name: elements.words(top_words(scores, size)) for name, size in sizes.items()}

    def _ablate(
        self, items: Sequence[Item], rationales: Sequence[dict[str, Mask]]
    ) -> list[tuple[ErasedAnswers, ...]]:
        """Return for each item the model's answers without, and with only, each of its rationales."""
        erasures = [
            erasure
            for item, by_name in zip(items, rationales, strict=True)
            for rationale in by_name.values()
            for erasure in without_and_only(item.windows, rationale, item.text)
        ]
        probs = map(tuple, ablate(self.classifier, erasures, self.settings.replace).tolist())
        return [
            tuple(
                ErasedAnswers(name, indices(words), next(probs), next(probs))
                for name, words in by_name.items()
            )
            for by_name in rationales
        ]


def share_name(fraction: float) -> str:
    """Return how a part names the rationale of an ablation share."""
    return f"share={fraction!r}"
