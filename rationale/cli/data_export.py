"""The command `rationale data export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eraser.errors import Fault, InputError
from rationale.process.terminal import say, say_next

if TYPE_CHECKING:
    from eraser.data.export.suggestions import Suggested
    from eraser.types import Dataset


def export_command(  # noqa: PLR0913 (one option each)
    dataset: Annotated[str, typer.Argument(help="Name, folder, archive or file of a data set.")],
    form: Annotated[
        Literal["label-studio", "doccano", "prodigy", "argilla", "parquet"],
        typer.Option(help="Form to write: that of an annotation tool, or a Parquet table."),
    ],
    out: Annotated[Path, typer.Option(help="File to write; it must not exist.")],
    split: Annotated[
        list[str] | None, typer.Option(help="Split to write; may be repeated; by default all.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run folder of `rationale evaluate`: write a method's rationales, to be corrected."
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method of --run.")] = None,
) -> None:
    """Write a data set, or a method's rationales to be corrected, for an annotation tool."""
    from eraser.data.export.write import export
    from eraser.load import load

    loaded = load(None, dataset) if Path(dataset).exists() else load(dataset)
    suggested = None if run is None and method is None else _of_run(run, method)
    splits = tuple(split or (() if run is None else _split_of(run, loaded)))
    found = export(loaded, form, out, splits, suggested)
    say(f"{out}: {found.texts} texts of {loaded.name}, in the form {form}")
    for note in found.notes:
        say(f"  note: {note}")
    say_next("data", "import", "--file", out, *found.options, "--out", f"data/{loaded.name}-corrected")


def _split_of(run: Path, dataset: Dataset) -> tuple[str, ...]:
    """Return the split that a run is of, where it says so and the data set has it."""
    from rationale.evaluation.stored.run_folder import read_facts

    split = ((read_facts(run) or {}).get("settings") or {}).get("split")
    return (split,) if split in dataset.splits else ()


def _of_run(run: Path | None, method: str | None) -> tuple[str, dict[str, Suggested]]:
    """Return a method's name, and what it said of each text of a run."""
    from eraser.data.export.suggestions import read_suggestions
    from rationale.evaluation.stored.run_folder import read_own

    if run is None or method is None:
        given = "--run" if method is None else "--method"
        raise InputError(Fault("--run and --method together", f"only {given}"))
    name = f"predictions/{method}.jsonl"
    text = read_own(run, name) if Path(name).name == f"{method}.jsonl" else None
    if text is None:
        there = sorted(f.stem for f in (run / "predictions").glob("*.jsonl"))
        raise InputError(Fault(f"a method of {', '.join(there) or 'a run'}", repr(method), run))
    return method, read_suggestions(text, str(run / name))
