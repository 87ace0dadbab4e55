"""The page Errors: wrong predictions, the surest first, and the words that decide most often in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd
import streamlit as st

from rationale.attribution import METHODS
from rationale_viewer.compute.agreement import ScoredExample
from rationale_viewer.compute.errors import deciding, deciding_words, surest_first
from rationale_viewer.compute.explain import PREDICTED
from rationale_viewer.pages.choice import RationaleChoice, asked
from rationale_viewer.session.opened import Session, warned
from rationale_viewer.view import html
from rationale_viewer.view.wording import method_says

ANY, NO_LABEL = "any word", "no label"
AT_ONCE, OPEN = 25, 3  # errors drawn, and unfolded; more are counted and can be filtered


def errors_page(opened: Session) -> None:
    """Draw the page."""
    data = opened.data.dataset
    if not warned(data):
        return
    chosen, _ = asked(opened, "Class, split, examples")
    judged = chosen.judged()
    wrong = surest_first(judged)
    with_answer = sum(j.right is not None for j in judged)
    st.html(html.note(f"{chosen.origin} {method_says(chosen.method)}"))
    if not with_answer:
        st.info("The model gives a number, which is neither right nor wrong.")
        return
    st.html(html.verdict_line(f"{len(wrong)} of {with_answer} predictions are wrong ({chosen.share})."))
    if not wrong:
        return
    words = {e.id: data.text(e).words for e in chosen.examples}
    table = deciding_words(judged, words)
    word = _grouped(table, len(wrong), with_answer - len(wrong), chosen)
    shown = [j for j in wrong if word in (ANY, deciding(j, words[j.id]))]
    _drawn(shown, words, chosen)


def _grouped(table: pd.DataFrame, n_wrong: int, n_right: int, chosen: RationaleChoice) -> str:
    """Draw which words decide, and return the one whose errors are asked for."""
    if table.empty:
        st.caption(f"No word speaks for {chosen.explained}.")
        return ANY
    leads = _leads(chosen)
    told = says_first(table.iloc[0], n_wrong, n_right, leads)
    st.html(html.note(f"{told} A word {leads} a text where no other has a higher score."))
    heads: dict[str, Any] = {
        "word": "word",
        "wrong": f"{leads} errors, of {n_wrong}",
        "of_wrong": _share("share of errors"),
        "right": f"{leads} right answers, of {n_right}",
        "of_right": _share("share of right answers"),
    }
    shown = table.assign(of_wrong=100 * table.of_wrong, of_right=100 * table.of_right)
    st.dataframe(shown, hide_index=True, column_config=heads)
    word: str = st.selectbox("Errors by word", [ANY, *table.word], key="decided-by")
    return word


def _leads(chosen: RationaleChoice) -> str:
    """Return what a text's highest score means: of a class that was not predicted it decides nothing."""
    return "decides" if chosen.target == PREDICTED else "scores highest in"


def says_first(first: Any, n_wrong: int, n_right: int, leads: str = "decides") -> str:
    """Return what the first row of the table says: a word that leads again and again, or that none does."""
    if first.wrong == 1 < n_wrong:
        return f"No word {leads} more than one of the {n_wrong} errors."
    return (
        f"“{first.word}” {leads} {first.wrong} of {n_wrong} errors, "
        f"and {first.right} of {n_right} right answers."
    )


def _share(head: str) -> Any:
    return st.column_config.ProgressColumn(head, format="%.0f %%", max_value=100.0)


def _drawn(
    shown: Sequence[ScoredExample], words: Mapping[str, Sequence[str]], chosen: RationaleChoice
) -> None:
    """Draw errors with their words coloured, the surest first."""
    signed = METHODS[chosen.method].signed if chosen.method in METHODS else True
    leads = "decided by" if chosen.target == PREDICTED else f"highest for {chosen.explained}:"
    more = f"the {AT_ONCE} that the model is surest of" if len(shown) > AT_ONCE else "the surest first"
    st.html(html.note(f"{len(shown)} error{'s' * (len(shown) != 1)}, {more}."))
    st.html(html.score_legend(chosen.explained if signed else None))
    for place, one in enumerate(islice(shown, AT_ONCE)):
        word = deciding(one, words[one.id])
        by = f", {leads} “{word}”" if word is not None else ""
        said = f"annotators say {one.label or NO_LABEL}, the model {one.predicted or NO_LABEL}"
        title = f"{one.id} · {max(one.probs.values()):.3f}: {said}{by}"
        with st.expander(_plain(title), expanded=place < OPEN):
            st.html(html.scored(words[one.id], one.scores, signed))


def _plain(title: str) -> str:
    """Return a title in which no sign begins Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|<>~$:" else c for c in title)
