"""What is to be shown of a text: the method and those beside it, the class they explain, the dial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from rationale.settings import targets_of
from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import Edits
from rationale_viewer.compute.explain import PREDICTED, Given, ModelReading, Scored
from rationale_viewer.session.state import AS_TRAINED, LoadedModel
from rationale_viewer.view import html
from rationale_viewer.view.show import say_left_out
from rationale_viewer.view.wording import COSTS, cost_of, method_name, method_says

DIALS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
MOST = 4  # methods side by side


@dataclass(frozen=True)
class ExplainChoice:
    """What to show: a method and those beside it, the class they explain (PREDICTED or a label), the dial."""

    method: str
    others: tuple[str, ...]
    target: str
    dial: float

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods shown."""
        return self.method, *self.others

    def label(self, reading: ModelReading) -> str:
        """Return the label that is explained."""
        return reading.top if self.target == PREDICTED else targets_of(list(reading.probs))[self.target]


@dataclass(frozen=True)
class Explained:
    """A text, what the model says of it, what is shown, the methods' scores, and what the reader changed."""

    held: LoadedModel
    given: Given
    reading: ModelReading
    asked: ExplainChoice
    found: Mapping[str, Scored]
    edits: Edits

    @property
    def label(self) -> str:
        """The label that is explained."""
        return self.asked.label(self.reading)

    @property
    def scored(self) -> Scored:
        """The scores of the method that leads."""
        return self.found[self.asked.method]


def asked_of(held: LoadedModel, place: DeltaGenerator, dial_place: DeltaGenerator) -> ExplainChoice:
    """Ask for methods and class in one place, for the dial in another."""
    methods, left_out = cached.fits(held)
    methods = tuple(sorted(methods, key=lambda m: list(COSTS).index(cost_of(m))))
    with place:
        columns = st.container(key="controls").columns([3, 4, 2], gap="medium")
        method = columns[0].selectbox(
            "Highlight by", methods, key="method", bind="query-params", format_func=method_name,
            help="\n".join(f"- **{cost}**: {says}" for cost, says in COSTS.items()),
        )  # fmt: skip
        others = columns[1].multiselect(
            "Compare with", [m for m in methods if m != method], key="compare", bind="query-params",
            placeholder="up to three more", wrap=True, select_all=False,
        )  # fmt: skip
        target = columns[2].selectbox(
            "Class explained", targets_of(held.classifier.labels, PREDICTED), key="class",
            bind="query-params",
            help="The class whose probability the words speak for: the one predicted, or one you choose. "
            "Methods that only rank words by use (survivors, attention) are the same for each.",
        )  # fmt: skip
        shown, left = tuple(others[: MOST - 1]), others[MOST - 1 :]
        for name in (method, *shown):
            st.html(html.note(f"{method_says(name)} Cost: {cost_of(name)}."))
        if left:
            st.warning(f"At most {MOST} methods stand side by side. Not shown: {', '.join(left)}.")
        say_left_out(left_out)
    dial = AS_TRAINED
    if held.adaptive:
        dial = dial_place.select_slider(
            "Speed dial", DIALS, AS_TRAINED, key="dial", bind="query-params",
            help="Scales the thresholds: 0 drops nothing, 1 is as trained, above 1 is faster.",
        )  # fmt: skip
    return ExplainChoice(method, shown, target, dial)
