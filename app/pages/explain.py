"""Page 1: one text, which words decided, and what dropping them saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import cast

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import cached, export, html
from app.explain import SLOW, Layers, Reading, Scored, methods_of, text_of
from app.opened import Opened, may_hurt
from app.show import offer
from app.state import AS_TRAINED, Held
from app.words import show_words
from eraser.types import Mask
from rationale.ablate import Removal
from rationale.extract import share_of, top_words

OWN = "your own text"
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
GIGA = 1e9
MOST = 4  # methods side by side
MOST_LISTED = 2000  # words in the list of those that can be taken out
SHARE = 0.2  # of the words, as a rationale of a method that only ranks


def explain_page(opened: Opened) -> None:
    """Draw the page."""
    cached.warmed(opened.held)
    words = tuple(_typed(opened).split())
    if not words:
        st.info("Type or paste a text, or take an example; its words are coloured by what the model used.")
        return
    text_of(words)  # refuses one that is too long before anything is drawn
    method, others, dial, slider = _asked(opened.held)
    reading = cached.reading(opened.held, words, dial)
    with slider:
        layer = _layer(reading)
    places = [st.container() for _ in range(2)]
    out, how = _out(words)
    found = cached.scored(opened.held, words, reading.label, dial, *dict.fromkeys([method, *others]))
    with places[0]:
        after = cached.without_words(opened.held, words, out, how, dial) if out else None
        left, right = st.columns([3, 4], gap="large")
        with left:
            _prediction(reading, after, len(out), how)
        if reading.layers is not None:
            right.html(html.facts(_facts(reading.layers, layer, found[method])))
    with places[1]:
        _words(reading, found, method, others, layer, out)
    _exports(opened, reading, found[method], method)


def _typed(opened: Opened) -> str:
    """Return the text in hand: typed, or an example's."""
    data = opened.data.dataset
    agreed = not may_hurt(data) or st.session_state.get("warned", False)
    by_id = {e.id: e for examples in data.splits.values() for e in examples} if agreed else {}

    def take() -> None:
        chosen = by_id.get(st.session_state.example)
        if chosen is not None:
            st.session_state.text = " ".join(data.text(chosen).words)

    wanted = st.query_params.get("example")
    if "text" not in st.session_state and wanted in by_id:
        st.session_state.text = " ".join(data.text(by_id[wanted]).words)
    left, right = st.columns([5, 2], gap="large", vertical_alignment="top")
    with right:
        st.selectbox(
            "Or an example", [OWN, *by_id], key="example", bind="query-params", on_change=take,
            help=None if agreed else "See the content warning on the page People first.",
        )  # fmt: skip
    with left:
        return st.text_area(
            "Text", key="text", height=120, persist_state="session",
            placeholder="Never dull : a warm , moving film .",
        ) or ""  # fmt: skip


def _asked(held: Held) -> tuple[str, list[str], float, DeltaGenerator]:
    """Return the method, those beside it, the dial, and the place of the layer slider."""
    methods = methods_of(held)
    columns = st.container(key="controls").columns(4 if held.adaptive else [1, 1, 2], gap="medium")
    method = columns[0].selectbox(
        "Highlight by", methods, key="method", bind="query-params",
        format_func=lambda m: f"{m} (takes seconds)" if m in SLOW else m,
    )  # fmt: skip
    others = columns[1].multiselect(
        "Compare with", [m for m in methods if m != method], key="compare", max_selections=MOST - 1,
        persist_state="session", placeholder="up to three more", wrap=True,
    )  # fmt: skip
    dial = AS_TRAINED
    if held.adaptive:
        dial = columns[2].select_slider(
            "Speed dial", DIALS, AS_TRAINED, key="dial", bind="query-params",
            help="Scales the thresholds: 0 drops nothing, 1 is as trained, above 1 is faster.",
        )  # fmt: skip
    return method, others, dial, columns[-1]


def _layer(reading: Reading) -> int:
    """Return up to which layer words fade; 0 shows the text before the first."""
    if reading.layers is None:
        st.caption("This model drops no words: there are no layers to walk through.")
        return 0
    depth = len(reading.layers.tokens) - 1
    return st.slider(
        "Layer", 0, depth, 0, key="layer", bind="query-params",
        help="0 is the text as it comes in; words that a layer no longer works on fade.",
    )  # fmt: skip


