"""The batches of a run, one after another → the numbers behind its tables, pages and files, in one pass.

Nothing that grows with the number of examples stays in memory: columns go to per_example.parquet, official
predictions to their files. Of the examples themselves only those worth a look are kept; all, where the data
have single annotators or communities (rationale/report/annotators.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from eraser.data.official_records import add_predictions
from eraser.files.whole import whole
from eraser.metrics.agreement import MetricColumns
from eraser.metrics.table import defined, rows_of
from eraser.types import Kind
from rationale.evaluation.disagreement import MIN_WORDS, Found, furthest_apart, furthest_from_annotators
from rationale.evaluation.per_example import (
    DELTA,
    MODEL,
    NO_BUDGET,
    TAU,
    per_example_metrics,
    per_example_times,
)
from rationale.evaluation.plan import Evaluation, joined
from rationale.evaluation.savings import ComputeSavings
from rationale.evaluation.stored.columns import PER_EXAMPLE, TIMES, ColumnMap, ColumnsFile, ColumnsWriter, Key
from rationale.settings import EvaluateSettings
from rationale.text.windows import note_in_part

N_EXAMPLES, N_WRONG = 3, 10  # of each kind; of wrong predictions
NotableExample = tuple[
    float | None, dict[str, Any]
]  # why an example is worth a look, and what the page shows of it


@dataclass
class NotableExamples:
    """The examples worth a look, so far."""

    far: list[NotableExample] = field(default_factory=list)
    apart: list[NotableExample] = field(default_factory=list)
    marked: list[NotableExample] = field(default_factory=list)
    wrong: list[NotableExample] = field(default_factory=list)
    n_wrong: int = 0

    def add(self, evaluation: Evaluation, columns: Mapping[Key, list[MetricColumns]]) -> None:
        """Look through some more."""
        names = evaluation.settings.methods
        methods = [m for m in names if m != "random"] or list(names)
        precision = {m: columns["average_precision", NO_BUDGET, m] for m in methods}
        pairs = [columns[TAU, other, one] for one, other in combinations(methods, 2)]
        sizes = [item.truth.n_words for item in evaluation.items]
        marked = [i for i, item in enumerate(evaluation.items) if item.truth.spans]

        def notable(found: Sequence[Found]) -> list[NotableExample]:
            return [(number, _example(evaluation, precision, i, number)) for i, number in found]

        self.far = _lowest(self.far + notable(furthest_from_annotators(list(precision.values()), N_EXAMPLES)))
        self.apart = _lowest(self.apart + notable(furthest_apart(pairs, sizes, N_EXAMPLES)))
        first = [(None, _example(evaluation, precision, i, None)) for i in marked[:N_EXAMPLES]]
        self.marked = (self.marked + first)[:N_EXAMPLES]
        wrong = _wrong(evaluation, columns)
        self.n_wrong += len(wrong)
        self.wrong = sorted(self.wrong + notable(wrong[:N_WRONG]), key=lambda pair: -(pair[0] or 0.0))[
            :N_WRONG
        ]

    def sections(self) -> list[dict[str, Any]]:
        """The examples by why they are worth a look: title, what the number is, examples."""
        told = (
            (
                "Where methods and human rationales disagree most",
                "Average precision, mean of all methods except random; lowest first",
                self.far,
            ),
            (
                "Where methods disagree most with each other",
                f"Kendall's τ-b, mean of all pairs of methods except random; lowest first, "
                f"texts of {MIN_WORDS} words or more",
                self.apart,
            ),
            ("First examples", "The first with human evidence", self.marked),
            (
                "Wrong predictions",
                f"{self.n_wrong} in all; with the highest probability of a label, highest first",
                self.wrong,
            ),
        )
        return [{"title": t, "number": n, "examples": [e for _, e in found]} for t, n, found in told]


def _wrong(evaluation: Evaluation, columns: Mapping[Key, list[MetricColumns]]) -> list[Found]:
    """Return the wrong predictions with how sure the model was, surest first; none where a number is told."""
    known = columns.get(("accuracy", NO_BUDGET, MODEL), [])
    predictions = evaluation.predictions[evaluation.settings.methods[0], evaluation.budgets[0]]
    found = [
        (i, float(max(predictions[i].probs.values())))
        for i, column in enumerate(known)
        if column is not None and not column[0]
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _lowest(found: list[NotableExample]) -> list[NotableExample]:
    return sorted(found, key=lambda pair: pair[0] or 0.0)[:N_EXAMPLES]


def _example(
    evaluation: Evaluation, precision: Mapping[str, list[MetricColumns]], index: int, number: float | None
) -> dict[str, Any]:
    """Return one example as the page shows it, one row per method with its average precision."""
    item, first = evaluation.items[index], next(iter(precision))
    return {
        "item": item,
        "number": number,
        "predicted": evaluation.predictions[first, evaluation.budgets[0]][index].label,
        "rows": [
            (
                method,
                None if (row := of_method[index]) is None else row[0],
                marked_words(evaluation, method, index),
            )
            for method, of_method in precision.items()
        ],
    }


def marked_words(evaluation: Evaluation, method: str, index: int) -> list[tuple[str, str]]:
    """Return (words, hit | missed | extra | '') of one example, annotators against the method.

    Words after one another that are alike stand together.
    """
    item = evaluation.items[index]
    selected = evaluation.predictions[method, evaluation.budgets[0]][index].rationale
    kinds = {(True, True): "hit", (True, False): "missed", (False, True): "extra", (False, False): ""}
    marks = [kinds[bool(g), bool(p)] for g, p in zip(item.truth.gold, selected, strict=True)]
    text, places = item.text.plain
    alike = groupby(zip(places, marks, strict=True), key=lambda pair: pair[1])
    runs = ((kind, [place for place, _ in pairs]) for kind, pairs in alike)
    return [(text[there[0][0] : there[-1][1]], kind) for kind, there in runs]


class Official(ExitStack):
    """The official prediction file of each method, for the examples that have human evidence.

    The official scorer counts a prediction for any other example as wrong, and has no use for an empty file.
    Its format knows one label a text: of a model that gives several, or a number, there are no files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.files: dict[str, TextIO] = {}

    def add(self, evaluation: Evaluation) -> None:
        """Write the predictions of some more examples."""
        marked = [i for i, item in enumerate(evaluation.items) if item.truth.spans]
        for method in evaluation.settings.methods if marked and evaluation.kind == "class" else ():
            of_method = evaluation.predictions[method, evaluation.budgets[0]]
            add_predictions(self._file(method), ((evaluation.items[i].text, of_method[i]) for i in marked))

    def _file(self, method: str) -> TextIO:
        if method not in self.files:
            path = self.enter_context(whole(self.folder / f"{method}.jsonl"))
            self.files[method] = self.enter_context(path.open("w", encoding="utf-8"))
        return self.files[method]


