"""A text on the page whose words can be pointed at, walked through with the arrow keys, and clicked.

The markup comes from html.py; the script below only listens. What is told of the word in hand stands on
a line below the text, where touch, keyboard and screen readers find it too.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from markupsafe import Markup

from rationale_viewer.view.html import STYLE

SCRIPT = """
const states = new WeakMap();

function listen(state) {
  const { text, told } = state;
  const word = (event) => event.target.closest?.('.w[data-i]');
  const pick = (w) => { if (state.clickable) state.send('clicked', Number(w.dataset.i)); };
  const tell = (event) => { const w = word(event); if (w) told.textContent = w.title; };
  text.addEventListener('mouseover', tell);
  text.addEventListener('focusin', tell);
  text.addEventListener('click', (event) => { const w = word(event); if (w) { hold(state, w); pick(w); } });
  text.addEventListener('keydown', (event) => {
    const w = word(event), step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!w || (!step && event.key !== 'Enter' && event.key !== ' ')) return;
    event.preventDefault();
    if (!step) { pick(w); return; }
    const next = state.words[state.words.indexOf(w) + step];
    if (next) { hold(state, next); next.focus(); }
  });
}

function hold(state, w) {  // one stop for the Tab key, wherever the arrows led
  state.words.forEach((other) => { other.tabIndex = -1; });
  w.tabIndex = 0;
  state.at = state.words.indexOf(w);
}

export default function ({ data, parentElement, setTriggerValue }) {
  let state = states.get(parentElement);
  if (!state) {
    state = { text: document.createElement('div'), told: document.createElement('div'), at: 0 };
    state.told.className = 'told';
    state.told.setAttribute('aria-live', 'polite');
    parentElement.append(state.text, state.told);
    states.set(parentElement, state);
    listen(state);
  }
  state.send = setTriggerValue;
  state.clickable = data.clickable;
  if (state.body === data.body) return;
  const root = parentElement.getRootNode(), inside = state.text.contains(root.activeElement);
  state.text.innerHTML = state.body = data.body;
  state.told.textContent = data.hint;
  state.words = [...state.text.querySelectorAll('.w[data-i]')];
  state.words.forEach((w) => w.setAttribute('role', data.clickable ? 'button' : 'note'));
  if (!state.words.length) return;
  hold(state, state.words[state.at] ?? state.words[0]);
  if (inside) state.words[state.at].focus();
}
"""
HINT = "Point at a word, or walk with the arrow keys."
CLICK_HINT = "Point at a word for its score; click it, or press Enter, to take it out."
_component = st.components.v2.component("rationale_words", css=STYLE, js=SCRIPT)


def show_words(body: Markup, key: str, on_click: Callable[[int], None] | None = None) -> None:
    """Draw a text; `on_click` is called with the index of a word that was clicked."""

    def clicked() -> None:
        chosen = st.session_state[key].clicked
        if on_click is not None and chosen is not None:
            on_click(int(chosen))

    hint = HINT if on_click is None else CLICK_HINT
    data = {"body": str(body), "clickable": on_click is not None, "hint": hint}
    _component(key=key, data=data, on_clicked_change=clicked)