def _out(words: tuple[str, ...]) -> tuple[tuple[int, ...], Removal]:
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
    return tuple(sorted(st.session_state.get(key, []))), cast(Removal, how or "delete")


def _out_key(words: tuple[str, ...]) -> str:
    return "out-" + hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _prediction(reading: Reading, after: dict[str, float] | None, n_out: int, how: str) -> None:
    shown = reading.probs if after is None else after
    label = max(shown, key=lambda name: shown[name])
    st.html(html.verdict(label, shown[label]))
    st.html(html.probabilities(shown, None if after is None else reading.probs))
    if after is not None:
        past = {"delete": "deleted", "mask": "masked"}[how]
        st.caption(f"With {n_out} word{'s' * (n_out > 1)} {past}; beside it the change from the whole text.")


def _words(
    reading: Reading,
    found: dict[str, Scored],
    method: str,
    others: list[str],
    layer: int,
    out: tuple[int, ...],
) -> None:
    """Draw the text: one method in full, or several as bars under each word."""
    key = _out_key(reading.words)

    def toggle(index: int) -> None:
        chosen = list(st.session_state.get(key, []))
        st.session_state[key] = [i for i in chosen if i != index] if index in chosen else [*chosen, index]

    kept = None if reading.layers is None else reading.layers.kept[layer]
    if others:
        by_method = {m: found[m].scores for m in (method, *others)}
        body, legend = html.stacked(reading.words, by_method, kept, out), html.stack_legend(list(by_method))
        legend += html.score_legend(any(found[m].signed for m in by_method), fading=layer > 0)
    else:
        body = html.highlighted(reading.words, found[method].scores, reading.pieces, kept, out)
        legend = html.score_legend(found[method].signed, fading=layer > 0)
    st.html(legend)
    show_words(body, "words", toggle)


def _facts(layers: Layers, layer: int, scored: Scored) -> list[tuple[str, str, str]]:
    """Return the numbers of a layer."""
    now, begin = layers.tokens[layer], layers.tokens[0]
    facts = [(f"{now} of {begin}", "tokens in this layer", f"{now / begin:.0%}")]
    if layer:
        worked, dense = layers.flops[layer] / GIGA, layers.dense_flops[layer] / GIGA
        took, would = layers.seconds[layer] * 1000, layers.dense_seconds[layer] * 1000
        done = f"{worked:.3f} of {dense:.3f} GFLOPs"
        facts.append((f"{1 - worked / dense:.0%}", "operations saved so far", done))
        facts.append(
            (f"{1 - took / would:.0%}", "time saved so far", f"{took:.1f} of {would:.1f} ms, measured")
        )
    times = layers.dense_seconds[-1] / layers.seconds[-1]
    fewer = layers.dense_flops[-1] / layers.flops[-1]
    facts.append((f"{fewer:.2f}x", "fewer operations in all", f"time {times:.2f}x, measured"))
    facts.append((f"{scored.milliseconds:.0f} ms", "to compute the scores", "measured"))
    return facts


def _exports(opened: Opened, reading: Reading, scored: Scored, method: str) -> None:
    """Offer the highlight as files, each made when it is asked for."""
    words, scores = reading.words, scored.scores
    title = f"{opened.model_name}, {method}: {reading.label} {reading.probs[reading.label]:.3f}"

    def page() -> str:
        body = html.highlighted(words, scores, reading.pieces)
        return export.as_html(title, html.score_legend(scored.signed), body)

    def line() -> str:
        picked = scored.own if scored.own is not None else _top(scored)
        return export.as_jsonl(text_of(words), reading.label, reading.probs, scores, picked)

    files: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "HTML": (page, "html"),
        "LaTeX": (lambda: export.as_latex(words, export.shades_of(html.steps(scores)), title), "tex"),
        "JSONL": (line, "jsonl"),
        "PNG": (lambda: export.as_png(words, export.shades_of(html.steps(scores)), title), "png"),
    }
    offer(files, method)


def _top(scored: Scored) -> Mask:
    return top_words(np.asarray(scored.scores), share_of(len(scored.scores), SHARE))
