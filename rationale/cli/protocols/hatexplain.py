"""The command `rationale protocol hatexplain`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.from_settings import from_settings
from rationale.cli.options import AsJson, DenseModel, Methods, Overwrite
from rationale.hatexplain.settings import UNIT_NAMES, USUAL_METHODS, ProtocolSettings
from rationale.process.terminal import say, say_json, say_lines, say_next
from rationale.settings import CHOOSERS, names_in

protocol_app = typer.Typer(
    no_args_is_help=True, help="Score a model by a data set's own protocol, to stand beside its paper's rows."
)


@protocol_app.command("hatexplain")
@from_settings()
def hatexplain_command(  # noqa: PLR0913 (one option each)
    data: Annotated[
        Path, typer.Option(help="HateXplain's folder or .tar.gz: dataset.json and its divisions.")
    ],
    model: Annotated[str, typer.Option(help="Model folder or hub id, with HateXplain's three labels.")],
    out: Annotated[Path, typer.Option(help="Folder for hatexplain.csv, hatexplain.md and hatexplain.json.")],
    dense: DenseModel = None,
    methods: Methods = None,
    units: Annotated[
        str,
        typer.Option(
            help="What is counted, comma-separated: pieces (as published, special tokens among them), "
            "text_pieces (without special tokens), words."
        ),
    ] = ",".join(UNIT_NAMES),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    *,
    settings: partial[ProtocolSettings],
) -> None:
    """Score a model by HateXplain's protocol, in word pieces and in words; an interrupted run resumes."""
    from eraser.load import load
    from rationale.cli.methods import choose_methods
    from rationale.hatexplain.protocol import score_protocol
    from rationale.hatexplain.table import as_markdown, as_record, loaded, write_protocol
    from rationale.hf.memory import keep_freed_memory
    from rationale.inference.capabilities import drops_tokens

    keep_freed_memory()
    asked = settings(units=names_in(units))
    asked.check()
    dataset = load("hatexplain", data)
    classifier = loaded(model, asked)
    explained = None if dense is None else loaded(dense, asked)
    usual = (*CHOOSERS, *USUAL_METHODS) if drops_tokens(classifier) else USUAL_METHODS
    named = choose_methods(methods, usual, classifier, explained)
    asked, reads = replace(asked, methods=named), (model, dense)
    result = score_protocol(classifier, dataset, out, asked, explained, overwrite, reads)
    write_protocol(result, out)
    if as_json:
        say_json(as_record(result))
        return
    say_lines(as_markdown(result))
    say(f"written: {out}/hatexplain.csv, {out}/hatexplain.md, {out}/hatexplain.json")
    say_next("evaluate", "--dataset", "hatexplain", "--data", data, "--model", model, "--budget", "top=5")
