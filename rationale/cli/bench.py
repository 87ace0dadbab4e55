"""The command `rationale bench`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from eraser.errors import Fault, InputError
from rationale.cli.evaluate import ARROWS
from rationale.cli.from_settings import from_settings
from rationale.cli.options import (
    BatchSize,
    Compute,
    DataPath,
    DatasetName,
    Device,
    Overwrite,
    Precision,
    Split,
    Threads,
    use_threads,
)
from rationale.cli.speeds import Ways, loaded_model, on_cpu, say_side_by_side, write_side_by_side
from rationale.cli.train import of_data
from rationale.process.terminal import digits, say, say_lines, say_next

DIAL, WAYS_DRAWN = "bench --dial", "bench --plot"
SPLIT, WINDOWS, BATCH, ROUNDS, WAYS = "test", 256, 32, 5, "all"  # by default


@from_settings()
def bench_command(  # noqa: PLR0913 (one option each)
    model: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a model that drops tokens, stops early or is pruned."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Benchmark a preset grid (gpu or cpu) instead of --model.")
    ] = None,
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = SPLIT,
    windows: Annotated[int, typer.Option(help="Number of windows of the split to time.")] = WINDOWS,
    batch_size: BatchSize = BATCH,
    rounds: Annotated[int, typer.Option(help="Number of timed rounds; the median is printed.")] = ROUNDS,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Read all windows again in every round, instead of a share each.")
    ] = False,
    ways: Ways = WAYS,
    dense: Annotated[
        str | None,
        typer.Option(help="Dense model for --ways; by default the model with nothing removed."),
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Write ways.csv and ways.png: accuracy against milliseconds.")
    ] = False,
    threads: Threads = None,
    dial: Annotated[
        bool, typer.Option("--dial", help="Plot accuracy and agreement against speed instead of timing.")
    ] = False,
    dials: Annotated[str | None, typer.Option(help="Dial settings for --dial, comma-separated.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("runs/bench"),
    precision: Precision = "auto",
    device: Device = "auto",
    overwrite: Overwrite = False,
    *,
    compute: Compute,
) -> None:
    """Measure a model's time and FLOPs: dense in Hugging Face, dense and packed, and with token removal."""
    from eraser.load import load
    from rationale.bench.speeds import SpeedSettings
    from rationale.bench.ways import ways_named
    from rationale.hf.memory import keep_freed_memory

    if windows < 1:
        raise InputError(Fault("at least 1 window", str(windows)))
    named = ways_named(ways)
    use_threads(threads)
    keep_freed_memory()
    how = (compute.runner, compute.workers, compute.address)
    if suite is None and how != ("local", 1, None):
        raise InputError(Fault.of("--runner, --workers and --address need --suite"))
    timing = {
        "--windows": windows != WINDOWS,
        "--batch-size": batch_size != BATCH,
        "--rounds": rounds != ROUNDS,
    }
    of_ways = {"--dense": dense, "--plot": plot}
    if suite is not None:
        of_model = {
            "--model": model,
            "--dataset": dataset,
            "--data": data,
            "--precision": precision != "auto",
        }
        more = {"--split": split != SPLIT, "--repeat": repeat, "--ways": ways != WAYS}
        _refuse("--suite", of_model | timing | of_ways | more | {"--dial": dial or dials})
        _run_suite(suite, device, out, how, overwrite)
        return
    if model is None:
        raise InputError(Fault.of("give a model (--model) or a preset grid (--suite)"))
    loaded = load(dataset, data, split=split)
    job = _Job(model, dense, loaded, split, precision, device, out, overwrite)
    if dial or dials:
        _refuse("--dial", timing | of_ways | {"--repeat": repeat, "--ways": ways != WAYS})
        _measure_dials(job, dials)
    else:
        _check_ways(named, of_ways, device)
        settings = SpeedSettings(split, (), windows, batch_size, rounds)
        _time_removal(job, settings, repeat)
        if named and on_cpu(device):
            _compare_ways(job, settings, named, plot)
    say_next("evaluate", *of_data(dataset, data), "--model", model)


def _refuse(beside: str, given: Mapping[str, Any]) -> None:
    """Refuse options that would do nothing beside another."""
    if idle := [option for option, value in given.items() if value]:
        raise InputError(Fault.of(f"{', '.join(idle)} would do nothing beside {beside}; leave it out"))


def _check_ways(ways: tuple[str, ...], given: Mapping[str, Any], device: str) -> None:
    """Refuse options of a comparison that is not made."""
    if not ways:
        _refuse("--ways none", given)
    elif given["--plot"] and not on_cpu(device):
        raise InputError(Fault.of("--plot draws what is compared on the CPU only: give --device cpu"))


@dataclass(frozen=True)
class _Job:
    """What is measured, and the folder that results go to."""

    model: str
    dense: str | None
    dataset: Any
    split: str
    precision: Any
    device: str
    out: Path
    overwrite: bool

    @property
    def classifier(self) -> Any:
        """The model, its matrices rounded once where it runs in bf16."""
        return loaded_model(self.model, self.device, self.precision)

    def of(self, **more: Any) -> dict[str, Any]:
        """Return everything that a result depends on."""
        from eraser.files.content import content_of_examples
        from rationale.hf.folder_checks import content_of_model

        known = {"content_of_model": content_of_model(self.model), "split": self.split, **more}
        return known | {
            "content_of_data": content_of_examples(self.dataset, self.dataset.examples(self.split))
        }

    def is_done(self, by: str, of: dict[str, Any]) -> bool:
        """Return whether the folder holds this work already, and say so."""
        from eraser.files.owned import is_done

        done = is_done(self.out, by, of, (self.model, self.dense, self.dataset.source), self.overwrite)
        if done:
            say(f"already done: {self.out}", err=True)
        return done

    def claim(self, by: str, of: dict[str, Any]) -> None:
        """Claim the folder for this work."""
        from eraser.files.owned import claim

        reads = (self.model, self.dense, self.dataset.source)
        claim(self.out, by, of, reads, (), self.overwrite)


