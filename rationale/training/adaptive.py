"""Train an adaptive model: a fine-tuned model → a recipe's stages → the best of their epochs.

RECIPES (recipes/table.py) names what can be trained; this is the part that all share.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed
from torch import Tensor
from transformers import AutoConfig, PreTrainedModel

from eraser import Dataset, Fault, InputError
from eraser.files.owned import claim, finish, is_done
from eraser.progress import say
from rationale.heads import HEADS, MULTI_LABEL, REGRESSION, problem_type
from rationale.hf.card import read_settings, write_record
from rationale.hf.classifier import Classifier, load_classifier, load_model
from rationale.hf.folder_checks import TRAINING_RECORD, content_of_model
from rationale.hf.tokenizer_files import check_first_token, check_tokenizer
from rationale.inference.savings import measure_removal
from rationale.models.capabilities import as_used
from rationale.models.packed.encoder import check_encoder, check_packed
from rationale.settings import digest
from rationale.text_classifier import labelled_as
from rationale.training.checkpoint import alone, made_before
from rationale.training.class_weights import by_label, in_order, say_balance, weights_of
from rationale.training.dense import EPOCHS, best_epochs
from rationale.training.loop import TrainingWindow, check_splits, training_windows
from rationale.training.run import CHECKPOINT, TrainingRun
from rationale.training.settings import AdaptiveSettings
from rationale.training.stage import Stages, train_stages
from rationale.training.targets import kept_on_disk, teacher_logits

SCRATCH = (f"*{CHECKPOINT}", ".partial/*", "*/.partial/*")


@dataclass(frozen=True)
class Recipe:
    """A kind of model: its settings, how it wraps another one, its stages of training, what it imitates.

    `imitates` returns the targets of the predictors, a tensor [T] per window, or nothing; `marks` returns
    what else of the data set the training depends on.
    """

    settings: type[AdaptiveSettings]
    model: Callable[[PreTrainedModel, Any], PreTrainedModel]
    stages: Stages
    imitates: Callable[[Path, Classifier, Dataset, Sequence[TrainingWindow], Any], list[Tensor]] | None = None
    marks: Callable[[Dataset, Any], Any] = lambda dataset, settings: []


def train_adaptive(  # noqa: PLR0913 (what a training is made of)
    recipe: Recipe,
    dense: Path,
    dataset: Dataset,
    out: Path,
    settings: AdaptiveSettings,
    start: Path | None = None,
    overwrite: bool = False,
    preset: str | None = None,
) -> dict[str, Any]:
    """Train, keep the best epoch on val (TrainingRun.rank), return the record.

    Args:
        recipe: what is trained.
        dense: a model that `train_dense` made: the teacher, and the baseline of accuracy.
        dataset: with train and val splits.
        out: the model's folder: see `eraser.files.owned`; a finished one of the same work is left as it is, a
            half-finished one resumes where it stopped.
        settings: the recipe's.
        start: a folder whose model is built on instead of the dense one: a cut one, one that drops tokens,
            or pretrained weights.
        overwrite: whether an earlier model of this suite in `out` makes room.
        preset: what the settings go by, for the record.
    """
    settings.check()
    check_splits(dataset)
    examples = [e for split in ("train", "val") for e in dataset.splits[split]]
    texts = digest(
        [(e.id, e.label, e.query, dataset.text(e).words) for e in examples], recipe.marks(dataset, settings)
    )
    wanted = {**settings.as_record(), "texts": texts, "content_of_dense": content_of_dense(dense)}
    wanted |= {"content_of_start": content_of_model(str(start or dense))}
    wanted = json.loads(json.dumps(wanted))
    by, reads = f"train {' → '.join(recipe.stages)}", (dense, start, dataset.source)
    if is_done(out, by, wanted, reads, overwrite):
        return made_before(out)
    run = _begin(recipe, dense, dataset, out, settings, start, wanted)
    claim(out, by, wanted, reads, SCRATCH, overwrite)
    more = {} if preset is None else {"recipe": preset}
    return alone(out, lambda: is_done(out, by, wanted, reads), lambda: _train(run, recipe.stages, more))


def _begin(  # noqa: PLR0913 (what a run is made of)
    recipe: Recipe,
    dense: Path,
    dataset: Dataset,
    out: Path,
    settings: AdaptiveSettings,
    start: Path | None,
    identity: dict[str, Any],
) -> TrainingRun:
    """Return a run ready to train."""
    if not dense.is_dir():
        raise InputError(Fault.of("no such folder: --dense is what `rationale train dense` wrote", dense))
    teacher = load_classifier(dense, device=settings.device, precision=settings.precision)
    _check_head(teacher, dense)
    check_encoder(teacher.model)
    check_packed(teacher.model, dense)
    check_first_token(teacher.encoder.tokenizer, teacher.model, dense)
    teacher = labelled_as(teacher, dataset.labels, dense)
    if more := sorted(set(teacher.labels) - set(dataset.labels)):
        raise InputError(Fault(f"labels {list(dataset.labels)}", f"these too: {more}", dense))
    weights = in_order(weights_of(settings.class_weights, dataset), dataset, teacher.labels)
    windows = training_windows(teacher.encoder, dataset, dataset.splits["train"], teacher.labels)
    teachers = _teachers(dense, teacher, settings)
    targets = [] if recipe.imitates is None else recipe.imitates(dense, teacher, dataset, windows, settings)
    logits = _taught(dense, teachers, windows, settings)
    set_seed(settings.seed)
    inner = teacher.model if start is None else _started(start, teacher)
    model = recipe.model(inner, settings).requires_grad_(True).to(teacher.device)  # type: ignore[arg-type]
    reference = measure_removal(teacher, dataset, "val")
    return TrainingRun(
        replace(teacher, model=model),
        teachers,
        dataset,
        windows,
        targets,
        logits,
        out,
        settings,
        reference,
        identity,
        {"dense": str(dense), "start": str(start or dense)},
        weights,
    )


def _check_head(teacher: Classifier, dense: Path) -> None:
    """Refuse a teacher that is not a softmax over classes: losses and early exits need one."""
    if teacher.head != "softmax":
        kind = {"labels": "a multi-label model", "value": "a model that gives a number"}
        expected = "a dense model that gives one class of several (evaluate, attribute and app take any)"
        got = kind.get(HEADS[teacher.head].kind, "one logit read as two classes")
        raise InputError(Fault(expected, got, dense))


def _started(start: Path, teacher: Classifier) -> PreTrainedModel:
    """Return the model in a folder, with the teacher's labels if it has none yet."""
    if not start.is_dir():  # the library would ask the hub for it
        raise InputError(Fault.of("no such folder of a model to build on (--compose)", start))
    config = teacher.model.config
    model, missing = load_model(
        start, num_labels=len(teacher.labels), id2label=config.id2label, label2id=config.label2id
    )
    check_tokenizer(teacher.encoder.tokenizer, model, start)
    if (problem := problem_type(model.config)) in (MULTI_LABEL, REGRESSION):
        raise InputError(Fault("a model to build on that gives one class of several", f"{problem}", start))
    stored = AutoConfig.from_pretrained(start, trust_remote_code=False).id2label
    if not missing and stored != config.id2label:
        names = list(teacher.labels)
        raise InputError(
            Fault(f"a model with labels {names}, in this order", str(list(stored.values())), start)
        )
    return as_used(model)


