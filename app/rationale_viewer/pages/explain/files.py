"""What can be taken away: the page's address, and the highlight as files, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st
from markupsafe import Markup

from eraser.types import Kind, Mask
from rationale.budgets import share_of, top_words
from rationale.settings import THRESHOLD
from rationale_viewer.compute.edits import replaced
from rationale_viewer.compute.explain import Scored, text_of
from rationale_viewer.pages.explain.asked import Explained
from rationale_viewer.view import export, html
from rationale_viewer.view.copy_link import copy_link
from rationale_viewer.view.picture import animation, card
from rationale_viewer.view.show import offer

LINE, UNCHANGED = "JSONL", "JSONL, text unchanged"  # the official line has no place for what a reader changed
SHARE = 0.2  # of the words, as a rationale of a method that only ranks


def offer_files(model_name: str, shown: Explained, layer: int, answers: Mapping[str, float]) -> None:
    """Offer the address and the files; `answers` are to the text as the reader changed it."""
    with st.container(horizontal=True, key="share", gap="small"):
        copy_link()
        offer(_files(model_name, shown, layer, answers), shown.asked.method)


def _files(
    model_name: str, shown: Explained, layer: int, answers: Mapping[str, float]
) -> dict[str, tuple[Callable[[], str | bytes], str]]:
    """Return what makes each file, and its ending."""
    given, reading, scored, asked = shown.given, shown.reading, shown.scored, shown.asked
    words, marks = replaced(given, dict(shown.edits.new)).words, shown.edits.marks
    scores, label = scored.scores, shown.label
    answer, before = told(reading.kind, answers), told(reading.kind, reading.probs)
    was = f"with {shown.edits.told}; before: {before}"
    title = f"{model_name}, {asked.method}: {answer}" + (f", {was}" if marks else "")
    if label != reading.label and reading.kind != "value":
        title += f", explained: {label}"
    legend = html.score_legend(label if scored.signed else None)

    kept = None if reading.layers is None else reading.layers.kept
    now = None if kept is None or not layer else kept[layer]

    def body(still: Mask | None) -> Markup:
        coloured = html.highlighted(words, scores, reading.pieces, still, marks, given.after, scored.signed)
        return coloured if given.query is None else html.note(given.query) + coloured

    def line() -> str:
        selected = scored.selected if scored.selected is not None else _top(scored)
        return export.as_jsonl(text_of(*given), reading.label, reading.probs, scores, selected)

    def latex() -> str:
        shades = export.shades_of(html.steps(scores), scored.signed)
        return export.as_latex(words, shades, title, given.after, marks)

    one = card.Card(
        answer, f"{model_name} · {asked.method}" + (f" · {was}" if marks else ""), words, html.steps(scores),
        given.after, label if scored.signed else None, now, marks=marks,
    )  # fmt: skip
    files: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "HTML": (lambda: export.as_html(title, legend, body(now)), "html"),
        "LaTeX": (latex, "tex"),
        LINE: (line, "jsonl"),
        "PNG": (lambda: card.as_png(one), "png"),
        "SVG": (lambda: card.as_svg(one), "svg"),
    }
    if kept is not None:
        files |= {
            "Layers, GIF": (lambda: animation.as_gif(one, kept), "gif"),
            "Layers, WebP": (lambda: animation.as_webp(one, kept), "webp"),
            "Layers, HTML": (lambda: animation.as_html(title, body(None), legend, kept), "layers.html"),
        }
    if reading.kind != "class":  # the official format knows one label a text
        del files[LINE]
    return {UNCHANGED if marks and name == LINE else name: file for name, file in files.items()}


def told(kind: Kind, answers: Mapping[str, float]) -> str:
    """Return in a line what the model says.

    >>> told("class", {"NEG": 0.25, "POS": 0.75}), told("labels", {"joy": 0.75, "fear": 0.25})
    ('POS 0.750', 'joy 0.750')
    """
    said = answers
    if kind == "class":
        label = max(answers, key=lambda name: answers[name])
        said = {label: answers[label]}
    elif kind == "labels":
        said = {label: p for label, p in answers.items() if p > THRESHOLD}
    return ", ".join(f"{label} {p:.3f}" for label, p in said.items()) or "no label"


def _top(scored: Scored) -> Mask:
    return top_words(np.asarray(scored.scores), share_of(len(scored.scores), SHARE))
