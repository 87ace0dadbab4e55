"""What was computed, kept by content for all sessions: the same text on the same model is computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from rationale.attribution import METHODS
from rationale.settings import ErasureMode
from rationale_viewer.compute.agreement import (
    RationaleSpec,
    ScoredExample,
    judged_of,
    resized,
    score_examples,
)
from rationale_viewer.compute.edits import Flip, alike, masked_scores, minimal_flip
from rationale_viewer.compute.explain import (
    SLOW,
    Given,
    ModelReading,
    Scored,
    Times,
    after_removal,
    read,
    score,
    score_anew,
    suited,
    text_of,
    times_of,
)
from rationale_viewer.compute.opening import first_right
from rationale_viewer.compute.speed import layer_shares, measure_speed, spread
from rationale_viewer.compute.stored import Stored, read_stored
from rationale_viewer.session.runs import RunTables, read_run
from rationale_viewer.session.state import AS_TRAINED, LoadedData, LoadedModel, Stamp

BY_CONTENT: dict[Any, Any] = {LoadedModel: lambda held: held.key, LoadedData: lambda data: data.key}
STEP = 8  # examples judged at once
ENTRIES = 256
COST_ROUNDS = 3


@st.cache_resource(hash_funcs=BY_CONTENT, show_spinner="Finding out which methods fit this model …")
def fits(held: LoadedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods that fit a model, and a line for each that does not."""
    return suited(held)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Choosing an example …")
def opening(held: LoadedModel, data: LoadedData, ids: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what a session opens on."""
    return first_right(held, data.dataset, ids)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def titles(data: LoadedData, ids: tuple[str, ...], _titles: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return how the examples of a data set are listed."""
    return _titles()


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def suggestions(held: LoadedModel, word: str) -> tuple[str, ...]:
    """Return words to put in the place of one."""
    return alike(held, word)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Looking for the fewest words …")
def flip(held: LoadedModel, given: Given, how: ErasureMode, dial: float) -> Flip | None:
    """Return the fewest words found whose removal changes the class."""
    return minimal_flip(held, reading(held, given, dial), how, dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Reading …")
def reading(held: LoadedModel, given: Given, dial: float) -> ModelReading:
    """Return what a model says of a text at a dial."""
    return read(held, text_of(*given), dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def times(held: LoadedModel, given: Given, dial: float) -> Times:
    """Return how long the layers took, measured once for each text and dial."""
    return times_of(held, reading(held, given, dial), dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=16 * ENTRIES, show_spinner="Computing …")
def _scored(held: LoadedModel, given: Given, label: str, dial: float, method: str) -> Scored:
    return score(held, reading(held, given, dial), [method], dial, label)[method]


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def cost(held: LoadedModel, given: Given, label: str, dial: float, method: str) -> float:
    """Return the milliseconds that a method takes once all is warm: the fastest of several calls."""
    found = reading(held, given, dial)
    at = dial if METHODS[method].adaptive else AS_TRAINED
    runs = (score_anew(held, found, [method], at, label)[method] for _ in range(COST_ROUNDS))
    return min(run.milliseconds for run in runs)


def scored(held: LoadedModel, given: Given, label: str, dial: float, *methods: str) -> dict[str, Scored]:
    """Return the methods' scores, each computed when it is first asked for; the dial is of a model's own."""
    dials = {m: dial if METHODS[m].adaptive else AS_TRAINED for m in methods}
    return {m: _scored(held, given, label, at, m) for m, at in dials.items()}


@st.cache_resource(hash_funcs=BY_CONTENT, show_spinner="Warming up …")
def warmed(held: LoadedModel) -> bool:
    """Explain a word, so that what libraries load at first use is there before a reader waits for it."""
    warm = read(held, text_of(["warm"]), AS_TRAINED)
    score(held, warm, [m for m in fits(held)[0] if m not in SLOW], AS_TRAINED, warm.top)
    if held.adaptive:
        times_of(held, warm, AS_TRAINED)
    return True


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def without_words(
    held: LoadedModel, given: Given, out: tuple[int, ...], how: ErasureMode, dial: float
) -> dict[str, float]:
    """Return the answers to a text with words deleted or masked."""
    return after_removal(held, reading(held, given, dial), out, how, dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def masked(
    held: LoadedModel, given: Given, out: tuple[int, ...], method: str, dial: float, label: str
) -> Scored:
    """Return a method's scores of a text in which some words are masked."""
    at = dial if METHODS[method].adaptive else AS_TRAINED
    return masked_scores(held, reading(held, given, dial), out, method, at, label)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=64 * ENTRIES, show_spinner=False)
def judged(  # noqa: PLR0913 (what the examples depend on)
    held: LoadedModel, data: LoadedData, split: str, how: RationaleSpec, size: int, start: int
) -> list[ScoredExample]:
    """Return STEP of the `size` examples that are spread over a split, judged."""
    examples = spread(data.dataset.splits[split], size)[start : start + STEP]
    return score_examples(held, data.dataset, examples, how)


@st.cache_resource(hash_funcs=BY_CONTENT, max_entries=ENTRIES // 8, show_spinner="Reading the run …")
def stored(file: str, at: Stamp, data: LoadedData) -> Stored:
    """Return what a run holds of a method."""
    return read_stored(Path(file), data.dataset)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Comparing …")
def stored_judged(file: str, at: Stamp, data: LoadedData, budget: str, size: int) -> list[ScoredExample]:
    """Return `size` examples of a run's method, judged; nothing is computed by a model."""
    found, dataset = stored(file, at, data), data.dataset
    there = [e for e in dataset.splits[found.split] if e.id in found.predictions]
    chosen = spread(there, size)
    return [judged_of(dataset, e, resized(dataset, e, found.predictions[e.id], budget)) for e in chosen]


@st.cache_data(max_entries=ENTRIES, show_spinner=False)
def run(folder: str, at: Stamp) -> RunTables:
    """Return a run's tables."""
    return read_run(Path(folder))


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def speed(held: LoadedModel, data: LoadedData, split: str, size: int, dial: float) -> pd.DataFrame:
    """Return rows of the dense model and of this one at a dial, measured now."""
    return measure_speed(held, data.dataset, split, size, dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Counting …")
def shares(held: LoadedModel, data: LoadedData, split: str, size: int) -> pd.DataFrame:
    """Return where the operations of a text go, layer by layer."""
    return layer_shares(held, data.dataset, split, size)
