"""Page 1: one text, which words decided, and what dropping them saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import streamlit as st
from markupsafe import Markup
from streamlit.delta_generator import DeltaGenerator

from eraser import Example, Text
from eraser.types import Kind, Mask
from eraser.words import WordCutter, cut_words, cutter_for
from rationale.budgets import share_of, top_words
from rationale.settings import THRESHOLD, ErasureMode, targets_of
from rationale_viewer.compute import cached
from rationale_viewer.compute.explain import (
    PREDICTED,
    Given,
    Layers,
    ModelReading,
    Scored,
    Times,
    text_of,
)
from rationale_viewer.session.opened import Session, may_hurt
from rationale_viewer.session.state import AS_TRAINED, LoadedModel
from rationale_viewer.view import export, html
from rationale_viewer.view.show import offer, say_left_out
from rationale_viewer.view.wording import method_name, method_says
from rationale_viewer.view.words import show_words

OWN = "your own text"
BY_ITSELF = "auto"
CUTTING = {
    BY_ITSELF: "as the text needs",
    "punctuation": "with signs apart",
    "whitespace": "between spaces",
    "characters": "single characters",
}
CUTTING_HELP = (
    "What cuts the text into words. Apart: a comma is a word of its own. Single characters: for scripts "
    "without spaces, such as Chinese, Japanese and Thai. An example of the data set keeps its words."
)
T = TypeVar("T")
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
GIGA = 1e9
MOST = 4  # methods side by side
MOST_LISTED = 2000  # words in the list of those that can be taken out
SHARE = 0.2  # of the words, as a rationale of a method that only ranks


@dataclass(frozen=True)
class ExplainChoice:
    """What to show: a method and those beside it, the class they explain (PREDICTED or a label), the dial."""

    method: str
    others: tuple[str, ...]
    target: str
    dial: float

    def label(self, reading: ModelReading) -> str:
        """Return the label that is explained."""
        return reading.top if self.target == PREDICTED else targets_of(list(reading.probs))[self.target]


def explain_page(opened: Session) -> None:
    """Draw the page: the words as soon as they have scores, then what has to be measured."""
    held = opened.held
    given = _typed(opened)
    cached.warmed(held)
    if not given.words:
        st.info("Type or paste a text, or take an example; its words are coloured by what the model used.")
        return
    text_of(*given)  # refuses one that is too long before anything is drawn
    asked, left, right = _asked(held)
    reading = cached.reading(held, given, asked.dial)
    with right:
        layer = _layer(reading)
    numbers, text = st.empty(), st.container()
    out, how = _out(given.words)
    label = asked.label(reading)
    found = cached.scored(held, given, label, asked.dial, asked.method, *asked.others)
    after = cached.without_words(held, given, out, how, asked.dial) if out else None
    with left:
        _prediction(reading, after, len(out), how, label)
    if reading.layers is not None:
        numbers.html(html.facts(_facts(reading.layers, None, layer, found[asked.method])))
    with text:
        _words(reading, given, found, asked, layer, out)
    if reading.layers is not None:
        times = cached.times(held, given, asked.dial)
        numbers.html(html.facts(_facts(reading.layers, times, layer, found[asked.method])))
    _exports(opened, given, reading, found[asked.method], asked)


def _typed(opened: Session) -> Given:
    """Return the text in hand: typed, or an example's, with the example's sentences and query."""
    data = opened.data.dataset
    agreed = not may_hurt(data) or st.session_state.get("warned", False)
    by_id = {e.id: e for examples in data.splits.values() for e in examples} if agreed else {}

    def fill(example: Example) -> None:
        text = data.text(example).unpaired()
        st.session_state.text, st.session_state.query = _box_text(text), text.query or ""

    def take() -> None:
        chosen = by_id.get(st.session_state.example)
        if chosen is not None:
            fill(chosen)

    wanted = st.query_params.get("example")
    if "text" not in st.session_state and wanted in by_id:
        fill(by_id[wanted])
    left, right = st.columns([5, 2], gap="large", vertical_alignment="top")
    with right:
        chosen = st.selectbox(
            "Or an example", [OWN, *by_id], key="example", bind="query-params", on_change=take,
            help=None if agreed else "See the content warning on the page People first.",
        )  # fmt: skip
        how = st.selectbox("Words", list(CUTTING), key="cut", bind="query-params",
                           format_func=CUTTING.__getitem__, help=CUTTING_HELP)  # fmt: skip
    with left:
        typed = st.text_area(
            "Text", key="text", height=120, persist_state="session",
            placeholder="Never dull : a warm , moving film .",
        ) or ""  # fmt: skip
        query = _query(data.query_matters or any(e.is_pair for e in by_id.values()))
    if how == BY_ITSELF and chosen in by_id:
        text = data.text(by_id[chosen]).unpaired()
        if typed == text.string or (text.string is None and tuple(typed.split()) == text.words):
            return Given(text.words, query, text.sentence_starts, text.string)
    return _cut(typed, how, query)


def _box_text(text: Text) -> str:
    """Return what stands in the box for an example."""
    return " ".join(text.words) if text.string is None else text.string


def _cut(typed: str, how: str, query: str | None) -> Given:
    """Return a typed text, cut into words; say so where it was not cut as usual."""
    asked = None if how == BY_ITSELF else cast(WordCutter, how)
    cutter, note = cutter_for([typed], asked, "punctuation")
    if note is not None:
        st.caption(note)
    return Given(tuple(typed[a:b] for a, b in cut_words(typed, cutter)), query, (0,), typed)


def _query(matters: bool) -> str | None:
    """Return the query, where the data set asks some or one is left of another."""
    if not (matters or st.session_state.get("query")):
        return None
    with st.expander("Query", icon=":material/help:", expanded=True):
        typed = st.text_area(
            "Query", key="query", height=68, persist_state="session", label_visibility="collapsed",
            placeholder="What is asked of the text.",
            help="Goes before the text, as in the data set's examples. It is read, but gets no scores.",
        )  # fmt: skip
    return (typed or "").strip() or None


def _asked(held: LoadedModel) -> tuple[ExplainChoice, DeltaGenerator, DeltaGenerator]:
    """Return what is to be shown, the place of the prediction, and that of the layer slider."""
    methods, left_out = cached.fits(held)
    columns = st.container(key="controls").columns([3, 4, 2], gap="medium")
    method = columns[0].selectbox(
        "Highlight by", methods, key="method", bind="query-params", format_func=method_name
    )
    others = columns[1].multiselect(
        "Compare with", [m for m in methods if m != method], key="compare", max_selections=MOST - 1,
        persist_state="session", placeholder="up to three more", wrap=True,
    )  # fmt: skip
    target = columns[2].selectbox(
        "Class explained", targets_of(held.classifier.labels, PREDICTED), key="class", bind="query-params",
        help="The class whose probability the words speak for: the one predicted, or one you choose. "
        "Methods that only rank words by use (survivors, attention) are the same for each.",
    )  # fmt: skip
    say_left_out(left_out)
    left, right = st.columns(2, gap="large")
    dial = AS_TRAINED
    if held.adaptive:
        dial = right.select_slider(
            "Speed dial", DIALS, AS_TRAINED, key="dial", bind="query-params",
            help="Scales the thresholds: 0 drops nothing, 1 is as trained, above 1 is faster.",
        )  # fmt: skip
    return ExplainChoice(method, tuple(others), target, dial), left, right


def _layer(reading: ModelReading) -> int:
    """Return up to which layer words fade; 0 shows the text before the first."""
    if reading.layers is None:
        st.caption("This model drops no words: there are no layers to walk through.")
        return 0
    depth = len(reading.layers.tokens) - 1
    return st.slider(
        "Layer", 0, depth, 0, key="layer", bind="query-params",
        help="0 is the text as it comes in; words that a layer no longer works on fade.",
    )  # fmt: skip


def _out(words: tuple[str, ...]) -> tuple[tuple[int, ...], ErasureMode]:
    """Return the words to take out, and how."""
    key = _out_key(words)
    left, right = st.columns([4, 1], gap="medium", vertical_alignment="bottom")
    if len(words) <= MOST_LISTED:
        left.multiselect(
            "Words taken out", range(len(words)), key=key, format_func=lambda i: f"{words[i]} · {i + 1}",
            placeholder="click words above, or choose them here", persist_state="session",
        )  # fmt: skip
    how = right.segmented_control(
        "How", ("delete", "mask"), default="delete", required=True, key="how", persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip
    return tuple(sorted(st.session_state.get(key, []))), cast(ErasureMode, how or "delete")


def _out_key(words: tuple[str, ...]) -> str:
    return "out-" + hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _prediction(
    reading: ModelReading, after: dict[str, float] | None, n_out: int, how: str, explained: str
) -> None:
    shown, before = (reading.probs, None) if after is None else (after, reading.probs)
    _answer(reading.kind, shown, before)
    if reading.kind == "labels":
        told = f"The words below are explained for {explained}; labels above {THRESHOLD:g} are said."
        st.html(html.note(told))
    elif explained != reading.top:
        st.html(html.note(f"The words below are explained for {explained}, not for {reading.label}."))
    if after is not None:
        past = {"delete": "deleted", "mask": "masked"}[how]
        st.caption(f"With {n_out} word{'s' * (n_out > 1)} {past}; beside it the change from the whole text.")


def _answer(kind: Kind, shown: Mapping[str, float], before: Mapping[str, float] | None) -> None:
    """Draw what the model says: its class, its labels, or its number."""
    if kind == "value":
        ((name, value),) = shown.items()
        st.html(html.number(name, value, None if before is None else before[name]))
        return
    predicted = [x for x, p in shown.items() if p > THRESHOLD]
    label = max(shown, key=lambda name: shown[name])
    st.html(html.predicted_labels(predicted) if kind == "labels" else html.verdict(label, shown[label]))
    st.html(html.probabilities(shown, before, predicted=predicted if kind == "labels" else None))


def _words(
    reading: ModelReading,
    given: Given,
    found: dict[str, Scored],
    asked: ExplainChoice,
    layer: int,
    out: tuple[int, ...],
) -> None:
    """Draw the text: one method in full, or several as bars under each word."""
    key = _out_key(reading.words)

    def toggle(index: int) -> None:
        chosen = list(st.session_state.get(key, []))
        st.session_state[key] = [i for i in chosen if i != index] if index in chosen else [*chosen, index]

    kept = None if reading.layers is None else reading.layers.kept[layer]
    shown = {m: found[m] for m in (asked.method, *asked.others)}
    speaks = asked.label(reading) if any(s.signed for s in shown.values()) else None
    unsigned = [m for m, s in shown.items() if not s.signed]
    legend = html.score_legend(speaks, fading=layer > 0, unsigned=unsigned)
    if asked.others:
        body = html.stacked(reading.words, {m: s.scores for m, s in shown.items()}, kept, out, unsigned)
        legend = html.stack_legend(list(shown)) + legend
    else:
        one = found[asked.method]
        body = html.highlighted(reading.words, one.scores, reading.pieces, kept, out, given.after, one.signed)
    says = Markup("").join(html.note(method_says(m)) for m in shown)
    st.html(says + legend)
    show_words(body, "words", toggle)


def _facts(layers: Layers, times: Times | None, layer: int, scored: Scored) -> list[tuple[str, str, str]]:
    """Return the numbers of a layer; those of time stay open until they are measured."""
    now, begin = layers.tokens[layer], layers.tokens[0]
    facts = [(f"{now} of {begin}", "tokens in this layer", f"{now / begin:.0%}")]
    if layer:
        worked, dense = layers.flops[layer] / GIGA, layers.dense_flops[layer] / GIGA
        done = f"{worked:.3f} of {dense:.3f} GFLOPs"
        facts.append((f"{1 - worked / dense:.0%}", "FLOPs saved so far", done))
        saved, done = "…", "being measured"
        if times is not None:
            took, would = times.seconds[layer] * 1000, times.dense_seconds[layer] * 1000
            saved, done = f"{1 - took / would:.0%}", f"{took:.1f} of {would:.1f} ms, measured"
        facts.append((saved, "time saved so far", done))
    fewer = layers.dense_flops[-1] / layers.flops[-1]
    faster = "…" if times is None else f"{times.dense_seconds[-1] / times.seconds[-1]:.2f}x"
    facts.append((f"{fewer:.2f}x", "FLOPs speed-up in all", f"time {faster}, measured"))
    facts.append((f"{scored.milliseconds:.0f} ms", "to compute the scores", "measured"))
    return facts


def _exports(
    opened: Session, given: Given, reading: ModelReading, scored: Scored, asked: ExplainChoice
) -> None:
    """Offer the highlight as files, each made when it is asked for."""
    words, scores = reading.words, scored.scores
    label, method = asked.label(reading), asked.method
    title = f"{opened.model_name}, {method}: {_told(reading)}"
    if label != reading.label and reading.kind != "value":
        title += f", explained: {label}"

    def page() -> str:
        body = html.highlighted(words, scores, reading.pieces, after=given.after, signed=scored.signed)
        legend = html.score_legend(label if scored.signed else None)
        return export.as_html(title, legend, body if given.query is None else html.note(given.query) + body)

    def line() -> str:
        selected = scored.selected if scored.selected is not None else _top(scored)
        return export.as_jsonl(text_of(*given), reading.label, reading.probs, scores, selected)

    def drawn(draw: Callable[..., T]) -> T:
        shades = export.shades_of(html.steps(scores), scored.signed)
        return draw(words, shades, title, given.after)

    files: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "HTML": (page, "html"),
        "LaTeX": (lambda: drawn(export.as_latex), "tex"),
        "JSONL": (line, "jsonl"),
        "PNG": (lambda: drawn(export.as_png), "png"),
    }
    if reading.kind != "class":  # the official format knows one label a text
        del files["JSONL"]
    offer(files, method)


def _told(reading: ModelReading) -> str:
    """Return in a line what the model says."""
    if reading.kind == "class":
        return f"{reading.label} {reading.probs[reading.label]:.3f}"
    predicted = {x: p for x, p in reading.probs.items() if reading.kind == "value" or p > THRESHOLD}
    return ", ".join(f"{label} {p:.3f}" for label, p in predicted.items()) or "no label"


def _top(scored: Scored) -> Mask:
    return top_words(np.asarray(scored.scores), share_of(len(scored.scores), SHARE))
