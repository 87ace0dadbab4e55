"""The command `rationale attribute`: scores for the words of any number of texts."""

from __future__ import annotations

from dataclasses import fields
from dataclasses import replace as replaced  # `replace` is an option
from pathlib import Path
from typing import Annotated, Literal

import typer

from rationale.cli.options import (
    Address,
    DenseModel,
    ExplainedOfFile,
    Explains,
    LabelNames,
    MaskText,
    Overwrite,
    Precision,
    Replacement,
    RunnerName,
    Threshold,
    Words,
    Workers,
    absolute,
    label_names,
)
from rationale.process.terminal import say


def attribute_command(  # noqa: PLR0913 (one option each)
    file: Annotated[
        Path,
        typer.Option(
            help="CSV, TSV, JSON, JSONL or Parquet with a column of texts; TXT: a text on each line."
        ),
    ],
    model: Annotated[str, typer.Option(help="Folder, hub id or package.module:function.")],
    out: Annotated[Path, typer.Option(help="Folder for the parts and manifest.json.")],
    methods: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated, or all; default integrated_gradients, of functions leave_one_out."
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    query: Annotated[str | None, typer.Option(help="Column of the question, if there is one.")] = None,
    words: Words = None,
    dense: DenseModel = None,
    target: ExplainedOfFile = "predicted",
    labels: LabelNames = None,
    long_texts: Annotated[Literal["window", "truncate"], typer.Option()] = "window",
    max_length: int | None = None,
    replace: Replacement = "delete",
    mask: MaskText = None,
    threshold: Threshold = 0.5,
    explain: Explains = None,
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
    overwrite: Overwrite = False,
) -> None:
    """Explain every text of a file, however long; a stopped run goes on. Each text may have an "id"."""
    import torch

    from rationale.cli.methods import picked
    from rationale.hf.memory import keep_freed_memory
    from rationale.named import is_function
    from rationale.runners.backends import RUNNERS, check_runner
    from rationale.runners.jobs import AttributeJob
    from rationale.stream import StreamSettings, collect, stream

    given = locals()
    check_runner(runner, workers, address)
    keep_freed_memory()
    usual = ("leave_one_out", "probability") if is_function(model) else ("integrated_gradients", "logit")
    given |= {"file": absolute(str(file)), "model": absolute(model), "methods": usual[:1]}
    given |= {"explain": explain or usual[1], "dense": None if dense is None else absolute(dense)}
    settings = StreamSettings(**{f.name: given[f.name] for f in fields(StreamSettings)})
    job = AttributeJob(settings, str(out.resolve()), label_names(labels), torch.get_num_threads())
    classifier, explained = job.models(None)
    suited = picked(methods, usual[:1], classifier, explained)
    job = replaced(job, settings=replaced(settings, methods=suited))
    work = stream(classifier, job.settings, out.resolve(), explained, overwrite)
    if work.done:
        say(f"already done: {out}", err=True)
    RUNNERS[runner](job, work, workers, address)
    found = collect(work)
    for note in work.notes:
        say(f"note: {note}")
    cost = ", ".join(f"{method} {ms:.1f} ms" for method, ms in found["ms_per_text"].items())
    say(
        f"{out}: {found['texts']} texts in {len(found['parts'])} parts, "
        f"{found['words_unread']} of {found['words']} words not read; mean cost a text: {cost}"
    )
