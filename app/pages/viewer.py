"""The script that Streamlit runs: what is open, and the page that was asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import html
from app.icon import icon
from app.opened import Opened, complain, open_all
from app.pages.explain import explain_page
from app.pages.people import people_page
from app.pages.scores import scores_page
from app.pages.speed import speed_page
from app.says import PAGES as PAGES_SAY
from app.start import Start
from eraser import InputError

PAGES: dict[str, Callable[[Opened], None]] = {
    "Explain": explain_page,
    "People": people_page,
    "Scores": scores_page,
    "Speed": speed_page,
}


def main() -> None:
    """Draw the viewer."""
    st.set_page_config("rationale", icon(), layout="wide")
    st.html(html.framed())
    name = st.segmented_control(
        "Page", list(PAGES), default="Explain", required=True, key="page", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    name = name or "Explain"
    st.html(html.note(PAGES_SAY[name]))
    opened = open_all(Start.from_environment())
    if opened is None:
        return
    try:
        PAGES[name](opened)
    except InputError as error:
        complain(error, "This cannot be shown.")


main()
