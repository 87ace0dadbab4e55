"""The command `rationale exits`: rules for early exits, side by side on the same models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eraser.errors import Fault, InputError
from rationale.cli.options import (
    BatchSize,
    DataPath,
    DatasetName,
    Device,
    IntervalSeed,
    Overwrite,
    Precision,
    Rounds,
    Split,
    Threads,
    use_threads,
)
from rationale.cli.speeds import loaded_model
from rationale.cli.train import numbers, of_data
from rationale.process.terminal import digits, say, say_lines, say_next
from rationale.settings import names_in

if TYPE_CHECKING:
    import pandas as pd

HEADS = {"accuracy": "accuracy ↑", "wall": "wall ↑", "value": "value ↑", "ahead": "ahead ↑"}
RULES = "published,tight,entropy,patience,depth"


def exits_command(  # noqa: PLR0913 (one option each)
    models: Annotated[
        list[str],
        typer.Argument(
            help="Trained models with a head at each layer: NAME=FOLDER,FOLDER,… lists the models of "
            "one training that differ in their seed. With several trainings each rule uses the best."
        ),
    ],
    dataset: DatasetName = None,
    data: DataPath = None,
    rules: Annotated[
        str, typer.Option(help="Rules, comma-separated; the first is compared with the others.")
    ] = RULES,
    budgets: Annotated[
        str,
        typer.Option(
            help="Compute budgets to compare at, as fractions of the dense model's FLOPs, comma-separated."
        ),
    ] = "1/6,1/4,1/3,1/2",
    choose_on: Annotated[str, typer.Option(help="Split on which dials and trainings are chosen.")] = "val",
    split: Split = "test",
    windows: Annotated[int, typer.Option(help="Number of windows to time; 0 times nothing.")] = 256,
    batch_size: BatchSize = 32,
    rounds: Rounds = 5,
    threads: Threads = None,
    out: Annotated[
        Path, typer.Option(help="Folder for frontier.csv, differences.csv, times.csv, exits.png.")
    ] = Path("runs/exits"),
    precision: Precision = "auto",
    device: Device = "auto",
    seed: IntervalSeed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Compare rules for early exits: accuracy against FLOPs over their whole range, areas, times."""
    from dataclasses import asdict

    import pandas as pd
    import torch

    from eraser.files.content import content_of_examples
    from eraser.files.owned import claim
    from eraser.load import load
    from rationale.bench.exit_table import ExitSettings, compare_exits, difference_table, frontier_table
    from rationale.hf.folder_checks import content_of_model
    from rationale.hf.memory import keep_freed_memory

    use_threads(threads)
    keep_freed_memory()
    settings = ExitSettings(names_in(rules), _fractions(budgets), choose_on, split, seed)
    settings.check()
    if windows < 0 or min(batch_size, rounds) < 1:
        raise InputError(
            Fault("at least 0 windows, a batch size of 1 and 1 round", f"{(windows, batch_size, rounds)}")
        )
    loaded = load(dataset, data)
    folders = _folders(models)
    of = {**asdict(settings), "precision": precision, "device": device}
    of |= {"windows": windows, "batch_size": batch_size, "rounds": rounds}
    of |= {"threads": torch.get_num_threads()}
    examples = [e for s in (choose_on, split) for e in loaded.examples(s)]
    of |= {"content_of_data": content_of_examples(loaded, examples)}
    of |= {f"content_of_{name}": [content_of_model(f) for f in found] for name, found in folders.items()}
    flat = [f for found in folders.values() for f in found]
    if claim(out, "exits", of, (*flat, loaded.source), (), overwrite):
        say(f"already done: {out}", err=True)
        return
    ready = {n: [partial(loaded_model, f, device, precision) for f in found] for n, found in folders.items()}
    found = compare_exits(ready, loaded, settings)
    tables = {"frontier": frontier_table(found), "differences": difference_table(found)}
    first = {name: of_name[0] for name, of_name in ready.items()}
    if windows and (times := _timed(found, first, loaded, (windows, batch_size, rounds))):
        tables["times"] = pd.concat(times)
    _write(out, tables)
    say(f"{loaded.name}: chosen on {choose_on}, measured on {split}, n = {len(found.nothing)}")
    _print(tables)
    say_next("evaluate", *of_data(dataset, data), "--model", flat[0])


def _fractions(text: str) -> tuple[float, ...]:
    """Parse numbers, or fractions such as 1/6."""
    pairs = [(part, *part.partition("/")) for part in text.split(",")]
    found = []
    for part, above, stroke, below in pairs:
        (top,) = numbers(above)
        (bottom,) = numbers(below) if stroke else (1.0,)
        if bottom == 0:
            raise InputError(Fault("a fraction", repr(part)))
        found.append(top / bottom)
    return tuple(found)


def _folders(models: list[str]) -> dict[str, list[str]]:
    """Parse NAME=FOLDER,FOLDER; without NAME, the first folder's name is used."""
    found: dict[str, list[str]] = {}
    for given in models:
        name, stroke, rest = given.partition("=")
        folders = rest.split(",") if stroke else given.split(",")
        name = name if stroke else Path(folders[0]).name
        if name in found:
            raise InputError(Fault("trainings of different names", name))
        found[name] = folders
    return found


def _timed(found: Any, first: dict[str, Any], loaded: Any, size: tuple[int, int, int]) -> list[pd.DataFrame]:
    """Time the first seed's models, each rule at the dial chosen for each budget; none may be within one."""
    from rationale.bench.exit_table import time_exits

    windows, batch_size, rounds = size
    tables = []
    for name, load in first.items():
        classifier = load()
        texts = [loaded.text(e) for e in loaded.splits[found.settings.split]]
        flat = [w for text in classifier.encoder.encode(texts) for w in text][:windows]
        for budget in found.settings.budgets:
            firsts = {r: found.points(r, budget)[0] for r in found.settings.rules}
            dials = {r: of[1] for r, of in firsts.items() if of and of[0] == name}
            if dials:
                times = time_exits(
                    classifier, flat, {r: p.dial for r, p in dials.items()}, batch_size, rounds
                )
                flops = [1 / dials[r].share for r in times.rule]
                tables.append(times.assign(budget=budget, model=name, flops=flops))
    return tables


def _write(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    from eraser.files.cells import as_csv
    from eraser.files.owned import together
    from eraser.files.whole import write_bytes, write_text
    from rationale.report.plots import exit_figure, png

    with together(out) as new:
        for name, table in tables.items():
            write_text(new / f"{name}.csv", as_csv(table))
        write_bytes(new / "exits.png", png(exit_figure(tables["frontier"])))


def _print(tables: dict[str, pd.DataFrame]) -> None:
    _say_table("accuracy of the first rule, and how far it is ahead of each other", tables["differences"])
    if (times := tables.get("times")) is not None:
        title = f"really stopping, against Hugging Face's dense pass (first seed; {times['where'].iloc[0]})"
        _say_table(title, times.drop(columns="where"))


def _say_table(title: str, table: pd.DataFrame) -> None:
    say(title)
    say_lines(table.rename(columns=HEADS).to_string(index=False, float_format=digits))
