"""The command `rationale app`: the viewer, a Streamlit server on this machine alone."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from eraser.errors import Fault, InputError
from rationale.cli.options import DataPath, DatasetName

FOLDERS = ("RATIONALE_CACHE", "HF_HOME", "HF_HUB_CACHE")  # in the environment


def app_command(
    model: Annotated[
        list[str] | None, typer.Option(help="Model folder, or a folder of them; default the shipped one.")
    ] = None,
    dataset: DatasetName = "sample",
    data: DataPath = None,
    run: Annotated[
        list[str] | None, typer.Option(help="Run folder of `rationale evaluate`, or a folder of them.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of the page, on this machine alone.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the viewer: what the model used, next to what people marked."""
    if find_spec("streamlit") is None:
        raise ModuleNotFoundError("streamlit", name="streamlit")
    from rationale.process import children
    from rationale.process.viewer import use_own_package

    use_own_package()
    from app.start import VARIABLE, Start

    models, runs = tuple(model or ()), tuple(run or ())
    _must_exist([*(m for m in models if _is_local(m)), *runs, *([] if data is None else [str(data)])])
    full = tuple(_full(m) if _is_local(m) else m for m in models)
    start = Start(full, dataset, None if data is None else _full(data), tuple(map(_full, runs)), _full("."))
    told = {VARIABLE: start.as_json()} | {n: _full(os.environ[n]) for n in FOLDERS if os.environ.get(n)}
    script = _script()
    # Streamlit reads settings and secrets from a folder .streamlit in the current one: strangers' there.
    found = children.run(
        "rationale.process.viewer", ["run", *server(script, port, browser)], told, cwd=script.parent
    )
    raise typer.Exit(found.returncode)


def _full(path: str | Path) -> str:
    """Return a path that means the same in any current folder."""
    return str(Path(path).absolute())


def _script() -> Path:
    """Return what Streamlit serves."""
    import app.pages

    return Path(app.pages.__file__).resolve().parent / "served.py"


def server(script: Path, port: int, browser: bool) -> list[str]:
    """Return what Streamlit is told: this machine alone, nothing sent anywhere, the viewer's colours."""
    from app.colours import BAR, INK, PANEL, PAPER

    told: dict[str, object] = {
        "server.address": "localhost",
        "server.port": port,
        "server.headless": not browser,
        "server.fileWatcherType": "none",
        "server.enableCORS": True,  # whatever a .streamlit/config.toml in the home folder says
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.disableDataExport": True,  # it would not quote; each table has a CSV of ours
    }
    colours = {
        "primaryColor": BAR,
        "backgroundColor": PAPER,
        "secondaryBackgroundColor": PANEL,
        "textColor": INK,
    }
    for theme in ("light", "dark"):
        told |= {f"theme.{theme}.{name}": getattr(colour, theme) for name, colour in colours.items()}
    return [str(script), *(f"--{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in told.items())]


def _is_local(path: str) -> bool:
    """Return whether a model is a folder here rather than a hub id (`owner/name`) or a function."""
    from rationale.named import is_function

    if is_function(path):
        return False
    return Path(path).exists() or path.startswith((".", "/", "~")) or path.count("/") != 1


def _must_exist(paths: list[str]) -> None:
    if missing := [p for p in paths if not Path(p).exists()]:
        raise InputError(*(Fault("a folder", "nothing there", p) for p in missing))
