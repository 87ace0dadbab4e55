"""What a reader changes in a text: words taken out or replaced, undone, or found by the minimal flip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import streamlit as st

from eraser import Fault, InputError
from rationale.settings import ErasureMode
from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import MOST_WORDS, Edits, Flip
from rationale_viewer.compute.explain import Given, ModelReading
from rationale_viewer.session.address import UNREADABLE, pack, put, unpack
from rationale_viewer.session.opened import complain
from rationale_viewer.session.state import LoadedModel
from rationale_viewer.view import html

MOST_LISTED = 2000  # words in the list of those that can be taken out
LONGEST_WORD = 60  # characters that are put in a word's place
PAST = 100  # steps that can be undone
FLIP_HELP = f"The fewest words whose removal changes the answer, in texts of up to {MOST_WORDS} words."


@dataclass(frozen=True)
class Desk:
    """A text's edits in this session: each text has its own, by the words it has."""

    words: tuple[str, ...]

    @property
    def id(self) -> str:
        """What names the text in the session."""
        return hashlib.sha256("\n".join(self.words).encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def out_key(self) -> str:
        """The widget of the words taken out."""
        return f"out-{self.id}"

    def edits(self, how: ErasureMode = "delete") -> Edits:
        """Return the edits as they are now."""
        n, new = len(self.words), st.session_state.get(f"new-{self.id}", {})
        out = sorted(i for i in st.session_state.get(self.out_key, []) if i < n)
        return Edits(tuple(out), tuple(sorted(new.items())), how)

    def put(self, out: list[int], new: Mapping[int, str]) -> None:
        """Change the text; the step can be undone."""
        past = st.session_state.setdefault(f"past-{self.id}", [])
        past.append((list(st.session_state.get(self.out_key, [])), dict(self._new)))
        del past[:-PAST]
        self._set(out, new)

    def undo(self) -> None:
        """Take the last step back."""
        past = st.session_state.get(f"past-{self.id}", [])
        self._set(*(past.pop() if past else ([], {})))

    def _set(self, out: list[int], new: Mapping[int, str]) -> None:
        st.session_state[self.out_key], st.session_state[f"new-{self.id}"] = out, dict(new)

    @property
    def _new(self) -> dict[int, str]:
        found: dict[int, str] = st.session_state.get(f"new-{self.id}", {})
        return found

    def toggle(self, index: int) -> None:
        """Take a word out, or put it back."""
        out, new = list(st.session_state.get(self.out_key, [])), dict(self._new)
        st.session_state.hand = (self.id, index)
        if new.pop(index, None) is not None:
            return self.put(out, new)
        return self.put([i for i in out if i != index] if index in out else [*out, index], new)

    def swap(self, index: int, word: str) -> None:
        """Put another word in a word's place; nothing, or the word itself, puts it back."""
        if not 0 <= index < len(self.words):
            return
        word = " ".join(word.split())[:LONGEST_WORD]
        out = [i for i in st.session_state.get(self.out_key, []) if i != index]
        new = {i: w for i, w in self._new.items() if i != index}
        st.session_state.hand = (self.id, index)
        self.put(out, new | ({} if word in ("", self.words[index]) else {index: word}))

    def from_address(self) -> None:
        """Begin with the edits of the address, once a session: later it holds those of the text in hand."""
        packed = st.query_params.get("edits")
        if "edits_taken" in st.session_state:
            return
        st.session_state.edits_taken = True
        if packed is None:
            return
        try:
            out, new = _checked(unpack(packed, "edits"), len(self.words))
        except InputError as error:
            complain(error, "The changes of this link cannot be shown.")
        else:
            self._set(out, new)

    def to_address(self) -> None:
        """Write the edits into the address."""
        edits = self.edits()
        put("edits", pack({"out": edits.out, "new": dict(edits.new)}) if edits else None)


def _checked(found: Any, n: int) -> tuple[list[int], dict[int, str]]:
    """Return edits of an address.

    Raises:
        InputError: they do not fit a text of n words.
    """
    try:
        out = list(dict.fromkeys(map(int, found["out"])))
        new = {int(i): str(word)[:LONGEST_WORD] for i, word in found["new"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(Fault.of(UNREADABLE.format("edits"))) from None
    if any(not 0 <= i < n for i in (*out, *new)) or set(out) & new.keys():
        raise InputError(Fault.of(f"the address holds edits of another text than these {n} words"))
    return out, new


def changes(held: LoadedModel, given: Given, reading: ModelReading, dial: float) -> Edits:
    """Draw what changes the text by hand: the list of words, undo, the minimal flip; return the edits."""
    desk = Desk(given.words)
    left, right = st.columns([4, 1], gap="medium", vertical_alignment="bottom")
    how = right.segmented_control(
        "How", ("delete", "mask"), default="delete", required=True, key="how", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    mode = cast(ErasureMode, how or "delete")
    with st.container(horizontal=True, key="edit", gap="small", vertical_alignment="center"):
        back = st.container(horizontal=True, gap="small", width="content")
        flip = reading.kind == "class" and _flip(desk, held, given, mode, dial)
        st.toggle("Two versions", key="versions", persist_state="session", disabled=not desk.edits(),
                  help="The text as it was beside the text as it is, each with its own colours.")  # fmt: skip
    with back:  # drawn after the flip, which can be taken back at once
        _undo(desk)
    if flip:
        _say_flip(cached.flip(held, given, mode, dial), reading, desk.edits(mode))
    if len(desk.words) <= MOST_LISTED:
        left.multiselect(
            "Words taken out", range(len(desk.words)), key=desk.out_key, persist_state="session",
            format_func=lambda i: f"{desk.words[i]} · {i + 1}",
            placeholder="click words above, or choose them here",
        )  # fmt: skip
    return desk.edits(mode)


def _undo(desk: Desk) -> None:
    """Draw the buttons that take steps back."""
    st.button("Undo", icon=":material/undo:", key="undo", on_click=desk.undo,
              disabled=not st.session_state.get(f"past-{desk.id}"))  # fmt: skip
    st.button("Start over", key="start-over", on_click=desk.put, args=([], {}), disabled=not desk.edits())


def _flip(desk: Desk, held: LoadedModel, given: Given, how: ErasureMode, dial: float) -> bool:
    """Draw the button of the minimal flip; return whether it was asked for on this text."""
    asked = (desk.id, how, dial, held.key)
    if st.button("Find a minimal flip", key="flip", icon=":material/swap_vert:",
                 disabled=len(desk.words) > MOST_WORDS, help=FLIP_HELP):  # fmt: skip
        found = cached.flip(held, given, how, dial)
        st.session_state.flip_asked = asked
        if found is not None:
            desk.put(list(found.words), {})
            st.session_state.hand = None
    return bool(st.session_state.get("flip_asked") == asked)


def _say_flip(found: Flip | None, reading: ModelReading, edits: Edits) -> None:
    """Say what was found, as long as it is what the page shows."""
    if found is None:
        st.html(html.note(f"No words were found whose removal changes {reading.label}."))
    elif edits.out == found.words and not edits.new:
        words, n = ", ".join(reading.words[i] for i in found.words), len(found.words)
        least = "no smaller set of words does that" if found.surely else "fewer may do, but none were found"
        st.html(html.note(f"Without {n} word{'s' * (n > 1)} ({words}) the answer is {found.label}; {least}."))
