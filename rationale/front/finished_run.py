"""Evaluate a classifier's explanations, and set runs side by side: the same flow as the commands.

plan → compute → collect → report: the plan lists what a run consists of, the runner computes it in parts, the
parts are collected into tables, and the report is written from these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shutil import copy2, rmtree
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

import pandas as pd
from matplotlib.figure import Figure

from eraser import Dataset, Fault, InputError
from eraser.errors import short_repr, strings_of
from eraser.files.content import content_of_examples
from eraser.progress import progress
from rationale.evaluation.choices import DEFAULT, choose
from rationale.evaluation.collect import RunSummary, collect
from rationale.evaluation.plan import Plan, plan
from rationale.explanations.of_run import Given, Missing, read_imports
from rationale.front import tables
from rationale.front.by_layer import ranking_by_layer, ranking_figure
from rationale.front.explanations import OF_MODELS
from rationale.front.given import known_settings, loaded, name_of, named_dataset
from rationale.front.notable import ShownExamples, examples_of
from rationale.heads import HEADS
from rationale.hf.memory import keep_freed_memory
from rationale.report.annotators import annotator_tables, has_annotators_or_groups
from rationale.report.figures import FIGURES
from rationale.report.plots import groups, new_figure
from rationale.report.several.compare import COMPARED, Comparison, compared_runs
from rationale.report.several.runs import StoredRun, read_run
from rationale.report.summary import Tables
from rationale.report.verdict import Sentences, details, verdict
from rationale.report.write import content_of_split, found_tables, run_facts, stands_on, write_run
from rationale.settings import EvaluateSettings, Explain
from rationale.trusting.inside import inside_of

AGAINST = ("average_precision", "aopc_comprehensiveness", "aopc_sufficiency")
OF_LABELS = ("accuracy", "average_precision")


class Scratch:
    """A folder that is deleted with this object, or when the process ends."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="rationale-"))
        finalize(self, rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True)
