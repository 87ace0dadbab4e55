"""The command `rationale reproduce hatexplain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.options import Device, Precision, Threads, use_threads
from rationale.process.terminal import say, say_lines, say_next


def reproduce_hatexplain_command(  # noqa: PLR0913 (one option each)
    data: Annotated[Path, typer.Option(help="HateXplain's own files: a folder or .tar.gz.")],
    backbone: Annotated[str, typer.Option(help="Hub id or folder of a pretrained encoder.")],
    out: Annotated[Path, typer.Option(help="Folder for models and hatexplain.csv, .md and trade.png.")],
    train_data: Annotated[
        Path | None,
        typer.Option(help="Data set whose train and val are used instead, where --data lacks train's marks."),
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            help="Models, comma-separated: plain, attention (taught by marks), both (a rationale head too); "
            "attention@0.5 gives the marks another weight than 2. The table has these alone."
        ),
    ] = "plain,attention,both",
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings of each model.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="First random seed; the others follow.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score only the first N posts of test: not the protocol.")
    ] = None,
    threads: Threads = None,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Train models with and without annotators' marks, several times; score them by HateXplain's protocol.

    Finished trainings are kept; one that was stopped resumes where it stopped.
    """
    from dataclasses import replace

    from eraser.files.cells import as_csv
    from eraser.files.owned import claim, together
    from eraser.files.whole import write_bytes, write_text
    from eraser.load import load
    from rationale.hatexplain.settings import ProtocolSettings
    from rationale.hf.folder_checks import content_of_model
    from rationale.hf.memory import keep_freed_memory
    from rationale.report.plots import png
    from rationale.report.trade_figure import trade_figure
    from rationale.reproduce.hatexplain import METHODS, TRAINING, Trainings, facts, named_models, results
    from rationale.reproduce.hatexplain_table import as_markdown, as_table

    use_threads(threads)
    keep_freed_memory()
    names = named_models(models)
    test = load("hatexplain", data)
    train = test if train_data is None else load("hatexplain", train_data)
    claim(out, "reproduce hatexplain", {"content_of_backbone": content_of_model(backbone)}, (data, backbone))
    protocol = ProtocolSettings(methods=METHODS, limit=limit, precision=precision, device=device)
    settings = replace(TRAINING, precision=precision, device=device)
    runs = Trainings(train, test, backbone, out, range(seed, seed + seeds), protocol, settings)
    found = results(runs, names)
    table = as_table(found)
    shown = as_markdown(table, facts(runs, found))
    with together(out) as new:
        write_text(new / "hatexplain.csv", as_csv(table))
        write_text(new / "hatexplain.md", shown)
        write_bytes(new / "trade.png", png(trade_figure(table)))
    say_lines(shown.rstrip("\n"))
    say(f"written: {out}/hatexplain.csv, {out}/hatexplain.md, {out}/trade.png")
    best = out / names[-1] / f"seed-{seed}" / "model"
    say_next("evaluate", "--dataset", "hatexplain", "--data", data, "--model", best, "--budget", "top=5")
