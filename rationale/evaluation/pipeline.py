"""One chunk of an evaluation: its texts, what each method says of them, and the model's answers, in parts.

A part is a file named by what its numbers depend on; one that is there is not computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Ablation, Dataset, Example, Prediction, Text, Truth
from eraser.metrics.answers import marked_for
from eraser.metrics.faithfulness import bounds_of
from eraser.types import Bounds, Floats, Mask
from rationale.attribution import Attribution, Case, attribute, method_named
from rationale.attribution.fit import reading
from rationale.attribution.methods import Method
from rationale.budgets import Budget, extract, share_of, top_words
from rationale.evaluation.part_files import PartRows, part
from rationale.evaluation.savings import ComputeSavings, spared
from rationale.heads import HEADS, said
from rationale.inference.ablate import ablate, without_and_only
from rationale.inference.predict import text_probs
from rationale.pass_cache import Passes
from rationale.settings import EvaluateSettings, digest
from rationale.text.encode import Window
from rationale.text_classifier import TextClassifier

LEAVE_ONE_OUT = "leave_one_out"  # what tau and the bounds of normalised AOPC need
PARTS_VERSION = 5  # to be raised by a change that makes a method of this package give other numbers


@dataclass(frozen=True)
class Item:
    """One example as the run sees it."""

    example: Example
    text: Text
    truth: Truth
    windows: tuple[Window, ...]


def get_method(method: str) -> Method:
    """Return a method that `EvaluateSettings.check` has let pass."""
    found = method_named(method)
    assert found is not None
    return found


def seed_of(seed: int, example_id: str) -> int:
    """Return the example's own seed, so its random numbers do not depend on its neighbours."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{example_id}".encode()).digest()[:8])


