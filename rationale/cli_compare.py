"""The command `rationale compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rationale.terminal import say, say_lines


def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of `rationale evaluate`, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.csv and compare.md.")] = Path("runs/compare"),
    metrics: Annotated[
        str | None, typer.Option(help="Comma-separated; default accuracy, agreement and faithfulness.")
    ] = None,
) -> None:
    """Set runs side by side (models, seeds, methods) on the examples they share, with paired differences."""
    from rationale.compare import COMPARED, write_comparison

    names = COMPARED if metrics is None else tuple(metrics.split(","))
    say_lines(write_comparison(runs, names, out))
    say(f"written: {out}/compare.csv, {out}/compare.md")
