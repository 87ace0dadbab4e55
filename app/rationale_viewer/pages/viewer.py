"""The script that Streamlit runs: what is open, and the page that was asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from eraser import InputError
from rationale_viewer.pages.annotators import annotators_page
from rationale_viewer.pages.errors import errors_page
from rationale_viewer.pages.explain import explain_page
from rationale_viewer.pages.scores import scores_page
from rationale_viewer.pages.speed import speed_page
from rationale_viewer.session.opened import Session, complain, open_all
from rationale_viewer.session.start import LaunchConfig
from rationale_viewer.view import html
from rationale_viewer.view.icon import icon
from rationale_viewer.view.wording import PAGES as PAGES_SAY
from rationale_viewer.view.wording import TITLES

PAGES: dict[str, Callable[[Session], None]] = {
    "Explain": explain_page,
    "Annotators": annotators_page,
    "Errors": errors_page,
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
    st.html(html.headed(TITLES[name], PAGES_SAY[name]))
    opened = open_all(LaunchConfig.from_environment())
    if opened is None:
        return
    try:
        PAGES[name](opened)
    except InputError as error:
        complain(error, "This cannot be shown.")


main()
