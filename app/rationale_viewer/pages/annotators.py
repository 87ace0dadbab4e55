"""The page Annotators: human evidence beside a model's rationale, example by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from eraser import Dataset, Example, Text
from eraser.labels import split_labels
from eraser.types import Kind
from eraser.words import gaps
from rationale_viewer.compute.agreement import (
    AMONG_ANNOTATORS,
    ANNOTATORS,
    DISAGREEMENTS,
    ORDERS,
    Filter,
    ScoredExample,
    annotator_masks,
    pairwise_f1,
)
from rationale_viewer.pages.choice import asked
from rationale_viewer.session.opened import Session, warned
from rationale_viewer.view import export, html
from rationale_viewer.view.show import offer
from rationale_viewer.view.told import scores_of
from rationale_viewer.view.wording import method_says
from rationale_viewer.view.words import show_words

NAMES = {
    "token_f1": "token F1",
    "false_positive_rate": "false-positive rate",
    "average_precision": "average precision",
}
NO_MARKS: dict[Kind, str] = {
    "class": "no human rationale", "value": "no human rationale",
    "labels": "no human rationale for this label",
}  # fmt: skip
NO_LABEL = "no label"
VIEWS = ("together", "side by side")


def annotators_page(opened: Session) -> None:
    """Draw the page."""
    data = opened.data.dataset
    if not warned(data):
        return
    chosen, more = asked(opened, "Class, split, examples, filter, order, search")
    judged = chosen.judged()
    with more:
        found = _filtered(data, chosen.examples, judged)
    if not found:
        st.info("No example passes these filters. Loosen one of them.")
        return
    one = _chosen(found, f"among {chosen.share}. {chosen.origin} {method_says(chosen.method)}")
    example = next(e for e in chosen.examples if e.id == one.id)
    _draw_example(data, example, one, chosen.method)
    _exports(data, chosen.examples, found, one, chosen.method)


def _filtered(
    data: Dataset, examples: Sequence[Example], judged: Sequence[ScoredExample]
) -> list[ScoredExample]:
    left, middle, right = st.columns(3, gap="medium")
    search = left.text_input("Search in text or id", key="search", persist_state="session") or ""
    of_sets = any(j.kind == "labels" for j in judged)
    known = sorted({x for label in data.labels for x in split_labels(label)}) if of_sets else data.labels
    labels = middle.multiselect("Label", known, key="labels", placeholder="any", persist_state="session")
    several = any(j.agreement[ANNOTATORS] is not None for j in judged)
    orders = [o for o in ORDERS if several or o != AMONG_ANNOTATORS]
    first = AMONG_ANNOTATORS if several else DISAGREEMENTS
    order = right.selectbox("Order", orders, orders.index(first), key="order", persist_state="session")
    tags = sorted({t for j in judged for t in j.tags})
    wrong = left.toggle("Wrong predictions only", key="wrong", persist_state="session")
    chosen: list[str] = []
    if tags:
        chosen = middle.multiselect(
            "Target community", tags, key="tags", placeholder="any", persist_state="session"
        )
    words = {e.id: data.text(e).plain[0].casefold() for e in examples}
    return Filter(wrong, tuple(labels), tuple(chosen), search, order).of(judged, words)


def _chosen(found: Sequence[ScoredExample], says: str) -> ScoredExample:
    """Return the example in hand, and say what its rationale is; the buttons move it on."""
    ids = [j.id for j in found]
    if st.session_state.get("example") not in ids and st.query_params.get("example") not in ids:
        st.session_state.example = ids[0]

    def move(by: int) -> None:
        at = ids.index(st.session_state.example) if st.session_state.example in ids else 0
        st.session_state.example = ids[(at + by) % len(ids)]

    left, middle, right = st.container(key="mover").columns([2, 5, 2], vertical_alignment="bottom")
    with middle:
        chosen = st.selectbox("Example", ids, key="example", bind="query-params")
    at = ids.index(chosen)
    left.button("Previous", on_click=move, args=(-1,), width="stretch", shortcut="Alt+ArrowLeft")
    right.button("Next", on_click=move, args=(1,), width="stretch", shortcut="Alt+ArrowRight")
    st.html(html.note(f"{at + 1} of {len(ids)} examples that pass the filters, {says}"))
    return found[at]


def _draw_example(data: Dataset, example: Example, one: ScoredExample, method: str) -> None:
    """Draw one example: numbers, legend, words."""
    text = data.text(example)
    after = _after(text)
    left, right = st.columns([3, 4], gap="large")
    with left:
        verb = {True: "agrees", False: "is wrong", None: "says"}[one.right]
        st.html(html.judgement(one.label, one.predicted, one.tags, verb))
        if one.kind != "value":
            predicted = split_labels(one.predicted) if one.kind == "labels" else None
            st.html(html.probabilities(one.probs, predicted=predicted))
    right.html(html.facts(_facts(one)))
    if text.query:
        st.caption("Query")
        st.html(html.plain(text.query))
    st.html(html.mark_legend())
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], required=True, key="view", persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip
    told = scores_of(one.scores)
    if view == VIEWS[0]:
        show_words(html.marked(text.words, one.gold, one.selected, told, after), "marked")
    else:
        annotators, model = st.columns(2, gap="large")
        with annotators:
            st.html(html.note("Annotators marked"))
            annotators_only = html.marked(
                text.words, one.gold, one.selected, after=after, shown=("hit", "missed")
            )
            show_words(annotators_only, "words-annotators")
        with model:
            st.html(html.note(f"The model's words, by {method}"))
            model_only = html.marked(text.words, one.gold, one.selected, told, after, ("hit", "extra"))
            show_words(model_only, "words-model")
    _annotators(data, example, one, after)


def _annotators(data: Dataset, example: Example, one: ScoredExample, after: list[str] | None) -> None:
    """Draw each annotator's marks with how far they agree with the others', who agrees least first."""
    masks, words = annotator_masks(data, example), data.text(example).words
    pairs = pairwise_f1(masks)
    if len(masks) > 1:
        told = f"{len(masks)} annotators; token F1 of every two, mean {np.nanmean(pairs):.3f}, lowest first."
        st.html(html.note(told))
    each = [float(np.nanmean(row)) if len(masks) > 1 else 0.0 for row in pairs]
    for i in sorted(range(len(masks)), key=lambda i: each[i]):
        n = int(masks[i].sum())
        agrees = f"; token F1 with the others {each[i]:.3f}" if len(masks) > 1 else ""
        with st.expander(f"Annotator {i + 1}: {n} word{'s' * (n != 1)} marked{agrees}", expanded=True):
            show_words(html.marked(words, masks[i], one.selected, after=after), f"annotator-{i + 1}")


def _after(text: Text) -> list[str] | None:
    """Return what stands after each word of a text that was given as such; None: a space."""
    return None if text.string is None and text.second is None else gaps(*text.plain)


def _facts(one: ScoredExample) -> list[tuple[str, str, str]]:
    """Return the numbers of one example."""
    n = len(one.gold)
    facts = [
        (f"{int(one.gold.sum())} of {n}", "words annotators marked", f"{one.gold.mean():.0%}"),
        (f"{int(one.selected.sum())} of {n}", "words the method picked", f"{one.selected.mean():.0%}"),
    ]
    for metric, name in NAMES.items():
        value = one.agreement[metric]
        known = value is not None
        facts.append((f"{value:.3f}" if known else "–", name, "" if known else NO_MARKS[one.kind]))
    return facts


def _exports(
    data: Dataset,
    examples: Sequence[Example],
    found: Sequence[ScoredExample],
    one: ScoredExample,
    method: str,
) -> None:
    """Offer this example, and the selection, as files."""
    by_id = {e.id: e for e in examples}

    def lines(rows: Sequence[ScoredExample]) -> str:
        return "".join(
            export.as_jsonl(data.text(by_id[j.id]), j.predicted, j.probs, j.scores, j.selected) for j in rows
        )

    text = data.text(by_id[one.id])
    words, after = text.words, _after(text)
    said, label = one.predicted or NO_LABEL, one.label or NO_LABEL
    title = f"{data.name} {one.id}, {method}: {said}, annotators say {label}"
    colours = [export.mark_colour(kind) for kind in html.mark_kinds(one.gold, one.selected)]
    body = html.marked(words, one.gold, one.selected, after=after)
    files: dict[str, tuple[Callable[[], str | bytes], str]] = {
        "This example, HTML": (lambda: export.as_html(title, html.mark_legend(), body), "html"),
        "This example, LaTeX": (lambda: export.as_latex(words, colours, title, after), "tex"),
        "This example, PNG": (lambda: export.as_png(words, colours, title, after), "png"),
        f"All {len(found)} that pass, official JSONL": (lambda: lines(found), "jsonl"),
    }
    if one.kind != "class":  # the official format knows one label a text
        files.popitem()
    offer(files, method)
