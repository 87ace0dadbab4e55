"""What was computed, kept by content for all sessions: the same text on the same model is computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.explain import SLOW, Reading, Scored, after_removal, methods_of, read, score, text_of
from app.judge import Judged, judge
from app.runs import Run, read_run
from app.speed import layer_shares, measure_speed
from app.state import AS_TRAINED, Held, HeldData, Stamp
from rationale.ablate import Removal
from rationale.attribution import METHODS

Words = tuple[str, ...]
BY_CONTENT: dict[Any, Any] = {Held: lambda held: held.key, HeldData: lambda data: data.key}
STEP = 8  # examples judged at once
ENTRIES = 256


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Reading …")
def reading(held: Held, words: Words, dial: float) -> Reading:
    """Return what a model says of a text at a dial."""
    return read(held, text_of(words), dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Computing …")
def _of_dial(held: Held, words: Words, label: str, dial: float) -> dict[str, Scored]:
    own = [m for m in methods_of(held) if METHODS[m].adaptive]
    return score(held, reading(held, words, dial), own, dial, label)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Computing …")
def _quick(held: Held, words: Words, label: str) -> dict[str, Scored]:
    quick = [m for m in methods_of(held) if not METHODS[m].adaptive and m not in SLOW]
    return score(held, reading(held, words, AS_TRAINED), quick, AS_TRAINED, label)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="This method takes a while …")
def _slow(held: Held, words: Words, label: str, method: str) -> Scored:
    return score(held, reading(held, words, AS_TRAINED), [method], AS_TRAINED, label)[method]


def scored(held: Held, words: Words, label: str, dial: float, *methods: str) -> dict[str, Scored]:
    """Return the methods' scores; all quick ones are computed together, slow ones when they are asked for."""
    known = _of_dial(held, words, label, dial) | _quick(held, words, label)
    return {m: known[m] if m in known else _slow(held, words, label, m) for m in methods}


@st.cache_resource(hash_funcs=BY_CONTENT, show_spinner="Warming up …")
def warmed(held: Held) -> bool:
    """Explain a word, so that what libraries load at first use is there before a reader waits for it."""
    words = ("warm",)
    _quick(held, words, reading(held, words, AS_TRAINED).label)
    return True


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def without_words(
    held: Held, words: Words, out: tuple[int, ...], how: Removal, dial: float
) -> dict[str, float]:
    """Return the class probabilities of a text with words deleted or masked."""
    return after_removal(held, reading(held, words, dial), out, how, dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=64 * ENTRIES, show_spinner=False)
def judged(held: Held, data: HeldData, split: str, method: str, budget: str, start: int) -> list[Judged]:
    """Return STEP examples of a split, judged."""
    examples = data.dataset.splits[split][start : start + STEP]
    return judge(held, data.dataset, examples, method, budget)


@st.cache_data(max_entries=ENTRIES, show_spinner=False)
def run(folder: str, at: Stamp) -> Run:
    """Return a run's tables."""
    return read_run(Path(folder))


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner=False)
def speed(held: Held, data: HeldData, split: str, size: int, dial: float) -> pd.DataFrame:
    """Return rows of the dense model and of this one at a dial, measured now."""
    return measure_speed(held, data.dataset, split, size, dial)


@st.cache_data(hash_funcs=BY_CONTENT, max_entries=ENTRIES, show_spinner="Counting …")
def shares(held: Held, data: HeldData, split: str, size: int) -> pd.DataFrame:
    """Return where the operations of a text go, layer by layer."""
    return layer_shares(held, data.dataset, split, size)
