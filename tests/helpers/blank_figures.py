"""Figures left blank: making and drawing them takes longer than all else of a small run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rationale.report import write
from rationale.report.figures import FIGURES
from rationale.report.summary import Tables

NEEDS = {"methods": "agreement", "layers": "layers"}  # figure → the table without which a run has none


def leave_blank(patch: pytest.MonkeyPatch) -> None:
    """A run has the same figures as ever, by name, with nothing in them; others are made and not drawn."""
    blank = {name: replace(d, make=partial(_made, name)) for name, d in FIGURES.items()}
    patch.setattr(write, "FIGURES", blank)
    patch.setattr(Figure, "draw_without_rendering", lambda self: None)
    patch.setattr(Figure, "savefig", _save)


def _made(name: str, tables: Tables, budget: str) -> Figure | None:
    lacks = name in NEEDS and getattr(tables, NEEDS[name]).empty
    return None if lacks else Figure()


def _save(figure: Figure, to: Any, **how: Any) -> None:
    Image.new("L", (300, 200), 255).save(to, "PNG")
