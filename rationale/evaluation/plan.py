"""Data set × methods → parts on disk → predictions → scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eraser import Dataset, Example, Fault, InputError, Prediction
from eraser.files.content import content_of_examples
from eraser.files.owned import claim
from eraser.progress import progress
from eraser.types import Kind
from rationale.attribution import METHODS, AttributionSettings, codes_of, method_named, refuse_unfit
from rationale.evaluation.explained import explained_by
from rationale.evaluation.notes import of_units, surprises, told, unread_query
from rationale.evaluation.pipeline import EvaluationRun, Item, seed_of
from rationale.evaluation.predictions import Reader
from rationale.evaluation.savings import ComputeSavings
from rationale.explanations.of_run import NO_IMPORTS, Imports, explained_examples
from rationale.heads import HEADS, check_explain
from rationale.inference.capabilities import drops_tokens
from rationale.settings import THRESHOLD, EvaluateSettings, Unit, as_record
from rationale.text.windows import words_in_part, words_read
from rationale.text_classifier import TextClassifier, labelled_as


@dataclass(frozen=True)
class Evaluation:
    """What was measured on some examples of a run, or on all: predictions by (method, budget), and cost.

    For each method, `milliseconds` has the time of every example, `convergence_deltas` the distance of its
    scores from their expected sum (None for methods that promise none). `counts` are numbers of examples by
    the note that counts them; `unranked` are the methods that picked words without ranking them.
    """

    settings: EvaluateSettings
    budgets: tuple[str, ...]
    items: tuple[Item, ...]
    predictions: dict[tuple[str, str], tuple[Prediction, ...]]
    milliseconds: dict[str, tuple[float, ...]]
    convergence_deltas: dict[str, tuple[float | None, ...]]
    words_unread: int
    layers: int  # of a model that drops tokens, else 0
    devices: frozenset[str]
    notes: tuple[str, ...] = ()
    savings: ComputeSavings | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    unranked: frozenset[str] = frozenset()
    words_in_part: int = 0  # longer than a window, so that only their beginning is read

    @property
    def kind(self) -> Kind:
        """What the model answers."""
        return next(p.kind for of_key in self.predictions.values() for p in of_key)


def joined(batches: Sequence[Evaluation]) -> Evaluation:
    """Return the batches of one run, at least one, as one."""
    first, *rest = batches
    keys, methods = first.predictions, first.milliseconds
    return replace(
        first,
        items=tuple(item for b in batches for item in b.items),
        predictions={key: tuple(p for b in batches for p in b.predictions[key]) for key in keys},
        milliseconds={m: tuple(ms for b in batches for ms in b.milliseconds[m]) for m in methods},
        convergence_deltas={m: tuple(d for b in batches for d in b.convergence_deltas[m]) for m in methods},
        words_unread=sum(b.words_unread for b in batches),
        words_in_part=sum(b.words_in_part for b in batches),
        devices=first.devices.union(*(b.devices for b in rest)),
        savings=None if first.savings is None else sum((b.savings for b in rest if b.savings), first.savings),
        counts={name: sum(b.counts.get(name, 0) for b in batches) for name in first.counts},
    )


@dataclass(frozen=True)
class Plan:
    """A checked run and its examples, computed chunk by chunk; `done`: the folder held it already.

    `surprises` are those of its notes that are printed as it begins.
    """

    run: EvaluationRun
    dataset: Dataset
    examples: Sequence[Example]
    notes: tuple[str, ...]
    done: bool = False
    surprises: tuple[str, ...] = ()

    def __len__(self) -> int:
        return -(-len(self.examples) // self.run.settings.chunk)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.run.classifier.device

    def compute(self, number: int) -> None:
        """Compute the parts of one chunk that the run's folder lacks."""
        run = self.run.fresh()
        items = self._items(run, number)
        run.compute(items)
        run.savings(items)

    def batch(self, number: int) -> Evaluation:
        """Return what was measured on one chunk, read from its parts; missing ones are computed."""
        run, settings = self.run.fresh(), self.run.settings
        items = self._items(run, number)
        results, budgets = run.compute(items), tuple(map(str, run.budgets))
        unranked = frozenset(method for method, one in run.imported.items() if not one.ranks)
        reader = Reader(run.classifier, settings, budgets, unranked)
        predictions: dict[tuple[str, str], list[Prediction]] = {}
        for method, budget, prediction in reader.predictions(items, results):
            predictions.setdefault((method, budget), []).append(prediction)
        by_method = results.methods.items()
        return Evaluation(
            settings,
            budgets,
            tuple(items),
            {key: tuple(of_key) for key, of_key in predictions.items()},
            {m: tuple(r.milliseconds for r in found) for m, found in by_method},
            {m: tuple(r.convergence_delta for r in found) for m, found in by_method},
            sum(int((~words_read(i.windows, i.truth.n_words)).sum()) for i in items),
            _depth(run.classifier),
            frozenset(r.device for _, found in by_method for r in found),
            self.notes,
            run.savings(items),
            run.other_answers(items, results),
            unranked,
            sum(words_in_part(i.windows) for i in items),
        )

    def _items(self, run: EvaluationRun, number: int) -> list[Item]:
        """Return the examples of one chunk."""
        chunk = self.run.settings.chunk
        return run.items(self.dataset, tuple(self.examples[number * chunk : (number + 1) * chunk]))

    def batches(self) -> Iterator[Evaluation]:
        """Yield what was measured, chunk by chunk."""
        return progress(map(self.batch, range(len(self))), "evaluate", "chunks", len(self))


