"""What the notebooks look at: what is bundled, or what two environment variables point to.

RATIONALE_DATA: a folder with movies.tar.gz and hatexplain.tar.gz.
RATIONALE_MODELS: a folder of trained models: hatexplain-adapler, hatexplain-dense, movies-dense, movies-….
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

MANY = 100  # examples of a real data set, drawn at random


def movies() -> dict[str, Any]:
    """Return film reviews: ERASER's where RATIONALE_DATA has them, else the bundled sample."""
    archive = _in("RATIONALE_DATA", "movies.tar.gz")
    return {"dataset": "sample"} if archive is None else {"dataset": archive, "sample": MANY}


def hatexplain() -> dict[str, Any] | None:
    """Return HateXplain with models trained on it; None unless both variables have them."""
    archive, model = _in("RATIONALE_DATA", "hatexplain.tar.gz"), _in("RATIONALE_MODELS", "hatexplain-adapler")
    if archive is None or model is None:
        return None
    dense = _in("RATIONALE_MODELS", "hatexplain-dense")
    return {"dataset": archive, "model": model, "dense": dense, "sample": 3 * MANY}


def trained() -> dict[str, Any]:
    """Return models whose speed is compared: the shipped one, RATIONALE_MODELS, and their dense one."""
    folder = os.environ.get("RATIONALE_MODELS")
    found = sorted(Path(folder).glob("movies-*/config.json")) if folder else []
    models: dict[str, Any] = {file.parent.name: file.parent for file in found}
    dense = models.pop("movies-dense", None)
    shipped = {"shipped": None}
    return {"models": shipped} if dense is None else {"models": shipped | models, "dense": dense}


def _in(variable: str, name: str) -> Path | None:
    folder = os.environ.get(variable)
    path = Path(folder) / name if folder else None
    return path if path is not None and path.exists() else None
