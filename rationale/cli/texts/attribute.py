"""The command `rationale attribute`: scores for the words of any number of texts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rationale.cli.from_settings import from_settings
from rationale.cli.options import (
    Compute,
    DenseModel,
    Explains,
    LabelNames,
    Overwrite,
    absolute,
    label_names,
)
from rationale.process.terminal import digits, say, say_next
from rationale.settings import StreamSettings

TextFile = Annotated[
    Path,
    typer.Option(
        help="Texts: CSV, TSV, Excel, JSON, JSONL or Parquet with a column of texts, or TXT with one per "
        "line."
    ),
]
ModelName = Annotated[str, typer.Option(help="Model folder, hub id or package.module:function.")]
PartsFolder = Annotated[Path, typer.Option(help="Folder for the part files and manifest.json.")]
MethodNames = Annotated[
    str | None,
    typer.Option(
        help="Methods, comma-separated, or all; default integrated_gradients, for functions leave_one_out."
    ),
]


@from_settings()
def attribute_command(  # noqa: PLR0913 (one option each)
    file: TextFile,
    model: ModelName,
    out: PartsFolder,
    methods: MethodNames = None,
    dense: DenseModel = None,
    explain: Explains = None,
    labels: LabelNames = None,
    overwrite: Overwrite = False,
    *,
    settings: partial[StreamSettings],
    compute: Compute,
) -> None:
    """Explain every text of a file; an interrupted run resumes. Each text may have an "id"."""
    import torch

    from rationale.cli.methods import choose_methods
    from rationale.hf.memory import keep_freed_memory
    from rationale.named import is_function
    from rationale.runners.backends import RUNNERS, check_runner
    from rationale.runners.jobs import AttributeJob
    from rationale.stream import collect, stream

    check_runner(compute.runner, compute.workers, compute.address)
    keep_freed_memory()
    usual = ("leave_one_out", "probability") if is_function(model) else ("integrated_gradients", "logit")
    asked = settings(
        file=absolute(str(file)),
        model=absolute(model),
        methods=usual[:1],
        dense=None if dense is None else absolute(dense),
        explain=explain or usual[1],
    )
    job = AttributeJob(asked, str(out.resolve()), label_names(labels), torch.get_num_threads())
    classifier, explained = job.models(None)
    job = replace(
        job, settings=replace(asked, methods=choose_methods(methods, usual[:1], classifier, explained))
    )
    work = stream(classifier, job.settings, out.resolve(), explained, overwrite)
    if work.done:
        say(f"already done: {out}", err=True)
    RUNNERS[compute.runner](job, work, compute.workers, compute.address)
    _print_run(collect(work), out)
    say(f"to read them: from rationale.stream import read_stream; rows = list(read_stream({str(out)!r}))")
    say_next("app", "--model", model)


def _print_run(found: dict[str, Any], out: Path) -> None:
    """Print a summary and the mean cost per text."""
    for note in found["notes"]:
        say(f"note: {note}")
    cost = ", ".join(f"{method} {digits(ms)} ms" for method, ms in found["ms_per_text"].items())
    unread = f"{found['words_unread']} of {found['words']} words not read"
    say(f"{out}: {found['texts']} texts, {unread}; mean cost per text: {cost}")
