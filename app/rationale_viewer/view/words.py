"""A text on the page whose words can be pointed at, walked through with the arrow keys, and clicked.

The markup comes from html.py; words.js only listens, and moves through the layers. What is told of the word
in hand stands on a line below the text, where touch, keyboard and screen readers find it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from markupsafe import Markup

from rationale_viewer.view.html import STYLE

HINT = "Point at a word, or walk with the arrow keys."
CLICK_HINT = "Point at a word for its score; click it, or press Enter, to take it out."
_SCRIPT = (Path(__file__).parent / "words.js").read_text(encoding="utf-8")
_component = st.components.v2.component("rationale_words", css=STYLE, js=_SCRIPT)


@dataclass(frozen=True)
class LayerWalk:
    """For each word the last layer that works on it (0: none), what is told of each layer, where to begin."""

    lived: Sequence[int]
    says: Sequence[str]
    at: int = 0


@dataclass(frozen=True)
class BesideWord:
    """What stands beside a word: what the model says now, words for its place, whether it is changed."""

    index: int
    word: str
    says: str
    instead: Sequence[str] = ()
    changed: bool = False


@dataclass(frozen=True)
class WordEvents:
    """What is called when a word is clicked, when another is put in its place, and when a layer is chosen."""

    click: Callable[[int], None]
    swap: Callable[[int, str], None]


def show_words(
    body: Markup,
    key: str,
    events: WordEvents | None = None,
    layers: LayerWalk | None = None,
    beside: BesideWord | None = None,
) -> int:
    """Draw a text; return the layer that its slider stands at."""

    def clicked() -> None:
        chosen = st.session_state[key].clicked
        if events is not None and chosen is not None:
            events.click(int(chosen))

    def swapped() -> None:
        chosen = st.session_state[key].swapped
        if events is not None and chosen is not None:
            events.swap(int(chosen[0]), str(chosen[1]))

    data: dict[str, Any] = {
        "body": str(body),
        "clickable": events is not None,
        "hint": HINT if events is None else CLICK_HINT,
        "layers": None if layers is None else asdict(layers),
        "beside": None if beside is None else asdict(beside),
    }
    found = _component(
        key=key, data=data, default={"layer": 0 if layers is None else layers.at},
        on_clicked_change=clicked, on_swapped_change=swapped, on_layer_change=lambda: None,
    )  # fmt: skip
    return int(found.layer or 0)
