"""The command `rationale`. Commands import what they need when they run: scoring needs no torch."""

from __future__ import annotations

import json
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from eraser.errors import Fault, InputError
from rationale.cli_app import app_command
from rationale.cli_attribute import attribute_command
from rationale.cli_compare import compare_command
from rationale.cli_data import import_command
from rationale.cli_evaluate import evaluate_command
from rationale.cli_options import (
    AsJson,
    DataPath,
    DatasetName,
    ExtraLabels,
    Precision,
)
from rationale.cli_speeds import speeds_command
from rationale.cli_train import train_app, tune_app
from rationale.cli_train_adaptive import train_dact_command, train_inforcoef_command, train_prune_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which words decided, do people agree, can it be trusted, what did it cost?",
)
data_app = typer.Typer(no_args_is_help=True, help="Fetch, list and describe data sets.")
app.add_typer(data_app, name="data")
data_app.command("import")(import_command)
train_app.command("dact")(train_dact_command)
train_app.command("inforcoef")(train_inforcoef_command)
train_app.command("prune")(train_prune_command)
app.add_typer(train_app, name="train")
app.add_typer(tune_app, name="tune")
app.command("evaluate")(evaluate_command)
app.command("attribute")(attribute_command)
app.command("compare")(compare_command)
app.command("speeds")(speeds_command)
app.command("app")(app_command)


def main() -> None:
    """Run the command line; bad input is a line a fault on standard error, and exit code 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name or an id may be what no encoding can write
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        _fail(2, *(f"error: {line}" for line in str(error).splitlines()))
    except OSError as error:  # a folder that is a file, no permission, a full disk
        place = "" if error.filename is None else f"{error.filename}: "
        _fail(2, f"error: {place}expected a usable file or folder, got {error.strerror or error}")
    except ModuleNotFoundError as error:
        extra = {"ray": "ray", "streamlit": "app"}.get(error.name or "", "models")
        advice = f"pip install 'rationale-suite[{extra}]' (in a checkout: '.[{extra}]')"
        _fail(2, f"error: {error.name} is not installed: {advice}")
    except KeyboardInterrupt:
        _fail(130, "stopped; run the same command again to go on")


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise SystemExit(code) from None


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that can be fetched, and which are there."""
    from eraser.download import status

    rows = status()
    if as_json:
        typer.echo(json.dumps([r.__dict__ if hasattr(r, "__dict__") else r for r in rows], default=str))
        return
    for row in rows:
        place = f" ({row.path})" if row.state == "here" else ""
        typer.echo(f"{row.name:20} {row.state:10} {row.description}{place}")


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets, see `rationale data list`.")],
    force: Annotated[bool, typer.Option(help="Fetch again what is there.")] = False,
) -> None:
    """Download data sets into the cache folder, check and unpack them."""
    from eraser.download import fetch

    for name in names:
        typer.echo(f"{name}: {fetch(name, force=force)}")


@data_app.command("describe")
def data_describe(dataset: DatasetName = "sample", data: DataPath = None, as_json: AsJson = False) -> None:
    """Say what a data set holds and what was left out of it."""
    from eraser.load import load

    loaded = load(dataset, data)
    facts: dict[str, Any] = {
        "name": loaded.name,
        "labels": loaded.labels,
        "notes": loaded.notes,
        "splits": {},
    }
    for split, examples in loaded.splits.items():
        facts["splits"][split] = {
            "examples": len(examples),
            "with_evidence": sum(bool(e.gold) for e in examples),
            "evidence_spans": sum(len(e.evidence) for e in examples),
            "human_share": round(loaded.human_share(split), 4),
        }
    if as_json:
        typer.echo(json.dumps(facts).replace("NaN", "null"))
        return
    typer.echo(f"{loaded.name}: labels {', '.join(loaded.labels)}")
    for split, row in facts["splits"].items():
        typer.echo(f"  {split:6}" + "  ".join(f"{k} {v}" for k, v in row.items()))
    for note in loaded.notes:
        typer.echo(f"  note: {note}")


@app.command("compress")
def compress_command(
    model: Annotated[Path, typer.Option(help="Folder of a trained classifier.")],
    out: Annotated[Path, typer.Option(help="Folder for the small copy.")],
) -> None:
    """Store a model in about a quarter of its size: matrices in eight bits, the rest in sixteen."""
    from rationale.compress import compress

    typer.echo(f"{out}: {compress(model, out) / 1e6:.1f} MB")


