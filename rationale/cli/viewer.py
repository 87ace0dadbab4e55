"""The command `rationale app`: the viewer, a Streamlit server on this machine alone."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from eraser.errors import Fault, InputError
from rationale.cli.options import DataPath, DatasetName

VIEWER = "rationale_viewer"  # started as a process of its own: nothing here imports it
VARIABLE = "RATIONALE_APP"  # in its environment: what is opened (rationale_viewer.session.start)
FOLDERS = ("RATIONALE_CACHE", "HF_HOME", "HF_HUB_CACHE")  # in the environment


def app_command(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model folder, or a folder of model folders; default the shipped model."),
    ] = None,
    dataset: DatasetName = None,
    data: DataPath = None,
    run: Annotated[
        list[str] | None, typer.Option(help="Run folder of `rationale evaluate`, or a folder of run folders.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page, which only this machine can open.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the viewer: what the model used, next to what annotators marked."""
    viewer = find_spec(VIEWER)
    if viewer is None or viewer.origin is None or find_spec("streamlit") is None:
        raise ModuleNotFoundError("streamlit", name="streamlit")
    from eraser.load import named
    from rationale.process import children

    models, runs = tuple(model or ()), tuple(run or ())
    _must_exist([*(m for m in models if _is_local(m)), *runs, *([] if data is None else [str(data)])])
    start = {
        "models": [_full(m) if _is_local(m) else m for m in models],
        "dataset": named(dataset, data),
        "data": None if data is None else _full(data),
        "runs": [_full(r) for r in runs],
        "here": _full("."),
    }
    told = {VARIABLE: json.dumps(start)} | {n: _full(os.environ[n]) for n in FOLDERS if os.environ.get(n)}
    # Streamlit reads settings and secrets from a folder .streamlit in the current one, which is not trusted.
    installed = Path(viewer.origin).resolve().parent
    how = [str(port), "browser" if browser else "none"]
    found = children.run(VIEWER, how, told, cwd=installed)
    raise typer.Exit(found.returncode)


def _full(path: str | Path) -> str:
    """Return the path, absolute if it is local."""
    return str(Path(path).absolute())


def _is_local(path: str) -> bool:
    """Return whether a model is a folder here rather than a hub id (`owner/name`) or a function."""
    from rationale.named import is_function

    if is_function(path):
        return False
    return Path(path).exists() or path.startswith((".", "/", "~")) or path.count("/") != 1


def _must_exist(paths: list[str]) -> None:
    if missing := [p for p in paths if not Path(p).exists()]:
        raise InputError(*(Fault.of("no such folder", p) for p in missing))