def plan(  # noqa: PLR0913 (what a run is made of)
    classifier: TextClassifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: TextClassifier | None = None,
    overwrite: bool = False,
    imports: Imports = NO_IMPORTS,
) -> Plan:
    """Check the settings, claim the folder, and return the run: chunks of examples, computed on demand.

    Args:
        classifier: the model whose answers are measured.
        dataset: with the split that the settings name.
        settings: the choices of the run.
        folder: where its parts and tables go.
        dense: what methods other than the classifier's own explain where it drops tokens; by default its own
            weights with nothing removed. Faithfulness always asks the classifier itself.
        overwrite: whether other work of this suite in the folder makes room.
        imports: explanations made elsewhere; each is a row, whose name stands among the settings' methods.

    Raises:
        InputError: the settings cannot be carried out, or the folder holds something else.
    """
    dataset = explaining(dataset, settings)
    _check_settings(settings, imports)
    classifier = labelled_as(classifier, dataset.labels, settings.model)
    if dense is not None:
        dense = labelled_as(dense, dataset.labels, settings.dense or settings.model)
    explained = explained_by(classifier, dense)
    refuse_unfit(classifier, settings.methods, explained)
    drawn = chosen(dataset.examples(settings.split), settings)
    examples, left_out = explained_examples(dataset, drawn, imports)
    settings.target_label(classifier.labels, HEADS[classifier.head].kind)  # refused before a folder is made
    check_asked(classifier, settings, settings.threshold, settings.model)
    _check_unit(settings, dataset, examples)
    share, note = _human_share(dataset, settings.split, settings.unit)
    budgets = settings.resolved_budgets(share)
    hashes = (classifier.identity(), explained.identity())
    reads = (settings.model, settings.dense, dataset.source)
    of = _made_of(dataset, examples, settings, hashes) | {"budgets_in_words": list(map(str, budgets))}
    of |= {"content_of_tokenizer": classifier.encoder.identity()}
    of |= {f"content_of_{one.method}": one.identity for one in imports.methods}
    done = claim(folder, "evaluate", of, reads, (), overwrite)  # parts stay: their names say what they hold
    imported = {one.method: one for one in imports.methods}
    run = EvaluationRun(classifier, explained, settings, budgets, folder / "parts", hashes, imported)
    notes = (
        *dataset.notes,
        *note,
        *of_units(settings),
        *(found := tuple(surprises(classifier, dataset))),
        *unread_query(dataset),
        *told(classifier, dataset, settings),
        *left_out,
        *imports.notes,
    )
    return Plan(run, dataset, examples, notes, done, found)


def _check_settings(settings: EvaluateSettings, imports: Imports) -> None:
    """Refuse unknown names, and a budget that no method of the run can fill."""
    known = {name: m for name in (*METHODS, *settings.methods) if (m := method_named(name)) is not None}
    imports.check(known)
    choosing = (*(name for name, m in known.items() if m.selection_threshold is not None), *imports.choosing)
    settings.check((*known, *imports.names), choosing)


