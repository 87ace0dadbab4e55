"""The text in hand: typed, an example's, a chip's, or the address's; and how it is cut into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from eraser import Dataset, Example, InputError, Text
from eraser.words import WordCutter, cut_words, cutter_for
from rationale_viewer.compute import cached
from rationale_viewer.compute.explain import Given
from rationale_viewer.compute.opening import MEANS, Chip, chips_for, short_note, titled
from rationale_viewer.session.address import pack, put, unpack
from rationale_viewer.session.opened import SHIPPED_NAME, Session, complain, warned
from rationale_viewer.session.state import LoadedData
from rationale_viewer.view import html

OWN = "choose an example"
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
TOO_LONG = (
    "This text is too long for an address: a copied link opens without it. Save the page as HTML instead."
)


@dataclass(frozen=True)
class InHand:
    """The text, and the label that people give it where that is known: of an example, or of a chip.

    `meaning` is what the label means; of a text without one label, what people say of it.
    """

    given: Given
    label: str | None = None
    whose: str = ""
    meaning: str = ""


def text_in_hand(opened: Session, cut: DeltaGenerator) -> InHand:
    """Draw the box, the chips and the examples; return the text in hand. `cut` is where cutting is chosen."""
    data = opened.data.dataset
    by_id, chips = _examples(data), {c.name: c for c in chips_for(opened.held)}
    _open_on_something(opened, by_id, chips)
    left, right = st.columns([5, 2], gap="medium", vertical_alignment="top")
    with left:
        typed = st.text_area(
            "Text", key="text", height=96, persist_state="session", on_change=_typed_over,
            placeholder="Type or paste a text, or choose an example.",
        ) or ""  # fmt: skip
        query = _query(data.query_matters or any(e.is_pair for e in by_id.values()))
    with right:
        chosen = _example_box(opened.data, by_id)
    with left.container(horizontal=True, vertical_alignment="center", key="try", gap="small"):
        st.button("Explain", type="primary", key="go", help="Or press Ctrl+Enter in the text.")
        if chips:
            st.pills(
                "Try", list(chips), key="chip", label_visibility="collapsed", persist_state="session",
                on_change=lambda: _take_chip(chips),
            )  # fmt: skip
    with cut:
        found = _in_hand(data, by_id.get(chosen), typed, query, chips)
    _to_address(found, typed, query, chosen)
    if found.given.words:
        note = short_note(len(found.given.words), data, opened.model_name == SHIPPED_NAME)
        if note is not None:
            st.html(html.note(note))
    return found


def _examples(data: Dataset) -> dict[str, Example]:
    """Return the examples by id; of a set that may hurt none before the reader has agreed, which is asked."""
    return {e.id: e for examples in data.splits.values() for e in examples} if warned(data) else {}


def _open_on_something(opened: Session, by_id: dict[str, Example], chips: dict[str, Chip]) -> None:
    """Fill the box when a session begins: from the address, or with a text that the model gets right."""
    if "text" in st.session_state:
        return
    wanted = st.query_params.get("example")
    if wanted in by_id:
        _fill(opened.data.dataset, by_id[wanted])
    elif "t" in st.query_params:
        _from_address(st.query_params["t"])
    else:
        kind, name = cached.opening(opened.held, opened.data, tuple(by_id)) or ("", "")
        if kind == "example":
            _fill(opened.data.dataset, by_id[name])
        elif kind == "chip":
            st.session_state.text, st.session_state.chip = chips[name].text, name


def _from_address(packed: str) -> None:
    """Fill the box with the address's text; say where it cannot be read."""
    try:
        found: Any = unpack(packed, "text")
        text, query = found["text"], found.get("query", "")
        if not (isinstance(text, str) and isinstance(query, str)):
            raise TypeError
    except InputError as error:
        complain(error, "The text of this link cannot be shown.")
    except (AttributeError, KeyError, TypeError):
        st.error("The text of this link cannot be shown.", icon=":material/error:")
    else:
        st.session_state.text, st.session_state.query = text, query


def _fill(data: Dataset, example: Example) -> None:
    text = data.text(example).unpaired()
    st.session_state.text, st.session_state.query = _box_text(text), text.query or ""
    st.session_state.taken, st.session_state.chip = example.id, None


def _take_chip(chips: dict[str, Chip]) -> None:
    chip = chips.get(st.session_state.chip)
    if chip is not None:
        st.session_state.text, st.session_state.query, st.session_state.taken = chip.text, "", OWN


def _typed_over() -> None:
    """Let go of the example or chip that stood in the box."""
    st.session_state.chip, st.session_state.taken = None, OWN


def _example_box(held: LoadedData, by_id: dict[str, Example]) -> str:
    """Return the example chosen, or OWN."""
    data = held.dataset
    names = {OWN: OWN} | cached.titles(held, tuple(by_id), _titles=lambda: titled(data, [*by_id.values()]))
    if st.session_state.get("taken", OWN) not in names:
        st.session_state.taken = OWN

    def take() -> None:
        if (example := by_id.get(st.session_state.taken)) is not None:
            _fill(data, example)

    return st.selectbox(
        "Examples", list(names), key="taken", on_change=take, format_func=names.__getitem__,
        persist_state="session", placeholder=OWN,
    )  # fmt: skip


def _in_hand(
    data: Dataset, example: Example | None, typed: str, query: str | None, chips: dict[str, Chip]
) -> InHand:
    """Return the text, cut into words as is asked; an untouched example keeps its own words."""
    how = st.selectbox("How the text is cut into words", list(CUTTING), key="cut", bind="query-params",
                       format_func=CUTTING.__getitem__, help=CUTTING_HELP)  # fmt: skip
    if example is not None:
        text = data.text(example).unpaired()
        own = typed == text.string or (text.string is None and tuple(typed.split()) == text.words)
        if own and how == BY_ITSELF:
            given = Given(text.words, query, text.sentence_starts, text.string)
            return InHand(given, example.label, "Annotators say")
        if own:
            return InHand(_cut(typed, how, query), example.label, "Annotators say")
    chip = chips.get(st.session_state.get("chip") or "")
    if chip is not None and typed == chip.text:
        meaning = "Readers may say either." if chip.label is None else MEANS[chip.label]
        return InHand(_cut(typed, how, query), chip.label, "A reader would say", meaning)
    return InHand(_cut(typed, how, query))


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


def _to_address(found: InHand, typed: str, query: str | None, chosen: str) -> None:
    """Write the text into the address: an untouched example by its id, any other text compressed."""
    example = chosen if found.whose == "Annotators say" else None
    put("example", example)
    if example is not None or not typed.strip():
        put("t", None)
        return
    packed = pack({"text": typed} | ({} if query is None else {"query": query}))
    put("t", packed)
    if packed is None:
        st.caption(TOO_LONG)