def _time_removal(job: _Job, settings: Any, repeat: bool) -> None:
    """Print the model's time part by part: dense, packed, with tokens dropped."""
    from rationale.bench.removal import bench, table

    classifier = job.classifier
    encoded = classifier.encoder.encode([job.dataset.text(e) for e in job.dataset.examples(job.split)])
    flat = [w for text in encoded for w in text][: settings.windows]
    say_lines(table(bench(classifier, flat, settings.batch_size, settings.rounds, repeat)))


def _compare_ways(job: _Job, settings: Any, ways: tuple[str, ...], plot: bool) -> None:
    """Print and draw the model's times beside common runtimes."""
    from dataclasses import asdict

    import torch

    from rationale.bench.side_by_side import side_by_side
    from rationale.hf.classifier import without_removal
    from rationale.hf.folder_checks import content_of_model

    dense = None if job.dense is None else content_of_model(job.dense)
    threads = torch.get_num_threads()
    of = job.of(content_of_dense=dense, settings=asdict(settings), ways=ways, threads=threads)
    if plot and job.is_done(WAYS_DRAWN, of):
        return
    ours = loaded_model(job.model, "cpu", "float32")
    other = without_removal(ours) if job.dense is None else loaded_model(job.dense, "cpu", "float32")
    found = side_by_side(other, {"model": ours}, job.dataset, settings, ways)
    say_side_by_side(found)
    if plot:
        job.claim(WAYS_DRAWN, of)
        write_side_by_side(found, job.out)
        say(f"written: {job.out}/ways.csv, {job.out}/ways.png")


def _measure_dials(job: _Job, dials: str | None) -> None:
    """Print and draw accuracy and agreement against speed."""
    from rationale.bench.dial import DIALS, dial_table
    from rationale.cli.train import numbers

    of = job.of(dials=dials, precision=job.precision, device=job.device)
    if job.is_done(DIAL, of):
        return
    found = dial_table(job.classifier, job.dataset, job.split, DIALS if dials is None else numbers(dials))
    job.claim(DIAL, of)
    _draw_dial(found, job.out)


def _run_suite(name: str, device: str, out: Path, how: tuple[str, int, str | None], overwrite: bool) -> None:
    """Measure a grid; workers on one device would share its time, so each should have its own."""
    import torch

    from eraser.files.cells import as_csv
    from eraser.files.owned import claim, together
    from eraser.files.whole import write_json, write_text
    from eraser.progress import progress
    from rationale.bench.suite import SUITES, as_table
    from rationale.hf.device import pick_device
    from rationale.runners.backends import RUNNERS, check_runner
    from rationale.runners.jobs import SuiteJob

    check_runner(*how)
    if name not in SUITES:
        raise InputError(Fault(f"a suite of {', '.join(SUITES)}", repr(name)))
    if name == "gpu" and device == "auto" and pick_device(device).type == "cpu":
        raise InputError(Fault.of("no GPU found; --device cpu runs the suite without one, very slowly"))
    runner, workers, address = how
    job = SuiteJob(replace(SUITES[name], device=device), str(out.resolve()), threads=torch.get_num_threads())
    run = job.open()
    claim(out, f"bench --suite {name}", {**vars(run.suite), **run.where}, (), (), overwrite)
    if run.n_done:
        say(f"measured earlier: {run.n_done} of {len(run)} parts in {run.folder}/parts", err=True)
    RUNNERS[runner](job, run, workers, address)
    parts = progress(map(run.cells, range(len(run))), f"bench {name}", "parts", len(run))
    table = as_table([cell for part in parts for cell in part])
    cells = table.astype(object).where(table.notna(), None).to_dict("records")
    with together(out) as new:
        write_json(new / f"{name}.json", {**run.where, "cells": cells})
        write_text(new / f"{name}.csv", as_csv(table))
    say_lines(
        f"{run.where['device']}, torch {run.where['torch']}\n"
        f"{table.to_string(index=False, float_format=digits)}"
    )
    say_next("bench", "--model", "MODEL", "--device", device)


def _with_arrows(found: Any) -> Any:
    """Return a table whose column heads say which way is better."""
    from eraser.metrics.table import METRICS

    heads = {n: f"{n} {ARROWS[METRICS[n].higher_is_better]}".strip() for n in found if n in METRICS}
    return found.rename(columns=heads | {"speedup": "speedup ↑"})


def _draw_dial(found: Any, out: Path) -> None:
    from eraser.files.cells import as_csv
    from eraser.files.owned import together
    from eraser.files.whole import write_bytes, write_text
    from rationale.report.plots import dial_figure, png

    with together(out) as new:
        write_text(new / "dial.csv", as_csv(found))
        write_bytes(new / "dial.png", png(dial_figure(found)))
    say_lines(_with_arrows(found).to_string(index=False, float_format=digits))
    say(f"written: {out}/dial.csv, {out}/dial.png")
