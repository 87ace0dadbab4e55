"""What the pages about annotators and errors ask for: whose rationales, of which examples, how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from eraser import Example, Fault, InputError
from rationale.heads import HEADS
from rationale.settings import OF_KIND, targets_of
from rationale.templates.names import budget_name
from rationale.text_classifier import labelled_as
from rationale_viewer.compute import cached
from rationale_viewer.compute.agreement import (
    AS_STORED,
    BUDGET_SIZES,
    RationaleSpec,
    ScoredExample,
    budgets_of,
)
from rationale_viewer.compute.explain import GOLD, PREDICTED
from rationale_viewer.compute.speed import spread
from rationale_viewer.compute.stored import origin_of, stored_methods
from rationale_viewer.session.opened import Session, short_names
from rationale_viewer.session.state import stamp
from rationale_viewer.view.show import say_left_out
from rationale_viewer.view.wording import method_name

LIVE = "the open model"
AT_ONCE = 100  # examples judged without being asked to
SIZES = (25, AT_ONCE, 250, 1000, 5000)


@dataclass(frozen=True)
class RationaleChoice:
    """Which rationales to show, for which class (PREDICTED, GOLD or a label), of which examples, from where.

    `share` tells how many examples of all.
    """

    method: str
    target: str
    examples: tuple[Example, ...]
    judged: Callable[[], list[ScoredExample]]
    origin: str
    share: str

    @property
    def explained(self) -> str:
        """The class that the scores speak for, in words."""
        return _class(self.target)


def asked(opened: Session, more_says: str) -> tuple[RationaleChoice, DeltaGenerator]:
    """Return what is to be shown, of the open model or of a run, and the box of what is asked for less."""
    top = st.container(key="controls").columns([3, 3, 5], gap="medium")
    more = st.expander(more_says, icon=":material/filter_list:")
    return _asked(opened, [*top, *more.container(key="controls-more").columns(3, gap="medium")]), more


def _asked(opened: Session, columns: Sequence[DeltaGenerator]) -> RationaleChoice:
    """Ask in six places, of which three lead."""
    runs = {n: p for n, p in short_names(list(opened.runs)).items() if stored_methods(Path(p))}
    runs = {f"run {name}": path for name, path in runs.items()}
    source = columns[0].selectbox(
        "Rationales from", [LIVE, *runs], key="source", bind="query-params",
        help="A run keeps the rationales that `rationale evaluate` computed: slow methods cost nothing here.",
    )  # fmt: skip
    if source in runs:
        return _asked_of_run(opened, source, Path(runs[source]), columns)
    return _asked_of_model(opened, columns)


def _asked_of_model(opened: Session, columns: Sequence[DeltaGenerator]) -> RationaleChoice:
    """Ask for what the open model says."""
    data, classifier = opened.data.dataset, opened.held.classifier
    labelled_as(classifier, data.labels, opened.model_name)
    methods, left_out = cached.fits(opened.held)
    say_left_out(left_out)
    method = columns[1].selectbox(
        "Rationale by", methods, key="method", bind="query-params", format_func=method_name
    )
    target = columns[3].selectbox(
        "Class explained", targets_of(classifier.labels, *OF_KIND[HEADS[classifier.head].kind]), key="class",
        bind="query-params",
        help="The class that is explained: the predicted one, the annotators' (gold), or one you choose.",
    )  # fmt: skip
    splits = [s for s, examples in data.splits.items() if examples]
    first = splits.index("test") if "test" in splits else 0
    split = columns[4].selectbox("Split", splits, index=first, key="split", bind="query-params")
    budget = columns[2].selectbox(
        "Size of a rationale", budgets_of(method), key="budget", format_func=budget_name,
        persist_state="session", help="How many words: as annotators marked, or a share of the text.",
    )  # fmt: skip
    size = _size(columns[5], len(data.splits[split]))
    how = RationaleSpec(method, budget, target)
    origin = f"Computed by {opened.model_name}, for {_class(target)}."
    judged = partial(_judged, opened, split, how, size)
    all_of_split = data.splits[split]
    share = share_of_split(size, len(all_of_split), split)
    return RationaleChoice(method, target, spread(all_of_split, size), judged, origin, share)


def _asked_of_run(
    opened: Session, source: str, folder: Path, columns: Sequence[DeltaGenerator]
) -> RationaleChoice:
    """Ask for what a run holds."""
    files, origin, dataset = stored_methods(folder), origin_of(folder), opened.data.dataset
    method = columns[1].selectbox("Rationale by", list(files), key="method", bind="query-params",
                                  format_func=method_name)  # fmt: skip
    columns[3].selectbox("Class explained", [origin.target], disabled=True, help="As the run was made.")
    file = files[method]
    at = stamp(file)
    try:
        stored = cached.stored(str(file), at, opened.data)
    except InputError as error:
        message = f"the run is on {origin.texts}, which does not fit the open data set {dataset.name}"
        first = Fault.of(message, folder)
        raise InputError(first, *error.faults) from None
    columns[4].selectbox("Split", [stored.split], disabled=True, help="As the run was made.")
    of_run = f"as in the run: {budget_name(origin.budget, (), origin.unit)}"
    budget = columns[2].selectbox(
        "Size of a rationale", (AS_STORED, *BUDGET_SIZES), key="stored-budget", persist_state="session",
        format_func=lambda b: of_run if b == AS_STORED else budget_name(b),
    )  # fmt: skip
    of_split = dataset.splits[stored.split]
    there = [e for e in of_split if e.id in stored.predictions]
    size = _size(columns[5], len(there))
    judged = partial(cached.stored_judged, str(file), at, opened.data, budget, size)
    says = f"Stored in {source}: computed by {origin.model}, for {_class(origin.target)}."
    if len(there) < len(of_split):
        says += f" The run keeps {len(there)} of {len(of_split)} examples: only those with annotators' marks."
    share = share_of_split(size, len(there), f"{stored.split} that the run keeps")
    return RationaleChoice(method, origin.target, spread(there, size), judged, says, share)


def share_of_split(size: int, n: int, split: str) -> str:
    """Return in words which of a split's n examples are looked at.

    >>> share_of_split(100, 199, "test"), share_of_split(20, 20, "val")
    ('100 of the 199 examples of test, spread over the split', 'all 20 examples of val')
    """
    if size < n:
        return f"{size} of the {n} examples of {split}, spread over the split"
    return f"all {n} examples of {split}"


def _class(target: str) -> str:
    each = {PREDICTED: "the predicted class", GOLD: "the class that annotators gave"}
    return each.get(target, f"the class {target}")


def _size(column: DeltaGenerator, n: int) -> int:
    """Return how many of n examples."""
    sizes = [s for s in SIZES if s < n] + [n]
    return column.selectbox(
        "Examples", sizes, index=sizes.index(min(n, AT_ONCE)),
        format_func=lambda s: f"{s}, spread over the split" if s < n else f"all {n}",
        help="How many are read and judged: filters and orders look at these.",
    )  # fmt: skip


def _judged(opened: Session, split: str, how: RationaleSpec, size: int) -> list[ScoredExample]:
    """Judge in small steps, so that the page says how far it is and others get their turn."""
    steps = range(0, size, cached.STEP)
    found: list[ScoredExample] = []
    bar = None
    for start in steps:
        found += cached.judged(opened.held, opened.data, split, how, size, start)
        if len(steps) > 1 and start + cached.STEP < size:
            bar = bar or st.empty()
            bar.progress((start + cached.STEP) / size, f"{start + cached.STEP} of {size} examples read")
    if bar is not None:
        bar.empty()
    return found[:size]
