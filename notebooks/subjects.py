"""What the notebooks look at: what is bundled, or what two environment variables point to.

RATIONALE_DATA: a folder with movies.tar.gz and hatexplain.tar.gz.
RATIONALE_MODELS: a folder of trained models: hatexplain-adapler, hatexplain-dense, movies-dense, movies-….
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

DATA, MODELS = "RATIONALE_DATA", "RATIONALE_MODELS"
MANY = 100  # examples of a real data set, drawn at random


def movies() -> dict[str, Any]:
    """Return film reviews: ERASER's where RATIONALE_DATA is set, else the bundled sample."""
    archive = _data("movies.tar.gz")
    return {"dataset": "sample"} if archive is None else {"dataset": archive, "sample": MANY}


def hatexplain() -> dict[str, Any] | None:
    """Return HateXplain with models trained on it; None unless both variables are set and have them."""
    archive, models = _data("hatexplain.tar.gz"), _models()
    if archive is None or models is None or not (model := models / "hatexplain-adapler").is_dir():
        return None
    dense = models / "hatexplain-dense"
    more = {"dense": dense if dense.is_dir() else None, "sample": 3 * MANY}
    return {"dataset": archive, "model": model, **more}


def trained() -> dict[str, Any]:
    """Return models whose speed is compared: the shipped one, RATIONALE_MODELS, and their dense one."""
    folder = _models()
    found = sorted(folder.glob("movies-*/config.json")) if folder else []
    models: dict[str, Any] = {file.parent.name: file.parent for file in found}
    dense = models.pop("movies-dense", None)
    shipped = {"shipped": None}
    return {"models": shipped} if dense is None else {"models": shipped | models, "dense": dense}


def _data(name: str) -> Path | None:
    """Return an archive in RATIONALE_DATA; None where the variable is not set."""
    if not (folder := os.environ.get(DATA)):
        return None
    if not (path := Path(folder) / name).is_file():
        raise FileNotFoundError(f"{DATA} is set, but there is no file {path.absolute()}")
    return path


def _models() -> Path | None:
    """Return the folder RATIONALE_MODELS; None where the variable is not set."""
    if not (folder := os.environ.get(MODELS)):
        return None
    if not (path := Path(folder)).is_dir():
        raise FileNotFoundError(f"{MODELS} is set, but there is no folder {path.absolute()}")
    return path
