"""What is tested: a classifier, texts, and each method's scores of them, computed once as an evaluation.

Axes: N text, W word, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Dataset, Fault, InputError
from eraser.errors import first_line
from eraser.files.content import content_of_examples
from eraser.progress import progress
from eraser.types import Floats, Mask
from rationale.attribution import Attribution, AttributionInput, attribute
from rationale.evaluation.pipeline import EvaluationRun, Item, get_method, seed_of
from rationale.evaluation.plan import Evaluation, Plan, joined
from rationale.evaluation.stored.method_result import MethodResult, mask_from_indices
from rationale.evaluation.stored.part_files import PartRows, part
from rationale.inference.predict import text_probs
from rationale.settings import as_record, digest
from rationale.text.windows import Window, words_read
from rationale.text_classifier import TextClassifier
from rationale.trusting.contract import TrustSettings

VERSION = 1  # of all parts of tests


@dataclass
class Meter:
    """How many windows a model read, and how many texts a method explained, so far."""

    read: int = 0
    explained: int = 0


@dataclass(frozen=True)
class Subject:
    """What the tests are about; see the package's contract.

    `probs` [N,C] and `targets` [N] are the model's answers and the class explained; `results` each method's
    scores and rationale of every text. `failed` says of methods that did not run why not.
    """

    run: EvaluationRun
    dataset: Dataset
    items: tuple[Item, ...]
    probs: Floats
    targets: tuple[int, ...]
    results: Mapping[str, tuple[MethodResult, ...]]
    failed: Mapping[str, str]
    settings: TrustSettings
    folder: Path
    evaluation: Evaluation | None = None
    models: Mapping[str, TextClassifier] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that gave scores."""
        return tuple(self.results)

    @property
    def budget(self) -> str:
        """The rationale length of all tests that need one."""
        return str(self.run.budgets[0])

    def scores(self, method: str) -> list[Floats]:
        """Return a method's word scores [W] of each text, NaN for words that were not read."""
        return [result.scores for result in self.results[method]]

    def rationales(self, method: str) -> list[Mask]:
        """Return the words [W] of each text that a method picks at `budget`."""
        found = self.results[method]
        pairs = zip(self.items, found, strict=True)
        return [mask_from_indices(r.at(self.budget).words, i.truth.n_words) for i, r in pairs]

    def before(self) -> Floats:
        """Return the answer that is explained [N], for the whole texts."""
        return self.probs[np.arange(len(self.items)), list(self.targets)]

    def answers(
        self, texts: Sequence[tuple[int, tuple[Window, ...]]], classifier: TextClassifier | None = None
    ) -> Floats:
        """Return the answers [text,C] to changed texts: each the index of an item, and its windows.

        All are read together, sorted by length; equal windows once.
        """
        self.meter.read += sum(len(windows) for _, windows in texts)
        asked = classifier or self.run.classifier
        return text_probs(asked, [w for _, w in texts], [self.items[i].text for i, _ in texts])

    def explain(
        self,
        method: str,
        items: Sequence[Item] | None = None,
        targets: Sequence[int] | None = None,
        *,
        classifier: TextClassifier | None = None,
        seed: int | None = None,
    ) -> list[Attribution]:
        """Run a method again on the texts, or on other ones, with another model or another seed.

        Args:
            method: of METHODS, not an explanation that was made elsewhere.
            items: default all of the subject.
            targets: the class explained of each; default those of the subject.
            classifier: what is explained; default what an evaluation explains with this method.
            seed: of methods that draw; default the run's.
        """
        items = self.items if items is None else items
        targets = self.targets if targets is None else targets
        usual = self.run.classifier if get_method(method).adaptive else self.run.explained
        base = self.run.settings.seed if seed is None else seed
        cases = [
            AttributionInput(i.windows, i.truth.n_words, t, seed_of(base, i.example.id), i.text)
            for i, t in zip(items, targets, strict=True)
        ]
        self.meter.explained += len(cases)
        return attribute(replace(classifier or usual, passes=None), method, cases, self.run.settings)

    def rng(self, name: str, item: int) -> np.random.Generator:
        """Return random numbers of one text's own, for one purpose."""
        seed = seed_of(self.run.settings.seed, f"{name}:{self.items[item].example.id}")
        return np.random.default_rng(seed)

    def read_words(self, item: int) -> Mask:
        """Return the mask [W] of words that the model reads."""
        return words_read(self.items[item].windows, self.items[item].truth.n_words)

    @cached_property
    def identity(self) -> str:
        """What every part depends on: models, texts, human evidence, the class explained, settings."""
        s = {k: v for k, v in as_record(self.run.settings).items() if k not in ("methods", "model", "dense")}
        windows = [[w.as_lists() for w in item.windows] for item in self.items]
        data = content_of_examples(self.dataset, [item.example for item in self.items])
        return digest(VERSION, self.run.model_hashes, data, windows, self.targets, s, self.budget)

    def identity_of(self, method: str) -> str:
        """Return a hash of a method's scores."""
        return digest(method, [result.scores.tolist() for result in self.results[method]])

    def part(self, name: str, depends: Any, compute: Callable[[], PartRows]) -> PartRows:
        """Return rows on disk, computed where they are not there; at least one row.

        Args:
            name: of what they are: letters, digits, `-`, `@` and `_`.
            depends: all that they depend on beside `identity`, as JSON holds it.
            compute: makes them: dictionaries with the same keys.
        """
        return part(self.folder / f"{name}-{digest(self.identity, depends)}.parquet", compute)


def subject_of(
    planned: Plan,
    settings: TrustSettings,
    folder: Path,
    models: Mapping[str, TextClassifier] | None = None,
) -> Subject:
    """Compute what an evaluation computes, method by method; one that does not run is told, not raised.

    Raises:
        InputError: the settings cannot be carried out, the model does not answer, or no method runs.
    """
    settings.check()
    methods, failed = planned.run.settings.methods, dict[str, str]()
    chunks = [list(_of_chunk(planned, n)) for n in range(len(planned))]
    for method in progress(methods, "explain", "methods"):
        try:
            for items, run in (pair for chunk in chunks for pair in chunk):
                _only(run, (method,)).compute(items)
        except Exception as error:  # a stranger's method may raise whatever it likes
            failed[method] = first_line(error)
    ran = tuple(m for m in methods if m not in failed)
    if not ran:
        raise InputError(*(Fault.of(f"{m} did not run: {why}") for m, why in failed.items()))
    kept = replace(planned, run=_only(planned.run, ran))
    batches = [_only(run, ran).compute(items) for chunk in chunks for items, run in chunk]
    return Subject(
        kept.run,
        planned.dataset,
        tuple(item for chunk in chunks for items, _ in chunk for item in items),
        np.concatenate([b.probs for b in batches]),
        tuple(t for b in batches for t in b.targets),
        {m: tuple(r for b in batches for r in b.methods[m]) for m in ran},
        failed,
        settings,
        folder,
        joined(list(kept.batches())),
        models or {},
    )


def _of_chunk(planned: Plan, number: int) -> Iterator[tuple[list[Item], EvaluationRun]]:
    """Yield the texts of a chunk, and the run that shares passes between the methods on them."""
    run, size = planned.run.fresh(), planned.run.settings.chunk
    yield run.items(planned.dataset, tuple(planned.examples[number * size : (number + 1) * size])), run


def _only(run: EvaluationRun, methods: tuple[str, ...]) -> EvaluationRun:
    return replace(run, settings=replace(run.settings, methods=methods))