@dataclass(frozen=True)
class RunSummary:
    """A run's results, except for the tables made from its columns."""

    settings: EvaluateSettings
    budgets: tuple[str, ...]
    counts: Mapping[str, int]
    device: str
    notes: tuple[str, ...]
    columns: ColumnsFile
    times: ColumnsFile
    sections: list[dict[str, Any]]
    kept: Evaluation | None
    kind: Kind = "class"


@dataclass
class _Totals:
    """What the batches so far say beside their columns; `batches` where they are wanted too."""

    counts: Counter[str] = field(default_factory=Counter)
    words_in_part: int = 0
    told: Counter[str] = field(default_factory=Counter)
    devices: set[str] = field(default_factory=set)
    savings: ComputeSavings | None = None
    batches: list[Evaluation] = field(default_factory=list)

    def add(self, batch: Evaluation, keep: bool) -> None:
        """Add one more batch."""
        self.counts.update(_counts(batch))
        self.words_in_part += batch.words_in_part
        self.told.update(batch.counts)
        self.devices |= batch.devices
        if self.savings is None or batch.savings is None:
            self.savings = batch.savings
        else:
            self.savings += batch.savings
        self.batches += [batch] if keep else []

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the counts, and what was saved."""
        n = self.counts["examples"]
        counted = (f"{what} in {found} of {n} examples" for what, found in self.told.items() if found)
        saved = self.savings.notes if self.savings else ()
        return (*note_in_part(self.words_in_part), *counted, *saved)


def collect(batches: Iterable[Evaluation], folder: Path, keep: bool) -> RunSummary:
    """Write the columns and the official predictions of all batches; return what else they say.

    Args:
        batches: of one run, at least one.
        folder: where files go.
        keep: whether the batches themselves are wanted too (as `kept`).
    """
    notable, totals = NotableExamples(), _Totals()
    with (
        whole(folder / PER_EXAMPLE) as path,
        ColumnsWriter(path) as writer,
        whole(folder / TIMES) as times_path,
        ColumnsWriter(times_path) as times,
        Official(folder / "predictions") as official,
    ):
        for batch in batches:
            columns = per_example_metrics(batch)
            ids = [item.example.id for item in batch.items]
            writer.add(ids, columns)
            times.add(ids, per_example_times(batch))
            official.add(batch)
            notable.add(batch, columns)
            totals.add(batch, keep)
    found, last = ColumnsFile(folder / PER_EXAMPLE), batch
    explained = "number" if last.kind == "value" else last.settings.explain
    return RunSummary(
        settings=last.settings,
        budgets=last.budgets,
        counts=totals.counts,
        device="; ".join(sorted(totals.devices)),
        notes=(*last.notes, *totals.notes(), *convergence_notes(found, explained)),
        columns=found,
        times=ColumnsFile(folder / TIMES),
        sections=notable.sections(),
        kept=joined(totals.batches) if totals.batches else None,
        kind=last.kind,
    )


def _counts(evaluation: Evaluation) -> dict[str, int]:
    return {
        "examples": len(evaluation.items),
        "with_human_evidence": sum(bool(i.truth.spans) for i in evaluation.items),
        "words": sum(i.truth.n_words for i in evaluation.items),
        "words_unread": evaluation.words_unread,
    }


def convergence_notes(columns: ColumnMap, explain: str) -> tuple[str, ...]:
    """Return notes on the distance between the scores of complete methods and their expected sum."""
    notes = []
    for name, at, method in columns:
        if name != DELTA:
            continue
        deltas = rows_of(columns[name, at, method])
        if (known := deltas[defined(deltas)]).size:
            median = np.median(known)
            notes.append(
                f"{method}: scores miss what they should sum to by {median:.2g} (median, of the {explain})"
            )
    return tuple(notes)
