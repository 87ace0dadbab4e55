"""The page: the text, the answer with the coloured words, then what is asked of them, then what it cost."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from markupsafe import Markup

from rationale.settings import THRESHOLD
from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import Edits, replaced
from rationale_viewer.compute.explain import Given, ModelReading, text_of
from rationale_viewer.pages.explain.asked import Explained, asked_of
from rationale_viewer.pages.explain.desk import Desk, changes
from rationale_viewer.pages.explain.files import offer_files, told
from rationale_viewer.pages.explain.given import InHand, text_in_hand
from rationale_viewer.pages.explain.speed import speed_facts
from rationale_viewer.pages.explain.words import draw_words, versions
from rationale_viewer.session.opened import Session
from rationale_viewer.session.state import LoadedModel
from rationale_viewer.view import html

Answers = Mapping[str, float]


def explain_page(opened: Session) -> None:
    """Draw the page: the words as soon as they have scores, then what has to be measured."""
    held = opened.held
    box, verdict, text, controls, edit, both, files = (st.container() for _ in range(7))
    speed = st.expander("Speed", key="speed", icon=":material/speed:", on_change="rerun", bind="query-params")
    with box:
        hand = text_in_hand(opened, files)
    given = hand.given
    if not given.words:
        box.info("Type or paste a text, or take an example; its words are coloured by what the model used.")
        return
    text_of(*given)  # refuses one that is too long before anything is drawn
    with verdict:  # where the answer comes it is told what is waited for
        cached.fits(held)
    asked = asked_of(held, controls, speed)
    reading, desk = cached.reading(held, given, asked.dial), Desk(given.words)
    desk.from_address()
    with edit:
        edits = changes(held, given, reading, asked.dial)
    desk.to_address()
    found = cached.scored(held, given, asked.label(reading), asked.dial, *asked.methods)
    shown, after = (
        Explained(held, given, reading, asked, found, edits),
        _after(held, given, edits, asked.dial),
    )
    with verdict:
        st.html(_answer(shown, after, hand))
    with text:
        layer = draw_words(shown, desk, _in_a_line(reading, after))
    if after is not None and st.session_state.get("versions"):
        with both:
            versions(shown, _said(reading, reading.probs, None), _said(reading, after, reading.probs))
    with files:
        offer_files(opened.model_name, shown, layer, after or reading.probs)
    with speed:
        if speed.open:
            speed_facts(shown)
    cached.warmed(held)


def _after(held: LoadedModel, given: Given, edits: Edits, dial: float) -> Answers | None:
    """Return what the model says of the text as it was changed; None where nothing was."""
    if not edits:
        return None
    changed = replaced(given, dict(edits.new))
    if edits.out:
        return cached.without_words(held, changed, edits.out, edits.how, dial)
    return cached.reading(held, changed, dial).probs


def _answer(text: Explained, after: Answers | None, hand: InHand) -> Markup:
    """Return the answer, its probabilities, and what has to be known of them."""
    reading, explained = text.reading, text.label
    shown, before = (reading.probs, None) if after is None else (after, reading.probs)
    notes = []
    if after is not None:
        notes.append(f"With {text.edits.told}; the change is at the right.")
    elif hand.label is not None and reading.kind == "class":
        notes.append(f"{hand.whose} {hand.label}{hand.meaning}: {_compared(hand.label, reading)}.")
    elif hand.meaning:
        notes.append(hand.meaning)
    if reading.kind == "labels":
        notes.append(f"The words below are explained for {explained}; labels above {THRESHOLD:g} are said.")
    elif explained != reading.top:
        notes.append(f"The words below are explained for {explained}, not for {reading.label}.")
    bars = Markup("")
    if reading.kind != "value":
        predicted = [x for x, p in shown.items() if p > THRESHOLD] if reading.kind == "labels" else None
        bars = html.probabilities(shown, before, predicted=predicted)
    said = _said(reading, shown, before)
    return html.answered(said, bars, Markup("").join(map(html.note, notes)))


def _compared(label: str, reading: ModelReading) -> str:
    """Return how the model's answer compares with a label that people gave."""
    if label not in reading.probs:
        return "the model has other labels"
    return "the model agrees" if label == reading.label else "the model is wrong"


def _said(reading: ModelReading, shown: Answers, before: Answers | None) -> Markup:
    """Return what the model says: its class, its labels, or its number."""
    if reading.kind == "value":
        ((name, value),) = shown.items()
        return html.number(name, value, None if before is None else before[name])
    if reading.kind == "labels":
        return html.predicted_labels([x for x, p in shown.items() if p > THRESHOLD])
    label = max(shown, key=lambda name: shown[name])
    return html.verdict(label, shown[label])


def _in_a_line(reading: ModelReading, after: Answers | None) -> str:
    """Return the answer as it stands beside a word, with how far it moved."""
    if after is None or reading.kind == "labels":
        return told(reading.kind, after or reading.probs)
    label = max(after, key=lambda name: after[name])
    return f"{told(reading.kind, after)} ({round(after[label] - reading.probs[label], 3) + 0.0:+.3f})"
