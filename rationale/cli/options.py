"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from eraser import Fault, InputError

DatasetName = Annotated[
    str | None,
    typer.Option(
        help="sample, movies, multirc, hatexplain, or your own name; default that of --data, else sample."
    ),
]
DataPath = Annotated[
    Path | None,
    typer.Option(
        help="Folder or .tar.gz of the data set, or a CSV, TSV, JSON, JSONL or Parquet file with the columns "
        "text and label, and rationale if there; default the fetched copy."
    ),
]
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-label", help="Label that may be predicted though gold lacks it (HateXplain: normal)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Precision = Annotated[Literal["float32", "bf16", "auto"], typer.Option()]

# evaluation
ModelPath = Annotated[
    str | None,
    typer.Option(help="Folder, hub id or package.module:function; for the sample the shipped movies model."),
]
DenseModel = Annotated[
    str | None, typer.Option(help="Model that attention and gradients explain where --model drops tokens.")
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Let other work of this suite in --out make room; only its own files."),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(help="Run folder; default runs/DATASET-SPLIT."),
]
Methods = Annotated[
    str | None, typer.Option(help="Comma-separated, or all; default the standard ones for the model.")
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(help="ratio, ratio=R, gold, top=N, match=METHOD or own; may be repeated, the first leads."),
]
Explained = Annotated[
    str,
    typer.Option(
        help="Class to explain: predicted (of several labels the most probable), gold, or a label "
        "(label:gold for one of that name)."
    ),
]
ExplainedOfFile = Annotated[
    str, typer.Option(help="Class to explain: predicted (of several labels the most probable), or a label.")
]
Explains = Annotated[
    Literal["logit", "probability", "margin"] | None,
    typer.Option(
        help="What methods explain of that class; default its logit, of a function its probability."
    ),
]
Threshold = Annotated[
    float, typer.Option(help="A multi-label model says the labels whose probability is above it.")
]
MaskText = Annotated[
    str | None, typer.Option("--mask", help="What a function reads in place of a word, with --replace mask.")
]
LabelNames = Annotated[
    str | None,
    typer.Option(help="Names of the model's outputs in order, comma-separated; two for one logit: NEG,POS."),
]
Limit = Annotated[int | None, typer.Option(help="Only the first N examples of the split.")]
Sample = Annotated[
    int | None, typer.Option(help="Only N examples of the split, drawn by chance with --seed.")
]
Replacement = Annotated[Literal["delete", "mask"], typer.Option(help="How words are removed.")]
Words = Annotated[
    Literal["whitespace", "punctuation", "characters"] | None,
    typer.Option(
        help="What cuts texts into words. punctuation: a comma is a word of its own; characters: so is each "
        "character of Chinese, Japanese, Thai and other scripts without spaces. Default whitespace, or "
        "characters where most texts are in such a script."
    ),
]
RunnerName = Annotated[str, typer.Option(help="Where it is computed: local, accelerate or ray.")]
Workers = Annotated[int, typer.Option(help="Processes that compute, each with a model of its own.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster that is there; default one of its own.")]
# timing
Threads = Annotated[int | None, typer.Option(help="CPU threads; default torch's own choice.")]

# training
Compose = Annotated[
    Path | None,
    typer.Option(help="Model to build on instead of --dense: a cut one, one that drops tokens, pretrained."),
]
Lr = Annotated[float, typer.Option(help="Of the weights.")]
Speedup = Annotated[float | None, typer.Option(help="Aim in the hard stage: times fewer operations.")]
AdaptiveEpochs = Annotated[int, typer.Option(help="Of the published training.")]
Dense = Annotated[Path, typer.Option(help="Model of `train dense`: teacher, start and saliency.")]
PredictorEpochs = Annotated[int, typer.Option(help="Of the predictors alone, before all (ours).")]
Epochs = Annotated[int, typer.Option(help="Of soft removal, as published.")]
HardEpochs = Annotated[int, typer.Option(help="Of hard removal after it (ours).")]
HardLr = Annotated[float, typer.Option(help="Learning rate of the hard stage.")]
WordDrop = Annotated[float, typer.Option(help="Share of words left out at random, hard stage (ours).")]
TeacherEpochs = Annotated[
    int, typer.Option(help="Best dense epochs whose mean probability is distilled (ours).")
]
ThresholdLr = Annotated[float, typer.Option(help="Learning rate of the thresholds.")]
PredictorLr = Annotated[float | None, typer.Option(help="Learning rate of the predictors; default lr.")]
Distill = Annotated[float, typer.Option(help="Share of the task loss that imitates the dense model.")]
Steepness = Annotated[str | None, typer.Option(help="FIRST,GROWTH of lambda an epoch; default as published.")]
Target = Annotated[
    str, typer.Option(help="What predictors imitate: gradient_x_input (published), human, METHOD, A+B.")
]
Tolerance = Annotated[float, typer.Option(help="Accuracy on val that may be lost.")]
OnlyEvidence = Annotated[bool, typer.Option("--evidence-only", help="Read only the words people marked.")]


def absolute(path: str) -> str:
    """Return a file's or folder's full path, for a worker may start elsewhere; a hub id as it is."""
    return str(Path(path).resolve()) if Path(path).exists() else path


def label_names(text: str | None) -> tuple[str, ...] | None:
    """Return the names that an option lists."""
    return tuple(text.split(",")) if text else None


def use_threads(threads: int | None) -> None:
    """Let torch compute with so many CPU threads; None leaves it its choice."""
    import torch

    if threads is None:
        return
    if threads < 1:
        raise InputError(Fault("at least 1 thread", str(threads)))
    torch.set_num_threads(threads)
