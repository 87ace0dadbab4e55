"""The coloured words, what stands beside one of them, and the two versions side by side."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import Edits, replaced, shortened
from rationale_viewer.compute.explain import ModelReading
from rationale_viewer.pages.explain.asked import Explained
from rationale_viewer.pages.explain.desk import Desk
from rationale_viewer.session.address import number, put
from rationale_viewer.session.state import LoadedModel
from rationale_viewer.view import html
from rationale_viewer.view.words import BesideWord, LayerWalk, WordEvents, show_words

MASKED = "▢"


def draw_words(shown: Explained, desk: Desk, says: str) -> int:
    """Draw the text, one method in full or several as bars under each word; return the layer chosen.

    `says` is what stands beside the word that was clicked last.
    """
    reading, edits, given = shown.reading, shown.edits, shown.given
    marks = edits.marks
    words = replaced(given, dict(edits.new)).words
    scores = {m: shown.found[m].scores for m in shown.asked.methods}
    unsigned = [m for m in scores if not shown.found[m].signed]
    walk = _walk(reading)
    speaks = shown.label if len(unsigned) < len(scores) else None
    legend = html.score_legend(speaks, walk is not None, unsigned)
    if len(scores) > 1:
        body = html.stacked(words, scores, None, marks, unsigned)
        legend = html.stack_legend(list(scores)) + legend
    else:
        one = shown.scored
        body = html.highlighted(words, one.scores, reading.pieces, None, marks, given.after, one.signed)
    beside = _beside(desk, shown.held, edits, says)
    layer = show_words(body, "words", WordEvents(desk.toggle, desk.swap), walk, beside)
    st.html(legend)
    if walk is not None:
        put("layer", str(layer) if layer else None)
    return layer


def _walk(reading: ModelReading) -> LayerWalk | None:
    """Return how far each word comes, and what is told of each layer."""
    layers = reading.layers
    if layers is None:
        return None
    depth, begin = len(layers.tokens) - 1, layers.tokens[0]
    says = [f"all {begin} tokens go in; play to see which words each layer drops"]
    for k in range(1, depth + 1):
        saved = 1 - layers.flops[k] / layers.dense_flops[k]
        told = f", {saved:.0%} of FLOPs saved" if saved > 0 else ""
        says.append(f"layer {k} of {depth}: {layers.tokens[k]} of {begin} tokens{told}")
    return LayerWalk([int(n) for n in layers.kept[1:].sum(0)], says, number("layer", depth))


def _beside(desk: Desk, held: LoadedModel, edits: Edits, says: str) -> BesideWord | None:
    """Return what stands beside the word that was clicked last."""
    id, index = st.session_state.get("hand") or ("", 0)
    if id != desk.id:
        return None
    word, changed = desk.words[index], index in edits.out or index in dict(edits.new)
    return BesideWord(index, word, says, cached.suggestions(held, word), changed)


def versions(shown: Explained, was: Markup, now: Markup) -> None:
    """Draw the text as it was beside the text as it is, each with its own colours, and its answer."""
    given, edits = shown.given, shown.edits
    before, after = st.columns(2, gap="large")
    marks = dict.fromkeys((*edits.out, *dict(edits.new)), "was")
    with before:
        st.html(Markup("<h2>Before</h2>") + was)
        one, pieces = shown.scored, shown.reading.pieces
        body = html.highlighted(given.words, one.scores, pieces, None, marks, given.after, one.signed)
        show_words(body, "words-before")
    with after:
        st.html(Markup("<h2>After</h2>") + now)
        show_words(_changed(shown), "words-after")
    if edits.how == "mask" and edits.out:
        st.html(html.note(f"{MASKED} stands for a masked word: its colour is what the place still counts."))


def _changed(shown: Explained) -> Markup:
    """Return the changed text with its own colours."""
    given, edits, asked = shown.given, shown.edits, shown.asked
    changed, new = replaced(given, dict(edits.new)), dict(edits.new)
    if edits.how == "mask" and edits.out:
        scored = cached.masked(shown.held, changed, edits.out, asked.method, asked.dial, shown.label)
        words = [MASKED if i in edits.out else word for i, word in enumerate(changed.words)]
        marks = dict.fromkeys((*edits.out, *new), "now")
        return html.highlighted(words, scored.scores, None, None, marks, given.after, scored.signed)
    shorter = shortened(changed, edits.out)
    if not shorter.words:
        return html.note("No word is left.")
    read = cached.reading(shown.held, shorter, asked.dial)
    scored = cached.scored(shown.held, shorter, shown.label, asked.dial, asked.method)[asked.method]
    stays = [i for i in range(len(given.words)) if i not in edits.out]
    marks = {place: "now" for place, i in enumerate(stays) if i in new}
    return html.highlighted(
        shorter.words, scored.scores, read.pieces, None, marks, shorter.after, scored.signed
    )