class FinishedRun:
    """A finished evaluation: its tables, figures and sentences, and its report on demand.

    `left_out` has one line for each method that did not fit the model.
    """

    plan: Plan
    left_out: tuple[str, ...]
    _plan_in: Callable[[Path, bool], Plan] = field(repr=False)
    _scratch: Scratch = field(repr=False)

    @cached_property
    def _summary(self) -> RunSummary:
        data = self.plan.dataset
        return collect(self.plan.batches(), self._scratch.path / "collected", has_annotators_or_groups(data))

    @cached_property
    def _tables(self) -> Tables:
        return found_tables(self._summary)

    @property
    def scores(self) -> pd.DataFrame:
        """One row per metric, budget and method, with its interval, n and unit."""
        return self._tables.scores

    @property
    def paired(self) -> pd.DataFrame:
        """One row per metric and pair of methods: the difference, its interval, whether that holds 0."""
        return self._tables.paired

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader of the numbers."""
        return self._summary.notes

    @property
    def basis(self) -> str:
        """The facts behind the numbers: data, examples, words not read, the model's accuracy, settings."""
        return stands_on(self.scores, run_facts(self._summary))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the run, in their order."""
        return tuple(self.plan.run.settings.methods)

    @property
    def method_agreement(self) -> pd.DataFrame:
        """One row per pair of methods: mean Kendall's τ-b between their word rankings, with its interval."""
        return self._tables.agreement

    @cached_property
    def inside(self) -> pd.DataFrame:
        """Whether the model knows the texts of comprehensiveness and sufficiency: p of the first texts.

        Empty where that cannot be told, as of a function, or of data without other splits.
        """
        return inside_of(self.plan)[0]

    @cached_property
    def annotators(self) -> dict[str, pd.DataFrame]:
        """Tables for data with several annotators or with communities; empty for other data.

        See `rationale.report.annotators`: fairness, annotators, hatexplain_protocol.
        """
        found = self._summary.kept
        return {} if found is None else annotator_tables(found, self.plan.dataset)

    def table(self, *metrics: str) -> pd.DataFrame:
        """Return methods × metrics as texts: value, 95 % interval, n; an arrow says which way is better.

        Raises:
            InputError: the run has no value of a metric.
        """
        return tables.with_intervals(self.scores, metrics, self._summary.budgets[0])

    def against(self, other: str = "random", *metrics: str) -> pd.DataFrame:
        """Return each method's paired difference to another method, and whether it is better, worse or a tie.

        Args:
            other: a method of the run.
            metrics: of those whose differences are tested; default average precision and AOPC.

        Raises:
            InputError: there is no such method, or metric.
        """
        return tables.against(self.paired, other, metrics or AGAINST, self._summary.budgets[0])

    def by_label(self, *metrics: str) -> pd.DataFrame:
        """Return one row per label, metric and method, on that label's examples alone, with intervals."""
        run, asked = self._summary, metrics or OF_LABELS
        kind = HEADS[self.plan.run.classifier.head].kind
        return tables.by_label(
            run.columns, self.plan.examples, asked, run.budgets[0], run.settings.seed, kind
        )

    def by_example(self, metric: str) -> pd.DataFrame:
        """Return one row per example and method that has a value; `tau` is between two methods."""
        return tables.by_example(self._summary.columns, self.plan.examples, metric, self._summary.budgets[0])

    def by_layer(self) -> pd.DataFrame:
        """Return average precision after each layer of the survivors' ranking, and of the other methods'."""
        return self._by_layer

    @cached_property
    def _by_layer(self) -> pd.DataFrame:
        return ranking_by_layer(self.plan.batches(), self.methods, self.plan.run.settings.seed)

    def examples(self, which: str = "annotators", size: int = 1) -> ShownExamples:
        """Return where methods disagree most with `annotators` or other `methods`, or the `first` examples.

        `wrong` are the wrong predictions with the highest probability.

        Raises:
            InputError: another word.
        """
        return examples_of(self._summary.sections, which, size, self._summary.budgets[0])

    def plot(self, figure: str = "tradeoff") -> Figure:
        """Return a figure of FIGURES (agreement, tradeoff, cost, faithfulness, methods, layers) or OTHERS.

        Those are `labels`, accuracy and average precision for each label, and `ranking_by_layer`.

        Raises:
            InputError: there is no such figure, or the run has nothing to show in it.
        """
        if figure not in FIGURES and figure not in OTHERS:
            raise InputError(Fault(f"a figure of {', '.join((*FIGURES, *OTHERS))}", short_repr(figure)))
        if figure in FIGURES:
            drawn = FIGURES[figure].make(self._tables, self._summary.budgets[0])
        else:
            drawn = OTHERS[figure](self)
        if drawn is None:
            raise InputError(Fault.of(f"this run has nothing to show in {figure!r}"))
        return drawn

    def verdict(self) -> Sentences:
        """Return three sentences: what to show people, what the model used, what not to use or the cost."""
        return Sentences(verdict(self.scores, self.paired))

    def details(self) -> Sentences:
        """Return what else the tables say: how right the model is, who leads on each metric, the cost."""
        return Sentences(details(self.scores, self.paired, self._summary.budgets[0]))

    def report(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run's folder as `rationale evaluate` does; return its report.html.

        Args:
            folder: where it goes.
            overwrite: whether other work of this suite there makes room.

        Raises:
            InputError: the folder holds something else.
        """
        here = Path(folder).resolve() == self.plan.run.folder.parent.resolve()
        planned = self.plan if here else self._plan_in(Path(folder), overwrite)
        if planned is not self.plan:
            parts = planned.run.folder
            parts.mkdir(parents=True, exist_ok=True)
            for file in sorted(self.plan.run.folder.glob("*.parquet")):
                copy2(file, parts / file.name)
        write_run(planned.batches(), planned.dataset, Path(folder))
        return Path(folder) / "report.html"

    def stored(self, name: str) -> StoredRun:
        """Return the run as comparisons read one."""
        dataset = self.plan.dataset
        content = content_of_examples(dataset, self.plan.examples)
        whole = {"content_of_split": content_of_split(dataset, self._summary.settings.split)}
        return StoredRun(name, run_facts(self._summary) | whole, self._summary.columns, content)


def _labels_figure(run: FinishedRun) -> Figure:
    """Return accuracy and average precision for each label."""
    figure, (axes,) = new_figure(1, width=6.4)
    groups(axes, tables.labels_table(run.by_label()))
    return figure


def _ranking_figure(run: FinishedRun) -> Figure | None:
    """Return average precision by layer; None without survivors."""
    return None if run.by_layer().empty else ranking_figure(run.by_layer())


OTHERS: dict[str, Callable[[FinishedRun], Figure | None]] = {  # figures that the report does not have
    "labels": _labels_figure,
    "ranking_by_layer": _ranking_figure,
}


def evaluate(  # noqa: PLR0913 (a setting each)
    model: Any = None,
    dataset: str | Path | Mapping[str, str | Path] | Dataset = "sample",
    methods: str | Sequence[str] = DEFAULT,
    *,
    budget: str | Sequence[str] = (),
    split: str = "test",
    limit: int | None = None,
    sample: int | None = None,
    dense: Any = None,
    explain: Explain | None = None,
    labels: Sequence[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    explanations: Given | Sequence[Given] = (),
    explanations_missing: Missing = "refuse",
    **settings: Any,
) -> FinishedRun:
    """Score methods against human rationales and the model itself, as `rationale evaluate` does.

    Args:
        model: what `load` takes, or returned; default the shipped model of film reviews.
        dataset: what `load_data` takes, or returned; but a single file of rows is read whole as `split`.
        methods: `default`, `all`, or names of METHODS.
        budget: rationale lengths (`ratio`, `gold`, `top=5`, …), the first leads; default those that suit.
        split: that is evaluated.
        limit: only the first examples.
        sample: a random sample of that size, drawn with `seed`.
        dense: the model that attention and gradients explain where `model` drops tokens; as `model`.
        explain: logit, probability or margin of the class; default what is usual for such a model.
        labels: names of the model's answers in order, where it does not know them.
        out: the run's folder; an interrupted run there is resumed. Default: a temporary one.
        overwrite: whether other work of this suite in `out` makes room.
        explanations: made elsewhere, a row each: what `from_scores` gives, or files.
        explanations_missing: `refuse` examples without such, or `skip` them, for all methods.
        settings: other fields of EvaluateSettings, such as `ig_steps`, `seed`, `precision`, `target`.

    Raises:
        InputError: something does not fit, a fault each.
    """
    keep_freed_memory()
    methods = methods if isinstance(methods, str) else strings_of("methods", methods)
    how = {name: settings.pop(name) for name in OF_MODELS if name in settings}
    classifier, read = loaded(model, labels, how)
    explained = None if dense is None else loaded(dense, labels, how)[0]
    data = dataset if isinstance(dataset, Dataset) else named_dataset(dataset, split)
    given = {"split": split, "limit": limit, "sample": sample, **read, **settings}
    given |= {
        "dataset": data.name,
        "model": name_of(model),
        "dense": None if dense is None else name_of(dense),
    }
    budgets = strings_of("budget", budget)
    asked, imports = (
        EvaluateSettings(**known_settings(given)),
        read_imports(explanations, explanations_missing),
    )
    choices = choose(asked, classifier, explained, methods, budgets, explain, imports)
    scratch = Scratch()

    def plan_in(folder: Path, overwrite: bool) -> Plan:
        return plan(classifier, data, choices.settings, folder, explained, overwrite, imports)

    planned = plan_in(scratch.path / "run" if out is None else Path(out), overwrite)
    for number in progress(range(len(planned)), "evaluate", "chunk"):
        planned.compute(number)
    return FinishedRun(planned, choices.left_out, plan_in, scratch)


def compare(
    one: FinishedRun | str | Path,
    other: FinishedRun | str | Path,
    *more: FinishedRun | str | Path,
    metrics: Sequence[str] = COMPARED,
    seed: int = 0,
) -> Comparison:
    """Set runs side by side on the examples they share, with paired differences.

    Args:
        one: a run, or the folder of one.
        other: another of the same data set and split.
        more: others.
        metrics: of METRICS.
        seed: of the intervals' resamples.

    Raises:
        InputError: they cannot be compared.
    """
    given = (one, other, *more)
    names = _names(given)
    runs = [
        run.stored(name) if isinstance(run, FinishedRun) else read_run(Path(run))
        for run, name in zip(given, names, strict=True)
    ]
    return compared_runs(runs, metrics, seed)


def _names(runs: Sequence[FinishedRun | str | Path]) -> list[str]:
    """Return a name for each run, no two alike: its folder, or its model, numbered where several share it."""
    names = [Path(r.plan.run.settings.model).name if isinstance(r, FinishedRun) else str(r) for r in runs]
    return [f"{n} ({i})" if names.count(n) > 1 else n for i, n in enumerate(names, start=1)]