def _taught(
    dense: Path, teachers: tuple[Classifier, ...], windows: Sequence[TrainingWindow], s: AdaptiveSettings
) -> list[Tensor]:
    """Return teacher logits of the windows, computed once and kept (targets.py)."""
    folders = [dense] if s.teacher_epochs == 1 else best_folders(dense, s.teacher_epochs)
    of_teachers = [content_of_model(f) for f in folders]
    key = digest(digest_of(windows, teachers[0]), of_teachers, read_settings(dense).get("log"))
    return kept_on_disk(dense, f"logits-{key}.safetensors", lambda: list(teacher_logits(teachers, windows)))


def digest_of(windows: Sequence[TrainingWindow], reader: Classifier) -> str:
    """Return a hash of windows, their labels, and the precision they are read in."""
    return digest([(w.window.ids.tolist(), w.label) for w in windows], reader.bf16)


def _teachers(dense: Path, teacher: Classifier, s: AdaptiveSettings) -> tuple[Classifier, ...]:
    """Return the models whose mean probability is distilled: the dense model, or several of its epochs."""
    if s.teacher_epochs == 1:
        return (teacher,)
    found = best_folders(dense, s.teacher_epochs)
    if len(found) < s.teacher_epochs:
        message = f"--teacher-epochs {s.teacher_epochs} needs a model trained with --keep-epochs"
        message += f" {s.teacher_epochs}; this one kept {len(found)}"
        raise InputError(Fault.of(message, dense))
    return of_epochs(found, teacher, s)


def content_of_dense(dense: Path) -> str:
    """Return a hash of a dense model's files and of its kept epochs' files."""
    kept = [content_of_model(f) for f in sorted((dense / EPOCHS).glob("[0-9]*"))]
    own = content_of_model(str(dense))
    return digest(own, kept) if kept else own


def best_folders(dense: Path, count: int) -> list[Path]:
    """Return the folders of the dense model's best epochs, best first; its own folder if it kept none."""
    folders = sorted((dense / EPOCHS).glob("[0-9]*"))
    if not folders:
        return [dense]
    if "log" not in read_settings(dense):
        raise InputError(Fault.of(f"the model's training is not finished: no {TRAINING_RECORD}", dense))
    best = [str(epoch) for epoch in best_epochs(read_settings(dense)["log"], len(folders))]
    return sorted(folders, key=lambda f: best.index(f.name))[:count]


def of_epochs(folders: Sequence[Path], like: Classifier, s: AdaptiveSettings) -> tuple[Classifier, ...]:
    """Return the models of epochs, with the finished model's tokenizer and settings."""
    models = [load_classifier(f, device=s.device, precision=s.precision) for f in folders]
    return tuple(replace(m, encoder=like.encoder) for m in models)


def _train(run: TrainingRun, stages: Stages, more: dict[str, str]) -> dict[str, Any]:
    """Run all stages; write what was done, and `more` of it, beside the weights."""
    weights = weights_of(run.settings.class_weights, run.dataset)
    say_balance(run.dataset, weights)
    say(json.dumps({"dense_val_accuracy": run.reference.accuracy}))
    progress = train_stages(run, stages)
    record = {
        "training": {**run.identity, **run.places},
        **more,
        "max_length": run.classifier.encoder.max_length,
        "labels": list(run.classifier.labels),
        **by_label(weights, run.dataset),
        "dense_val_accuracy": run.reference.accuracy,
        "kept": progress["kept"],
        "log": progress["log"],
    }
    write_record(run.out, record)
    finish(run.out)
    for file in run.out.glob(f"*{CHECKPOINT}"):
        file.unlink()
    return record
