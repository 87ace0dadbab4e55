"""The command `rationale reproduce adapler`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.options import Device, Precision, Rounds, Threads, use_threads
from rationale.process.terminal import say, say_lines, say_next

reproduce_app = typer.Typer(no_args_is_help=True, help="Reproduce published tables.")


@reproduce_app.command("adapler")
def reproduce_adapler_command(  # noqa: PLR0913 (one option each)
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with a subfolder for each data set: train.csv and test.csv with the columns text, "
            "label and, for pairs, text2; or a data set in ERASER format."
        ),
    ],
    backbone: Annotated[str, typer.Option(help="Hub id or folder of a pretrained encoder.")],
    out: Annotated[Path, typer.Option(help="Folder for data sets, models and adapler.csv, adapler.md.")],
    sets: Annotated[
        str | None, typer.Option(help="Data sets, comma-separated; by default all of the paper's.")
    ] = None,
    models: Annotated[
        str, typer.Option(help="Models, comma-separated: adapler, stack (AdapLeR on a pruned model).")
    ] = "adapler,stack",
    train_limit: Annotated[
        int | None, typer.Option(help="Most texts of train, drawn at random; by default each data set's own.")
    ] = None,
    test_limit: Annotated[
        int | None, typer.Option(help="Most texts of test, drawn at random; by default each data set's own.")
    ] = None,
    windows: Annotated[int, typer.Option(help="Number of windows of test to time.")] = 1024,
    batch_size: Annotated[int, typer.Option(help="Windows per timed batch.")] = 32,
    rounds: Rounds = 3,
    threads: Threads = None,
    precision: Precision = "auto",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Random seed of splits, weights, batch order and intervals.")] = 0,
) -> None:
    """Train AdapLeR on its own data sets; write accuracy, FLOPs and time beside the paper's speed-ups.

    Finished steps are skipped; a training run that was stopped resumes where it stopped.
    """
    from rationale.bench.speeds import SpeedSettings
    from rationale.hf.memory import keep_freed_memory
    from rationale.reproduce.models import named_models
    from rationale.reproduce.run import Choices, reproduce
    from rationale.reproduce.sets import Limits, named_sets
    from rationale.reproduce.table import as_markdown

    use_threads(threads)
    keep_freed_memory()
    choices = Choices(
        data,
        backbone,
        out,
        named_sets(sets),
        named_models(models),
        Limits(train_limit, test_limit),
        SpeedSettings("test", windows=windows, batch_size=batch_size, rounds=rounds),
        {"precision": precision, "device": device, "seed": seed},
    )
    table = reproduce(choices)
    say_lines(as_markdown(table).rstrip("\n"))
    say(f"written: {out}/adapler.csv, {out}/adapler.md")
    first = next(iter(choices.sets))
    model = out / first / choices.models[0]
    say_next("bench", "--model", model, "--data", out / "data" / first)