def _check_unit(settings: EvaluateSettings, dataset: Dataset, examples: Sequence[Example]) -> None:
    """Refuse to pick sentences where no text has several."""
    if settings.unit == "sentence" and not any(len(dataset.text(e).sentence_starts) > 1 for e in examples):
        message = "each text is one sentence, so that none can be picked; unit word scores its words"
        raise InputError(Fault.of(message, dataset.source))


def explaining(dataset: Dataset, settings: EvaluateSettings) -> Dataset:
    """Return the data set with the words of queries among those of the texts, where that is asked for."""
    if not settings.explain_query:
        return dataset
    if not dataset.query_matters:
        message = "no query to explain: the examples have none, or all the same, which no model is given"
        raise InputError(Fault.of(message, dataset.source))
    note = "queries are explained too: agreement is of the words of documents, where annotators marked"
    return replace(dataset, explains_queries=True, notes=(*dataset.notes, note))


def _made_of(
    dataset: Dataset, examples: Sequence[Example], settings: EvaluateSettings, hashes: tuple[str, str]
) -> dict[str, Any]:
    """Return all that a run's numbers depend on: settings as they are, what is read by its content."""
    asked = {k: v for k, v in as_record(settings).items() if k not in ("model", "dense")}
    of = {**asked, "content_of_model": hashes[0], "content_of_dense": hashes[1]}
    of |= {"content_of_data": content_of_examples(dataset, examples)}
    return of | codes_of(settings.methods)


def check_asked(
    classifier: TextClassifier,
    settings: AttributionSettings,
    threshold: float = THRESHOLD,
    name: str | None = None,
) -> None:
    """Refuse settings that do not fit what the classifier of that name answers, or how it can be asked."""
    check_explain(settings.explain, classifier.head)
    if HEADS[classifier.head].kind != "labels" and threshold != THRESHOLD:
        raise InputError(Fault.of(f"a threshold ({threshold:g}) applies to multi-label models only", name))
    if settings.replace == "mask" and classifier.encoder.mask_id is None:
        of_text = "masking words needs a text to put in their place (--mask)"
        of_model = "masking words needs a mask token, which the tokenizer lacks"
        raise InputError(Fault.of(of_text if classifier.opaque else of_model, name))


def evaluate(  # noqa: PLR0913 (what a run is made of)
    classifier: TextClassifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: TextClassifier | None = None,
    overwrite: bool = False,
    imports: Imports = NO_IMPORTS,
) -> Evaluation:
    """Run every method on the split, reusing the parts of an earlier run in `folder/parts`; see `plan`.

    All of it is held in memory; `plan(…).batches()` is not.

    Args:
        classifier: the model whose answers are scored, and that `survivors` explains.
        dataset: the data set, with annotators' rationales.
        settings: split, methods, budgets, how words are erased.
        folder: where parts are written.
        dense: what attention and gradient methods explain; default the classifier with nothing removed.
        overwrite: replace the parts of another model or other settings.
        imports: explanations computed elsewhere.
    """
    planned = plan(classifier, dataset, settings, folder, dense, overwrite, imports)
    return joined(list(planned.batches()))


def chosen(examples: Sequence[Example], settings: EvaluateSettings) -> Sequence[Example]:
    """Return the first `limit` examples, or a random `sample`, in their order; all if there are fewer.

    With one seed a smaller sample is part of a larger one.
    """
    if settings.sample is None:
        return examples if settings.limit is None else examples[: settings.limit]
    order = ((seed_of(settings.seed, f"sample:{e.id}"), i) for i, e in enumerate(examples))
    return [examples[i] for i in sorted(i for _, i in nsmallest(settings.sample, order))]


def _depth(classifier: Any) -> int:
    """Return the number of layers of a model that drops tokens; of others nothing is counted by layer."""
    from rationale.attribution.survivors import n_layers

    return int(n_layers(classifier)) if drops_tokens(classifier) else 0


def _human_share(dataset: Dataset, split: str, unit: Unit) -> tuple[float, tuple[str, ...]]:
    """Return the mean human share on train (else val, else the split), and a note that says so."""
    of = "" if unit == "word" else " of sentences"
    for name in ("train", "val", split):
        if name in dataset.splits and not np.isnan(share := dataset.human_share(name, unit == "sentence")):
            return share, (f"budget ratio: mean human share {share:.4f}{of} on {name}",)
    return 0.2, ("budget ratio: 0.2, as no split has human evidence",)
