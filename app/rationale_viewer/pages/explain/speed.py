"""What dropping words saved on this text: counted at once, measured when the fold is open."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from rationale_viewer.compute import cached
from rationale_viewer.compute.explain import SLOW, Layers, Times, reached
from rationale_viewer.pages.explain.asked import Explained
from rationale_viewer.view import html

GIGA = 1e9


def speed_facts(shown: Explained) -> None:
    """Draw the numbers of the text, and of each layer."""
    held, given, reading, asked = shown.held, shown.given, shown.reading, shown.asked
    place = st.empty()
    place.html(_drawn(reading.layers, None, None))
    spent = shown.scored.milliseconds, "one call"
    if asked.method not in SLOW:
        cost = cached.cost(held, given, shown.label, asked.dial, asked.method)
        spent = cost, "fastest of several calls"
    times = None if reading.layers is None else cached.times(held, given, asked.dial)
    place.html(_drawn(reading.layers, times, (asked.method, *spent)))
    st.caption("Measured on this machine after warming up, with and without dropping in turns; fastest kept.")


def _drawn(layers: Layers | None, times: Times | None, cost: tuple[str, float, str] | None) -> Markup:
    facts = [] if layers is None else _of_text(layers, times)
    if cost is not None:
        method, milliseconds, how = cost
        facts.append((f"{milliseconds:.0f} ms", f"to score by {method}", how))
    return html.facts(facts) + ("" if layers is None else html.table(*_of_layers(layers, times)))


def _of_text(layers: Layers, times: Times | None) -> list[tuple[str, str, str]]:
    """Return the numbers of the whole text; those of time stay open until they are measured."""
    depth, begin = len(layers.tokens) - 1, layers.tokens[0]
    cost, dense = layers.flops[-1], layers.dense_flops[-1]
    facts = [
        (f"layer {reached(layers)} of {depth}", "reached", f"{layers.tokens[depth]} of {begin} tokens left"),
        (*_times(cost, dense, "fewer FLOPs than dense", "FLOPs saved"), _of(cost, dense)),
    ]
    if times is None:
        return [*facts, ("…", "time", "being measured")]
    took, would = times.seconds[-1], times.dense_seconds[-1]
    return [*facts, (*_times(took, would, "faster than dense", "time saved"), _ms(took, would))]


def _times(took: float, would: float, less: str, saved: str) -> tuple[str, str]:
    """Return how many times less was spent, and what of; nothing is ever saved where it takes as much.

    >>> _times(1.0, 4.0, "faster", "time saved"), _times(4.1, 4.0, "faster", "time saved")
    (('4.00x', 'faster'), ('none', 'time saved'))
    """
    return (f"{would / took:.2f}x", less) if took < would else ("none", saved)


def _of_layers(layers: Layers, times: Times | None) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table of layers."""
    rows = []
    for k in range(1, len(layers.tokens)):
        took = None if times is None else (times.seconds[k], times.dense_seconds[k])
        rows.append([
            f"{k}", f"{layers.tokens[k]}", _saved(layers.flops[k], layers.dense_flops[k]),
            "…" if took is None else f"{_saved(*took)} ({_ms(*took)})",
        ])  # fmt: skip
    return ["layer", "tokens", "FLOPs saved so far", "time saved so far"], rows


def _saved(took: float, would: float) -> str:
    """Return the share that is saved; nothing is ever saved where it takes more.

    >>> _saved(1.0, 4.0), _saved(4.1, 4.0)
    ('75%', 'none')
    """
    return f"{1 - took / would:.0%}" if took < would else "none"


def _of(ours: float, dense: float) -> str:
    return f"{ours / GIGA:.3f} of {dense / GIGA:.3f} GFLOPs"


def _ms(took: float, would: float) -> str:
    return f"{took * 1000:.1f} of {would * 1000:.1f} ms"
