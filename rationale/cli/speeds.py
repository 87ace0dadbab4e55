"""The command `rationale speeds`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from rationale.cli.train import of_data
from rationale.process.terminal import digits, say, say_lines, say_next

PRINTED_COLUMNS = (
    *("model", "dial", "flops", "wall", "wall_of_flops", "exit_layer"),
    *("accuracy", "accuracy_low", "accuracy_high", "loss", "loss_low", "loss_high"),
)

Ways = Annotated[
    str,
    typer.Option(
        help="What people deploy instead, and our ways, to compare on one text at a time and in batches: "
        "all, none, or names such as onnx-int8,openvino-bf16,exported-int8. On a CPU only."
    ),
]
HEADS = {"flops": "flops ↑", "wall": "wall ↑", "accuracy": "accuracy ↑", "loss": "loss ↓"}


def speeds_command(  # noqa: PLR0913 (one option each)
    models: Annotated[list[str], typer.Argument(help="Trained models, each FOLDER or NAME=FOLDER.")],
    dense: Annotated[str, typer.Option(help="Dense model to compare with.")],
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = "test",
    dials: Annotated[
        str, typer.Option(help="Dial settings of the models that have a dial, comma-separated.")
    ] = "1",
    windows: Annotated[int, typer.Option(help="Number of windows of the split to time.")] = 256,
    batch_size: BatchSize = 32,
    rounds: Rounds = 3,
    threads: Threads = None,
    ways: Ways = "all",
    out: Annotated[Path, typer.Option(help="Folder for speeds.csv, areas.csv, ways.csv and figures.")] = Path(
        "runs/speeds"
    ),
    precision: Precision = "auto",
    device: Device = "auto",
    seed: IntervalSeed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Compare models: accuracy against FLOPs and measured time, and the area under each curve."""
    from eraser.load import load
    from rationale.bench.speeds import SpeedSettings, area, speed_table
    from rationale.bench.ways import ways_named
    from rationale.cli.train import numbers
    from rationale.hf.memory import keep_freed_memory
    from rationale.inference.capabilities import is_efficient

    use_threads(threads)
    keep_freed_memory()
    loaded = load(dataset, data, split=split)
    settings = SpeedSettings(split, tuple(numbers(dials)), windows, batch_size, rounds, seed)
    settings.check()
    named, asked = ways_named(ways), _named(models)
    how = {"precision": precision, "device": device, "ways": named}
    if _is_done(out, {"dense": dense, **asked}, loaded, settings, how, overwrite):
        return
    found = {name: loaded_model(path, device, precision) for name, path in asked.items()}
    table = speed_table(loaded_model(dense, device, precision), found, loaded, settings)
    beside = _beside(dense, models, loaded, settings, named) if named and on_cpu(device) else None
    labels = [e.label for e in loaded.splits[split]]
    areas = area(table, max(map(labels.count, set(labels))) / len(labels))
    _write(table, areas, beside, out)
    say(f"{loaded.name} {split}, n = {len(labels)}; {table['where'].dropna().iloc[0]}")
    _say(table, areas, beside)
    name, path = next(iter(asked.items()))
    beside_it = ("--dense", dense) if is_efficient(found[name]) else ()  # else it is explained itself
    say_next("evaluate", *of_data(dataset, data), "--model", path, *beside_it)


def _is_done(  # noqa: PLR0913 (what a result depends on, and where it goes)
    out: Path, models: dict[str, str], dataset: Any, settings: Any, how: dict[str, Any], overwrite: bool
) -> bool:
    """Take the folder for this work; return whether it holds it already, and say so."""
    from dataclasses import asdict

    import torch

    from eraser.files.content import content_of_examples
    from eraser.files.owned import claim
    from rationale.hf.folder_checks import content_of_model

    of = {**asdict(settings), **how, "threads": torch.get_num_threads()}
    of |= {"content_of_data": content_of_examples(dataset, dataset.examples(settings.split))}
    of |= {f"content_of_{name}": content_of_model(path) for name, path in models.items()}
    done = claim(out, "speeds", of, (*models.values(), dataset.source), (), overwrite)
    if done:
        say(f"already done: {out}", err=True)
    return done


def _write(table: Any, areas: Any, beside: Any, out: Path) -> None:
    """Write tables and figures to the folder that was claimed."""
    from eraser.files.cells import as_csv
    from eraser.files.owned import together
    from eraser.files.whole import write_bytes, write_text
    from rationale.report.plots import png, speed_figure

    with together(out) as new:
        write_text(new / "speeds.csv", as_csv(table))
        write_text(new / "areas.csv", as_csv(areas.rename_axis("model").reset_index(name="area")))
        write_bytes(new / "speeds.png", png(speed_figure(table)))
        if beside is not None:
            _write_ways(beside, new)


def _say(table: Any, areas: Any, beside: Any) -> None:
    """Print models and dials, the areas, and what people deploy instead."""
    shown = table[list(PRINTED_COLUMNS)].rename(columns=HEADS)
    say_lines(shown.to_string(index=False, float_format=digits))
    say("area under accuracy over the fraction of the dense FLOPs ↑")
    say_lines(areas.to_string(float_format=digits))
    if beside is not None:
        say_side_by_side(beside)


def _named(models: list[str]) -> dict[str, str]:
    """Read NAME=FOLDER; a folder without a name gets its own."""
    named = [("", m) if Path(m).is_dir() or "=" not in m else m.split("=", 1) for m in models]
    pairs = [(name or Path(path).name, path) for name, path in named]
    names = [name for name, _ in pairs]
    if twice := [n for n in names if names.count(n) > 1 or n == "dense"]:
        raise InputError(Fault("models of different names, none of them dense", twice[0]))
    return dict(pairs)


def loaded_model(path: str, device: str, precision: Any) -> Any:
    """Load a model for inference: if it runs in bf16, its matrices are rounded once."""
    from rationale.hf.classifier import cast_once, load_classifier

    return cast_once(load_classifier(path, device=device, precision=precision))


def on_cpu(device: str) -> bool:
    """Return whether a device is the CPU, the only one on which runtimes are compared; if not, say so."""
    from rationale.hf.device import pick_device

    if pick_device(device).type == "cpu":
        return True
    say("what people deploy instead is compared on the CPU only: --device cpu", err=True)
    return False


def _beside(dense: str, models: list[str], dataset: Any, settings: Any, ways: tuple[str, ...]) -> Any:
    """Time the models beside common runtimes of the dense model."""
    from rationale.bench.side_by_side import side_by_side

    ours = {name: loaded_model(path, "cpu", "float32") for name, path in _named(models).items()}
    return side_by_side(loaded_model(dense, "cpu", "float32"), ours, dataset, settings, ways)


def say_side_by_side(found: Any) -> None:
    """Print a model beside common runtimes, the fastest first."""
    from rationale.bench.ways_table import as_text

    say_lines(as_text(found))


def write_side_by_side(found: Any, out: Path) -> None:
    """Write that table and its figure to a folder that was claimed."""
    from eraser.files.owned import together

    with together(out) as new:
        _write_ways(found, new)


def _write_ways(found: Any, folder: Path) -> None:
    from eraser.files.cells import as_csv
    from eraser.files.whole import write_bytes, write_text
    from rationale.report.plots import png
    from rationale.report.ways_figure import ways_figure

    write_text(folder / "ways.csv", as_csv(found.table))
    write_bytes(folder / "ways.png", png(ways_figure(found.table)))
