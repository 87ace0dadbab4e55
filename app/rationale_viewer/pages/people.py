"""Page 2: human evidence beside a model's rationale, example by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from eraser import Dataset, Example, Fault, InputError, Text
from eraser.labels import split_labels
from eraser.types import Kind
from eraser.words import gaps
from rationale.heads import HEADS
from rationale.settings import OF_KIND, targets_of
from rationale.text_classifier import check_labels
from rationale_viewer.compute import cached
from rationale_viewer.compute.agreement import (
    AS_STORED,
    BUDGET_SIZES,
    ORDERS,
    OWN_CHOICE,
    Filter,
    RationaleSpec,
    ScoredExample,
    annotator_masks,
    budgets_of,
)
from rationale_viewer.compute.explain import GOLD, PREDICTED
from rationale_viewer.compute.stored import origin_of, stored_methods
from rationale_viewer.session.opened import Session, may_hurt, short_names
from rationale_viewer.session.state import stamp
from rationale_viewer.view import export, html
from rationale_viewer.view.show import offer, say_left_out
from rationale_viewer.view.wording import method_name, method_says
from rationale_viewer.view.words import show_words

BUDGETS = {
    OWN_CHOICE: "the method's own",
    "gold": "the human number",
    "ratio=0.1": "10 % of the words",
    "ratio=0.2": "20 % of the words",
    "ratio=0.3": "30 % of the words",
}
LIVE = "the open model"
AT_ONCE = 100  # examples judged without being asked to
SIZES = (25, AT_ONCE, 250, 1000, 5000)
NAMES = {
    "token_f1": "token F1",
    "false_positive_rate": "false-positive rate",
    "average_precision": "average precision",
}
NO_MARKS: dict[Kind, str] = {
    "class": "no human rationale", "value": "no human rationale",
    "labels": "no human rationale for this label",
}  # fmt: skip
VIEWS = ("together", "side by side")


@dataclass(frozen=True)
class PeopleChoice:
    """Which rationales to show, of which examples, and where they come from."""

    method: str
    examples: tuple[Example, ...]
    judged: Callable[[], list[ScoredExample]]
    origin: str


def people_page(opened: Session) -> None:
    """Draw the page."""
    data = opened.data.dataset
    if not _warned(data):
        return
    top = st.container(key="controls").columns(3, gap="medium")
    more = st.expander("Class, split, filter, order, search", icon=":material/filter_list:")
    asked = _asked(opened, [*top, *more.container(key="controls-more").columns(3, gap="medium")])
    judged = asked.judged()
    with more:
        found = _filtered(data, asked.examples, judged)
    if not found:
        st.info("No example passes these filters. Loosen one of them.")
        return
    one = _chosen(found, f"{asked.origin} {method_says(asked.method)}")
    example = next(e for e in asked.examples if e.id == one.id)
    _draw_example(data, example, one, asked.method)
    _exports(data, asked.examples, found, one, asked.method)


def _warned(data: Dataset) -> bool:
    """Return whether the reader has agreed to see what may hurt."""
    if not may_hurt(data):
        return True
    st.warning(
        "**Content warning.** These posts hold slurs, hate and violence, as people wrote them. "
        "They are shown word for word.", icon=":material/warning:",
    )  # fmt: skip
    return st.checkbox("Show the posts", key="warned", persist_state="session")


def _asked(opened: Session, columns: Sequence[DeltaGenerator]) -> PeopleChoice:
    """Return what is to be shown: what the open model says, or what a run holds; three places lead."""
    runs = {n: p for n, p in short_names(list(opened.runs)).items() if stored_methods(Path(p))}
    runs = {f"run {name}": path for name, path in runs.items()}
    source = columns[0].selectbox(
        "Rationales from", [LIVE, *runs], key="source", bind="query-params",
        help="A run keeps the rationales that `rationale evaluate` computed: slow methods cost nothing here.",
    )  # fmt: skip
    if source in runs:
        return _asked_of_run(opened, source, Path(runs[source]), columns)
    return _asked_of_model(opened, columns)


def _asked_of_model(opened: Session, columns: Sequence[DeltaGenerator]) -> PeopleChoice:
    """Ask for what the open model says."""
    data, classifier = opened.data.dataset, opened.held.classifier
    check_labels(classifier, data.labels, opened.model_name)
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
        "Size of a rationale", budgets_of(method), key="budget", format_func=BUDGETS.__getitem__,
        persist_state="session", help="How many words: as annotators marked, or a share of the text.",
    )  # fmt: skip
    size = _size(columns[5], len(data.splits[split]))
    how = RationaleSpec(method, budget, target)
    origin = f"Computed by {opened.model_name}, {_of_class(target)}."
    return PeopleChoice(
        method, tuple(data.splits[split][:size]), partial(_judged, opened, split, how, size), origin
    )


def _asked_of_run(
    opened: Session, source: str, folder: Path, columns: Sequence[DeltaGenerator]
) -> PeopleChoice:
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
    names = {AS_STORED: f"as in the run: {BUDGETS.get(origin.budget, origin.budget)}"} | BUDGETS
    budget = columns[2].selectbox(
        "Size of a rationale", (AS_STORED, *BUDGET_SIZES), key="stored-budget", persist_state="session",
        format_func=names.__getitem__,
    )  # fmt: skip
    there = [e for e in dataset.splits[stored.split] if e.id in stored.predictions]
    size = _size(columns[5], len(there))
    judged = partial(cached.stored_judged, str(file), at, opened.data, budget, size)
    says = f"Stored in {source}: computed by {origin.model}, {_of_class(origin.target)}."
    return PeopleChoice(method, tuple(there[:size]), judged, says)


def _of_class(target: str) -> str:
    each = {PREDICTED: "for the predicted class", GOLD: "for the class that annotators gave"}
    return each.get(target, f"for the class {target}")


def _size(column: DeltaGenerator, n: int) -> int:
    """Return how many of n examples."""
    sizes = [s for s in SIZES if s < n] + [n]
    return column.selectbox(
        "Examples", sizes, index=sizes.index(min(n, AT_ONCE)),
        format_func=lambda s: f"first {s}" if s < n else f"all {n}",
        help="How many are read and judged: filters and orders look at these.",
    )  # fmt: skip


def _judged(opened: Session, split: str, how: RationaleSpec, size: int) -> list[ScoredExample]:
    """Judge in small steps, so that the page says how far it is and others get their turn."""
    steps = range(0, size, cached.STEP)
    found: list[ScoredExample] = []
    bar = None
    for start in steps:
        found += cached.judged(opened.held, opened.data, split, how, start)
        if len(steps) > 1 and start + cached.STEP < size:
            bar = bar or st.empty()
            bar.progress((start + cached.STEP) / size, f"{start + cached.STEP} of {size} examples read")
    if bar is not None:
        bar.empty()
    return found[:size]


def _filtered(
    data: Dataset, examples: Sequence[Example], judged: Sequence[ScoredExample]
) -> list[ScoredExample]:
    left, middle, right = st.columns(3, gap="medium")
    search = left.text_input("Search in text or id", key="search", persist_state="session") or ""
    several = any(j.kind == "labels" for j in judged)
    known = sorted({x for label in data.labels for x in split_labels(label)}) if several else data.labels
    labels = middle.multiselect("Label", known, key="labels", placeholder="any", persist_state="session")
    order = right.selectbox("Order", list(ORDERS), key="order", persist_state="session")
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
    st.html(html.note(f"{at + 1} of {len(ids)} examples that pass the filters. {says}"))
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
    told = [f"score {s:+.3g}" for s in one.scores]
    if view == VIEWS[0]:
        show_words(html.marked(text.words, one.gold, one.selected, told, after), "marked")
    else:
        people, model = st.columns(2, gap="large")
        with people:
            st.html(html.note("Annotators marked"))
            people_only = html.marked(
                text.words, one.gold, one.selected, after=after, shown=("hit", "missed")
            )
            show_words(people_only, "words-people")
        with model:
            st.html(html.note(f"The model's words, by {method}"))
            model_only = html.marked(text.words, one.gold, one.selected, told, after, ("hit", "extra"))
            show_words(model_only, "words-model")
    for number, mask in enumerate(annotator_masks(data, example), start=1):
        n = int(mask.sum())
        with st.expander(f"Annotator {number}: {n} word{'s' * (n != 1)} marked", expanded=True):
            body = html.marked(text.words, mask, one.selected, after=after)
            show_words(body, f"annotator-{number}")


def _after(text: Text) -> list[str] | None:
    """Return what stands after each word of a text that was given as such; None: a space."""
    return None if text.string is None and text.second is None else gaps(*text.plain)


def _facts(one: ScoredExample) -> list[tuple[str, str, str]]:
    """Return the numbers of one example."""
    n = len(one.gold)
    facts = [
        (f"{int(one.gold.sum())} of {n}", "words annotators marked", f"{one.gold.mean():.0%}"),
        (f"{int(one.selected.sum())} of {n}", "words of the model", f"{one.selected.mean():.0%}"),
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
    title = f"{data.name} {one.id}, {method}: {one.predicted}, annotators say {one.label}"
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