@dataclass(frozen=True)
class EvaluationRun:
    """What all parts of a run share."""

    classifier: TextClassifier
    explained: TextClassifier
    settings: EvaluateSettings
    budgets: tuple[Budget, ...]
    folder: Path
    model_hashes: tuple[str, str]

    def afresh(self) -> EvaluationRun:
        """Return the run with nothing remembered of earlier examples."""
        passes = Passes()
        same = self.explained.model is self.classifier.model
        explained = replace(self.explained, passes=passes if same else Passes())
        return replace(self, classifier=replace(self.classifier, passes=passes), explained=explained)

    def items(self, dataset: Dataset, examples: Sequence[Example]) -> list[Item]:
        """Return the examples with their texts, human evidence and windows."""
        texts = [dataset.text(e) for e in examples]
        encoded = self.classifier.encoder.encode(texts)
        items = [Item(e, t, dataset.truth(e), w) for e, t, w in zip(examples, texts, encoded, strict=True)]
        return self._carrying(items) if HEADS[self.classifier.head].kind == "labels" else items

    def _carrying(self, items: list[Item]) -> list[Item]:
        """Return the items, without the marks of those whose labels lack the one that is explained.

        What people marked there speaks for other labels.
        """
        targets = self._targets(items, self._said(items))
        labels = [self.classifier.labels[target] for target in targets]
        return [replace(i, truth=marked_for(i.truth, x)) for i, x in zip(items, labels, strict=True)]

    def chunk(self, items: Sequence[Item]) -> Iterator[tuple[str, str, Prediction, dict[str, Any]]]:
        """Yield (method, budget, prediction, its row of the part) for each method, item and budget."""
        probs = self._said(items)
        targets = self._targets(items, probs)
        found = self._by_method(items, targets)
        worst = self._reversed(items, found[LEAVE_ONE_OUT]) if LEAVE_ONE_OUT in found else None
        for n, (item, p) in enumerate(zip(items, probs, strict=True)):
            answer = self._answer(item, p, targets[n])
            rows = {method: of_items[n] for method, of_items in found.items()}
            bounds = None if worst is None else self._bounds(answer, [*rows.values(), worst[n]])
            for method, row in rows.items():
                falls = rows.get(LEAVE_ONE_OUT) if method != LEAVE_ONE_OUT else None
                known = None if falls is None else np.array(falls["scores"], dtype=np.float64)
                for budget in map(str, self.budgets):
                    prediction = self._prediction(item, answer, row, budget)
                    yield method, budget, replace(prediction, leave_one_out=known, bounds=bounds), row

    def _said(self, items: Sequence[Item]) -> Floats:
        """Return the model's answers [item, C] to the whole texts."""
        whole = self._part(items, "predict", (), lambda: self._predict(items))
        return np.array([row["probs"] for row in whole])

    def _answer(self, item: Item, probs: Floats, target: int) -> Prediction:
        """Return what the model said of an item [C], without words yet."""
        asked, nothing = self.classifier, np.zeros(item.truth.n_words)
        kind = HEADS[asked.head].kind
        return Prediction(
            item.example.id,
            said(asked.head, asked.labels, probs, self.settings.threshold),
            dict(zip(asked.labels, map(float, probs), strict=True)),
            nothing,
            nothing > 0,
            kind=kind,
            of=None if kind == "class" else asked.labels[target],
        )

    def spared(self, items: Sequence[Item]) -> ComputeSavings | None:
        """Return what a model saved on these texts, where it was made to save something."""
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
        return spared(asked, [len(w) for w in windows], kept)

    def _by_method(self, items: Sequence[Item], targets: list[int]) -> dict[str, PartRows]:
        """Return each method's rows, in the order of the settings."""
        matched = sorted({b.method for b in self.budgets if b.kind == "match" and b.method is not None})
        owns = {m: self._own_choices(m, items, targets) for m in matched}
        return {
            method: self._part(
                items,
                method,
                self._depends_on(method, items, targets, owns),
                partial(self._explain, method, items, targets, owns),
            )
            for method in self.settings.methods
        }

    def _own_choices(self, method: str, items: Sequence[Item], targets: list[int]) -> list[Mask]:
        """Return the words [W] of each item that a method chooses itself."""
        depends = [targets, {name: getattr(self.settings, name) for name in get_method(method).uses}]

        def compute() -> PartRows:
            found = self._attribute(method, items, targets)
            return [
                {"id": i.example.id, "own": a.own.nonzero()[0].tolist()}
                for i, a in zip(items, found, strict=True)
                if a.own is not None
            ]

        rows = self._part(items, f"{method}-own", depends, compute)
        return [mask_from_indices(row["own"], i.truth.n_words) for i, row in zip(items, rows, strict=True)]

    def _attribute(self, method: str, items: Sequence[Item], targets: list[int]) -> list[Attribution]:
        seeds = [seed_of(self.settings.seed, i.example.id) for i in items]
        cases = [
            Case(i.windows, i.truth.n_words, target, seed, i.text)
            for i, target, seed in zip(items, targets, seeds, strict=True)
        ]
        classifier = self.classifier if get_method(method).adaptive else self.explained
        how = self.settings
        if not classifier.opaque:  # whose every answer may have a price
            attribute(replace(classifier, passes=None), method, cases[:1], how)  # to warm up, not timed
        return attribute(classifier, method, cases, how)

    def _reversed(self, items: Sequence[Item], rows: PartRows) -> PartRows:
        """Return the ablations of leave_one_out's ordering turned round: likely the worst there is."""
        scores = [-np.array(row["scores"], dtype=np.float64) for row in rows]
        depends = [[s.tolist() for s in scores], self.settings.fractions]

        def compute() -> PartRows:
            shares = [self._shares(i, s) for i, s in zip(items, scores, strict=True)]
            answers = self._answers(items, shares)
            return [
                {"id": i.example.id, "rationales": of_item} for i, of_item in zip(items, answers, strict=True)
            ]

        return self._part(items, f"{LEAVE_ONE_OUT}-reversed", depends, compute)

    def _bounds(self, answer: Prediction, rows: Sequence[dict[str, Any]]) -> Bounds:
        """Return the range of AOPC over all orderings of an example's words that were tried."""
        return bounds_of([replace(answer, ablations=self._ablations(row)) for row in rows])

    def _part(
        self, items: Sequence[Item], name: str, depends: Any, compute: Callable[[], PartRows]
    ) -> PartRows:
        """Return the part of that name for these items, computed if it is not on disk."""
        texts = [(i.example.id, i.truth.n_words, [_as_lists(w) for w in i.windows]) for i in items]
        encoder = self.classifier.encoder
        precisions = (self.classifier.bf16, self.explained.bf16)
        run = (self.settings.replace, precisions, encoder.pad_id, encoder.mask_id, *reading(self.explained))
        key = digest(PARTS_VERSION, self.model_hashes, texts, depends, run)
        return part(self.folder / f"{name}-{key}.parquet", compute)

    def _depends_on(
        self, method: str, items: Sequence[Item], targets: list[int], owns: dict[str, list[Mask]]
    ) -> Any:
        """Return what else a method's part depends on."""
        s = self.settings
        gold = [i.truth.gold.nonzero()[0].tolist() for i in items]
        used = {name: getattr(s, name) for name in get_method(method).uses}
        sizes = {name: [int(own.sum()) for own in masks] for name, masks in owns.items()}
        own_code = [get_method(method).code] if get_method(method).code else []
        return [list(map(str, self.budgets)), s.fractions, gold, targets, used, sizes, *own_code]

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
        self, method: str, items: Sequence[Item], targets: list[int], owns: dict[str, list[Mask]]
    ) -> PartRows:
        """Attribute, extract and ablate one chunk with one method."""
        found = self._attribute(method, items, targets)
        rationales = [
            self._rationales(item, a, {name: masks[n] for name, masks in owns.items()})
            for n, (item, a) in enumerate(zip(items, found, strict=True))
        ]
        return [
            {
                "id": item.example.id,
                "ms": a.milliseconds,
                "where": self.classifier.where(),
                "scores": a.scores.tolist(),
                "delta": a.convergence_delta,
                "own": None if a.own is None else a.own.nonzero()[0].tolist(),
                "rationales": answers,
            }
            for item, a, answers in zip(items, found, self._answers(items, rationales), strict=True)
        ]

    def _answers(
        self, items: Sequence[Item], rationales: Sequence[dict[str, Mask]]
    ) -> list[list[dict[str, Any]]]:
        """Return for each item what the model says without, and with only, each of its rationales."""
        erasures = [
            erasure
            for item, by_name in zip(items, rationales, strict=True)
            for rationale in by_name.values()
            for erasure in without_and_only(item.windows, rationale, item.text)
        ]
        answers = iter(ablate(self.classifier, erasures, self.settings.replace).tolist())
        return [
            [
                {"name": name, "words": words.nonzero()[0].tolist()}
                | {"without": next(answers), "only": next(answers)}
                for name, words in by_name.items()
            ]
            for by_name in rationales
        ]

    def _shares(self, item: Item, scores: Floats) -> dict[str, Mask]:
        """Return the top words [W] of each ablation share, by name."""
        n_words = item.truth.n_words
        return {share_name(f): top_words(scores, share_of(n_words, f)) for f in self.settings.fractions}

    def _rationales(self, item: Item, found: Attribution, owns: dict[str, Mask]) -> dict[str, Mask]:
        """Return the rationale [W] of each budget and of each ablation share, by name."""
        picked = {}
        for b in self.budgets:
            match = owns.get(b.method or "")
            picked[str(b)] = extract(found.scores, b, gold=item.truth.gold, own=found.own, match=match)
        return picked | self._shares(item, found.scores)

    def _ablation(self, row: dict[str, Any], name: str, fraction: float) -> Ablation:
        (of_name,) = (r for r in row["rationales"] if r["name"] == name)
        without, only = (
            dict(zip(self.classifier.labels, map(float, of_name[side]), strict=True))
            for side in ("without", "only")
        )
        return Ablation(fraction, without, only)

    def _ablations(self, row: dict[str, Any]) -> tuple[Ablation, ...]:
        return tuple(self._ablation(row, share_name(f), f) for f in self.settings.fractions)

    def _prediction(self, item: Item, answer: Prediction, row: dict[str, Any], budget: str) -> Prediction:
        """Return one row of a part as a Prediction."""
        (words,) = (r["words"] for r in row["rationales"] if r["name"] == budget)
        rationale = mask_from_indices(words, item.truth.n_words)
        asked = budget != "gold" or bool(item.truth.spans)  # as many words as nobody marked: no question
        return replace(
            answer,
            scores=np.array(row["scores"], dtype=np.float64),
            rationale=rationale,
            at_rationale=self._ablation(row, budget, float(rationale.mean())) if asked else None,
            ablations=self._ablations(row),
        )


def _as_lists(window: Window) -> list[list[int]]:
    fields = [window.ids, window.word, window.types]
    glued = bool((window.end - window.word > 1).any())  # else `end` says nothing that `word` does not
    return [field.tolist() for field in (fields + [window.end] * glued)]


def mask_from_indices(words: Iterable[int], n_words: int) -> Mask:
    """Return the mask [W] that is True at these words."""
    mask = np.zeros(n_words, dtype=bool)
    mask[list(words)] = True
    return mask


def share_name(fraction: float) -> str:
    """Return how a part names the rationale of an ablation share."""
    return f"share={fraction!r}"
