"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from eraser import Fault, InputError
from eraser.words import WordCutter
from rationale.explanations.of_run import Missing
from rationale.settings import (
    DEVICE_HELP,
    ENCODING_HELP,
    SEPARATOR_HELP,
    SKIP_INVALID_HELP,
    WORDS_HELP,
    names_in,
)

DatasetName = Annotated[
    str | None,
    typer.Option(
        help="Data set: sample, movies, multirc, hatexplain, or a name of your own; by default named after "
        "--data, or sample without --data."
    ),
]
DataPath = Annotated[
    Path | None,
    typer.Option(
        help="Folder or .tar.gz of the data set, or a CSV, TSV, Excel, JSON, JSONL or Parquet file with the "
        "columns text, label and optionally rationale; by default the copy that `data fetch` downloaded."
    ),
]
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-label",
        help="Label that may be predicted although no gold example has it (HateXplain: normal).",
    ),
]
ScoreLabels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="Labels, comma-separated, for files with scores as lists: that of each number, in order. A "
        "classification that is a number and not a label is the place of one, from 0.",
    ),
]
SkipUnscorable = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="Leave out what the official scorer would stop at, say what and why, and score the rest.",
    ),
]
SayUnscorable = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="Say what `score --skip-invalid` would leave out, instead of refusing.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Precision = Annotated[
    Literal["float32", "bf16", "auto"],
    typer.Option(help="Numerical precision of the model; auto is bf16 where that is faster."),
]
Split = Annotated[str, typer.Option(help="Split of the data set.")]
Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
Encoding = Annotated[str | None, typer.Option(help=ENCODING_HELP)]
Separator = Annotated[str | None, typer.Option(help=SEPARATOR_HELP)]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help=SKIP_INVALID_HELP)]
Words = Annotated[WordCutter | None, typer.Option(help=WORDS_HELP)]

# evaluation
ModelPath = Annotated[
    str | None,
    typer.Option(
        help="Model folder, hub id or package.module:function; for the sample, by default the shipped model."
    ),
]
DenseModel = Annotated[
    str | None,
    typer.Option(
        help="Model that all methods but survivors and contribution explain if --model drops tokens, "
        "stops early or is pruned; by default --model with nothing removed."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace earlier results of this suite in --out; other files are never touched.",
    ),
]
Inside = Annotated[
    bool,
    typer.Option(
        "--inside",
        help="Run the in-distribution test too (test `distribution` of `rationale trust`): a p value beside "
        "comprehensiveness and sufficiency, written to inside.csv.",
    ),
]
RunFolder = Annotated[Path | None, typer.Option(help="Folder for the run; default runs/DATASET-SPLIT.")]
Methods = Annotated[
    str | None,
    typer.Option(help="Methods, comma-separated, or all; by default the standard ones for the model."),
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        help="Rationale length: ratio, ratio=R, gold, top=N, match=METHOD or own; may be repeated, "
        "the first is the main one."
    ),
]
Explains = Annotated[
    Literal["logit", "probability", "margin"] | None,
    typer.Option(
        help="Output of the class to explain: by default its logit, or for a function its probability."
    ),
]
Explanations = Annotated[
    list[Path] | None,
    typer.Option(help="File of `rationale explanations import`, a row beside the methods; may be repeated."),
]
ExplanationsMissing = Annotated[
    Missing,
    typer.Option(
        help="Examples that an explanations file lacks, or explains in other words: refuse the run, or "
        "skip them, for all methods."
    ),
]
LabelNames = Annotated[
    str | None,
    typer.Option(
        help="Labels of the model's outputs in order, comma-separated; two for a single logit: NEG,POS."
    ),
]
RunnerName = Annotated[str, typer.Option(help="Where to compute: local, accelerate or ray.")]
Workers = Annotated[int, typer.Option(help="Number of processes, each with its own copy of the model.")]
Address = Annotated[
    str | None, typer.Option(help="Address of a running Ray cluster; by default a local one is started.")
]
# timing
BatchSize = Annotated[int, typer.Option(help="Windows per batch.")]
Rounds = Annotated[int, typer.Option(help="Number of timed rounds.")]
IntervalSeed = Annotated[int, typer.Option(help="Random seed of the confidence intervals.")]
Threads = Annotated[int | None, typer.Option(help="Number of CPU threads; by default what torch chooses.")]

# training
Dense = Annotated[Path, typer.Option(help="Folder of a `train dense` model: teacher and starting point.")]
ModelOut = Annotated[Path, typer.Option(help="Folder for the trained model.")]
Compose = Annotated[
    Path | None,
    typer.Option(
        help="Model to build on instead of --dense: a pruned one, one that drops tokens, or a pretrained one."
    ),
]
OnlyEvidence = Annotated[
    bool, typer.Option("--evidence-only", help="Train only on the words that annotators marked.")
]


@dataclass(frozen=True)
class Training:
    """The dense model, data and output folder of an adaptive model's training."""

    dense: Dense
    out: ModelOut
    dataset: DatasetName = None
    data: DataPath = None
    compose: Compose = None
    only_evidence: OnlyEvidence = False
    overwrite: Overwrite = False


@dataclass(frozen=True)
class Compute:
    """Where a run is computed."""

    runner: RunnerName = "local"
    workers: Workers = 1
    address: Address = None


def absolute(path: str) -> str:
    """Return a file's or folder's full path, as a worker may start elsewhere; a hub id unchanged."""
    return str(Path(path).resolve()) if Path(path).exists() else path


def label_names(text: str | None) -> tuple[str, ...] | None:
    """Return the comma-separated names of an option."""
    return names_in(text) if text else None


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads of torch; None leaves its own choice."""
    import torch

    if threads is None:
        return
    if threads < 1:
        raise InputError(Fault("at least 1 thread", str(threads)))
    torch.set_num_threads(threads)
