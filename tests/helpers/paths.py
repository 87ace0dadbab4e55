"""Where the real data and the official numbers lie; a test that needs them skips where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / "app")))  # of processes that tests start


def golden() -> Path:
    return _there("RATIONALE_GOLDEN", "golden")


def data(name: str, ending: str = "tar.gz") -> Path:
    archive = _there("RATIONALE_DATA", "data") / f"{name}.{ending}"
    if not archive.is_file():
        pytest.skip(f"needs {archive}")
    return archive


def _there(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable) or SHARED / folder)
    if not path.is_dir():
        pytest.skip(f"needs the folder {path} (or another one in {variable})")
    return path
