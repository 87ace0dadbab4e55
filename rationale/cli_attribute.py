"""The command `rationale attribute`: scores for the words of any number of texts."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import typer

from rationale.cli_options import (
    Address,
    DenseModel,
    Explains,
    LabelNames,
    Precision,
    Replacement,
    RunnerName,
    Words,
    Workers,
    absolute,
)


def attribute_command(  # noqa: PLR0913 (one option each)
    file: Annotated[Path, typer.Option(help="A JSON object on each line.")],
    model: Annotated[str, typer.Option(help="Folder or hub id.")],
    out: Annotated[Path, typer.Option(help="Folder for the parts and manifest.json.")],
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = "integrated_gradients",
    text: Annotated[str, typer.Option(help="Key of the text in each object.")] = "text",
    query: Annotated[str | None, typer.Option(help="Key of the question, if there is one.")] = None,
    words: Words = None,
    dense: DenseModel = None,
    labels: LabelNames = None,
    long_texts: Annotated[Literal["window", "truncate"], typer.Option()] = "window",
    max_length: int | None = None,
    replace: Replacement = "delete",
    explain: Explains = "logit",
    ig_steps: int = 20,
    gradient_shap_samples: int = 20,
    lime_samples: int = 100,
    shap_samples: int = 500,
    occlusion_words: int = 3,
    precision: Precision = "float32",
    device: str = "auto",
    seed: int = 0,
    chunk: Annotated[int, typer.Option(help="Lines to a part on disk.")] = 256,
    runner: RunnerName = "local",
    workers: Workers = 1,
    address: Address = None,
) -> None:
    """Explain every text of a file, however long; a stopped run goes on. Each text may have an "id"."""
    import torch

    from rationale.jobs import AttributeJob, opened
    from rationale.memory import keep_freed_memory
    from rationale.runners import RUNNERS, check_runner
    from rationale.stream import Stream, StreamSettings, collect

    given = locals()
    check_runner(runner, workers, address)
    keep_freed_memory()
    given |= {"file": absolute(str(file)), "model": absolute(model), "methods": tuple(methods.split(","))}
    given["dense"] = None if dense is None else absolute(dense)
    settings = StreamSettings(**{f.name: given[f.name] for f in fields(StreamSettings)})
    names = tuple(labels.split(",")) if labels else None
    job = AttributeJob(settings, str(out.resolve()), names, torch.get_num_threads())
    work = opened(job)
    assert isinstance(work, Stream)
    RUNNERS[runner](job, work, workers, address)
    found = collect(work)
    for note in work.notes:
        typer.echo(f"note: {note}")
    cost = ", ".join(f"{method} {ms:.1f} ms" for method, ms in found["ms_per_text"].items())
    typer.echo(
        f"{out}: {found['texts']} texts in {len(found['parts'])} parts, "
        f"{found['words_unread']} of {found['words']} words not read; mean cost a text: {cost}"
    )
