"""The command `rationale explanations import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rationale.cli.explanations.columns import ColumnOptions
from rationale.cli.explanations.quotes import Quotes
from rationale.cli.explanations.scoring import score_explanations
from rationale.cli.from_settings import from_settings
from rationale.cli.options import DataPath, DatasetName, Split
from rationale.explanations.pooling import Reduce
from rationale.process.terminal import say, say_next

explanations_app = typer.Typer(
    no_args_is_help=True, help="Import and score explanations that other tools made."
)
explanations_app.command("score")(score_explanations)

MadeElsewhere = Annotated[
    Path,
    typer.Argument(
        help="Table (CSV, TSV, Excel, JSON, JSONL, Parquet) of tokens and scores, predictions, JSONL of "
        "quotes."
    ),
]
ExplanationsFile = Annotated[Path, typer.Option(help="Explanations file to write, .jsonl.")]
RowName = Annotated[str | None, typer.Option(help="Name of the row; by default the file's.")]
FileForm = Annotated[
    Literal["auto", "words", "tokens", "eraser", "quotes"],
    typer.Option(
        help="words: one score for each word of the data set; tokens: pieces, found in the text by their "
        "characters; eraser: official predictions; quotes: passages that a language model quoted; "
        "auto: eraser if the first row is one, else tokens."
    ),
]
Pieces = Annotated[Reduce, typer.Option(help="How the scores of a word's pieces become the word's.")]
Offsets = Annotated[
    Literal["codepoints", "utf16", "bytes"],
    typer.Option(
        help="What --start and --end count: code points (as Python does), UTF-16 units, bytes of UTF-8."
    ),
]
IdColumn = Annotated[str | None, typer.Option("--id", help="Column of the ids; by default the usual name.")]
Tool = Annotated[str, typer.Option(help="What made the explanations, for the report.")]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out examples that cannot be read; they are counted.")
]
ReplaceExplanations = Annotated[
    bool, typer.Option("--overwrite", help="Replace an explanations file; other files are never touched.")
]


@explanations_app.command("import")
@from_settings()
def import_explanations(  # noqa: PLR0913 (one option each)
    file: MadeElsewhere,
    out: ExplanationsFile,
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Split = "test",
    name: RowName = None,
    form: FileForm = "auto",
    pieces: Pieces = "sum",
    id_column: IdColumn = None,
    offsets: Offsets = "codepoints",
    tool: Tool = "",
    skip_invalid: SkipUnreadable = False,
    overwrite: ReplaceExplanations = False,
    *,
    columns: ColumnOptions,
    quotes: Quotes,
) -> None:
    """Turn scores or quotes from another tool or model into a row of `rationale evaluate --explanations`."""
    from eraser.load import SAMPLE_NAME, load, named
    from rationale.explanations.collected import CollectOptions
    from rationale.explanations.files import FILE_FORMS, form_of
    from rationale.explanations.quotes.rows import import_quotes
    from rationale.explanations.stored import refuse_taken

    refuse_taken(out, overwrite)
    loaded = load(dataset, data, split=split)
    texts = {example.id: loaded.text(example) for example in loaded.examples(split)}
    chosen = form_of(file) if form == "auto" else form
    how, named_so = (
        CollectOptions(pieces, skip_invalid, tool, offsets=offsets),
        name or file.name.split(".")[0],
    )
    if chosen == "quotes":
        found = import_quotes(file, texts, named_so, quotes.form(id_column), tool)
    else:
        found = FILE_FORMS[chosen](file, texts, named_so, how, columns.columns(id_column))
    found.save(out, overwrite)
    if form == "auto":
        say(f"read as --form {chosen}")
    say(f"{found.method}: {len(found.examples)} of the {len(texts)} examples of {loaded.name} {split}")
    for line in found.told():
        say(f"  note: {line}")
    say(f"written: {out}")
    called = named(dataset, data)
    where = ("--dataset", called, *(("--data", data) if data else ()))
    model = () if (called, data) == (SAMPLE_NAME, None) else ("--model", "MODEL")
    missing = () if len(found.examples) == len(texts) else ("--explanations-missing", "skip")
    say_next("evaluate", *where, *model, "--split", split, "--explanations", out, *missing)