@app.command("bench")
def bench_command(  # noqa: PLR0913 (one option each)
    model: Annotated[str | None, typer.Option(help="Folder or hub id of a model that drops tokens.")] = None,
    suite: Annotated[
        str | None, typer.Option(help="Instead a grid of sizes, lengths and batches: gpu or cpu.")
    ] = None,
    dataset: DatasetName = "sample",
    data: DataPath = None,
    split: str = "test",
    windows: Annotated[int, typer.Option(help="How many windows of the split to time.")] = 256,
    batch_size: int = 32,
    rounds: int = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default torch's own choice.")] = None,
    dial: Annotated[
        bool, typer.Option("--dial", help="Instead draw accuracy and agreement against speed.")
    ] = False,
    dials: Annotated[str | None, typer.Option(help="Dials to draw, comma-separated.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is drawn or measured.")] = Path("runs/bench"),
    precision: Precision = "auto",
    device: str = "auto",
) -> None:
    """Measure speed beside counted operations: Hugging Face dense, ours dense, ours with removal."""
    import torch

    from eraser.load import load
    from rationale.bench import bench, table
    from rationale.hf import cast_once, load_classifier
    from rationale.memory import keep_freed_memory

    if windows < 1 or (threads is not None and threads < 1):
        raise InputError(Fault("at least 1 window and 1 thread", f"{windows}, {threads}"))
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    if suite is not None:
        _run_suite(suite, device, out)
        return
    if model is None:
        raise InputError(Fault("a model (--model) or a grid (--suite)", "neither"))
    loaded = load(dataset, data)
    examples = loaded.examples(split)
    classifier = cast_once(load_classifier(model, device=device, precision=precision))
    if dial or dials:
        _draw_dial(classifier, loaded, split, dials, out)
        return
    encoded = classifier.encoder.encode([loaded.text(e) for e in examples])
    flat = [w for text in encoded for w in text][:windows]
    typer.echo(table(bench(classifier, flat, batch_size, rounds)))


def _run_suite(name: str, device: str, out: Path) -> None:
    from eraser.write import write_json, write_text
    from rationale.bench_suite import SUITES, as_table, run_suite, where
    from rationale.hf import pick_device

    place = pick_device(device)
    if name not in SUITES:
        raise InputError(Fault(f"a suite of {', '.join(SUITES)}", repr(name)))
    if name == "gpu" and device == "auto" and place.type == "cpu":
        raise InputError(Fault("a GPU (or --device cpu, which takes very long)", "none"))
    facts, cells = where(place), []
    for cell in run_suite(SUITES[name], place):
        cells.append(cell)
        write_json(out / f"{name}.json", facts | {"cells": [c.__dict__ for c in cells]})
    table = as_table(cells)
    write_text(out / f"{name}.csv", table.to_csv(index=False))
    typer.echo(f"{facts['device']}, torch {facts['torch']}\n{table.round(2).to_string(index=False)}")


def _draw_dial(classifier: Any, loaded: Any, split: str, dials: str | None, out: Path) -> None:
    from eraser.write import write_text
    from rationale.cli_train import numbers
    from rationale.frontier import DIALS, dial_table
    from rationale.plots import dial_figure, png

    found = dial_table(classifier, loaded, split, DIALS if dials is None else numbers(dials))
    write_text(out / "dial.csv", found.to_csv(index=False))
    (out / "dial.png").write_bytes(png(dial_figure(found)))
    typer.echo(found.round(3).to_string(index=False))
    typer.echo(f"written: {out}/dial.csv, {out}/dial.png")


@app.command("score")
def score_command(
    predictions: Annotated[Path, typer.Option(help="Official-format .jsonl file.")],
    data: Annotated[Path, typer.Option(help="ERASER-format folder or .tar.gz.")],
    split: str = "test",
    official: Annotated[Path | None, typer.Option(help="Also write the official scorer's JSON here.")] = None,
    extra_label: ExtraLabels = None,
) -> None:
    """Score any system's predictions as the official ERASER scorer does; needs no torch."""
    from eraser.load import Source
    from eraser.official import score_official
    from eraser.write import write_text

    found = score_official(Source(data), split, predictions, extra_labels=tuple(extra_label or ()))
    text = json.dumps(found, indent=4, sort_keys=True)
    if official is not None:
        write_text(official, text + "\n")
    typer.echo(text)


@app.command("check")
def check_command(
    predictions: Annotated[Path, typer.Option(help="Official-format .jsonl file.")],
    data: Annotated[Path, typer.Option(help="ERASER-format folder or .tar.gz.")],
    split: str = "test",
    extra_label: ExtraLabels = None,
) -> None:
    """List everything wrong with a prediction file; exit code 2 if the official scorer would refuse it."""
    from eraser.check import check_predictions
    from eraser.inputs import Settings
    from eraser.load import Source

    settings = Settings(extra_labels=tuple(extra_label or ()))
    found = check_predictions(Source(data), split, predictions, settings)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")
    if found.faults:
        raise InputError(*found.faults)
    typer.echo(f"{predictions}: no faults, {len(found.warnings)} warnings")
