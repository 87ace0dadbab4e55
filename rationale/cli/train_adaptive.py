"""The commands `rationale train dact`, `inforcoef` and `prune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rationale.cli.options import (
    AdaptiveEpochs,
    Compose,
    DataPath,
    DatasetName,
    Dense,
    Distill,
    HardEpochs,
    HardLr,
    Lr,
    OnlyEvidence,
    Overwrite,
    Precision,
    Speedup,
    TeacherEpochs,
    Tolerance,
    WordDrop,
)
from rationale.cli.train import train_recipe

Out = Annotated[Path, typer.Option(help="Folder for the trained model.")]
Temperature = Annotated[float, typer.Option(help="Of the distillation.")]


def train_dact_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Out,
    dataset: DatasetName = None,
    data: DataPath = None,
    compose: Compose = None,
    epochs: AdaptiveEpochs = 3,
    tau: Annotated[float, typer.Option(help="Weight of the ponder cost; larger stops earlier.")] = 5e-3,
    heads: Annotated[float, typer.Option(help="Weight of the layers' own task losses (ours).")] = 0.0,
    exit_rule: Annotated[
        Literal["published", "tight"], typer.Option(help="Neither changes a window's class.")
    ] = "published",
    shared_head: Annotated[bool, typer.Option("--shared-head", help="One head for all layers.")] = False,
    lr: Lr = 3e-5,
    halting_lr: Annotated[float, typer.Option(help="Of heads and halting units.")] = 1e-3,
    distill: Distill = 0.0,
    temperature: Temperature = 2.0,
    teacher_epochs: TeacherEpochs = 1,
    word_drop: WordDrop = 0.0,
    tolerance: Tolerance = 0.01,
    batch_size: int = 32,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model whose texts stop at the layer that decides them (DACT-BERT)."""
    train_recipe("dact", locals())


def train_inforcoef_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Out,
    dataset: DatasetName = None,
    data: DataPath = None,
    compose: Compose = None,
    epochs: AdaptiveEpochs = 3,
    hard_epochs: HardEpochs = 0,
    speedup: Speedup = None,
    norm: Annotated[float, typer.Option(help="Weight of the size of what passes.")] = 4e-4,
    entropy: Annotated[float, typer.Option(help="Weight of the masks' negative entropy.")] = 4e-4,
    share: Annotated[float, typer.Option(help="Weight of the share of tokens kept (released code).")] = 0.0,
    bottleneck: Annotated[
        Literal["corrected", "as_released"], typer.Option(help="The form of both terms.")
    ] = "corrected",
    lr: Lr = 2e-5,
    sampler_lr: Annotated[float | None, typer.Option(help="Of the samplers; default lr.")] = None,
    hard_lr: HardLr = 3e-5,
    distill: Distill = 0.0,
    temperature: Temperature = 2.0,
    teacher_epochs: TeacherEpochs = 1,
    word_drop: WordDrop = 0.0,
    tolerance: Tolerance = 0.01,
    batch_size: int = 32,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
) -> None:
    """Train samplers that drop tokens layer by layer (Infor-Coef)."""
    train_recipe("inforcoef", locals())


def train_prune_command(  # noqa: PLR0913 (one option each)
    dense: Dense,
    out: Out,
    dataset: DatasetName = None,
    data: DataPath = None,
    compose: Compose = None,
    epochs: Annotated[int, typer.Option(help="With gates, while the sparsity rises.")] = 4,
    hard_epochs: Annotated[int, typer.Option(help="Of fine-tuning what the gates left.")] = 2,
    sparsity: Annotated[float, typer.Option(help="Share of the encoder's matrices that goes.")] = 0.8,
    sparsity_warmup: Annotated[float, typer.Option(help="Share of the epochs in which it rises.")] = 0.5,
    layers: Annotated[float, typer.Option(help="Share of the loss that imitates states, not answers.")] = 0.9,
    lr: Lr = 3e-5,
    hard_lr: HardLr = 3e-5,
    gate_lr: Annotated[float, typer.Option(help="Of the gates.")] = 0.1,
    multiplier_lr: Annotated[float, typer.Option(help="Of the Lagrangian's multipliers.")] = 0.1,
    distill: Distill = 1.0,
    temperature: Temperature = 2.0,
    teacher_epochs: TeacherEpochs = 1,
    word_drop: WordDrop = 0.0,
    tolerance: Tolerance = 0.01,
    batch_size: int = 32,
    precision: Precision = "auto",
    device: str = "auto",
    seed: int = 0,
    only_evidence: OnlyEvidence = False,
    overwrite: Overwrite = False,
) -> None:
    """Cut heads, FFN units, hidden dimensions and sublayers out of a model (CoFi, Infor-Coef)."""
    train_recipe("prune", locals())
