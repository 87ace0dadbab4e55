"""HateXplain's protocol over several trainings: models with annotators' marks beside one without.

A model is a line of MODELS; `NAME@W` is the same with weight W for the marks. Each is trained once per seed
and scored on test; the numbers of a training are kept on disk with the columns that they are folded from, so
that a table needs no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Dataset, Fault, InputError
from eraser.files.content import content_of_examples
from eraser.files.owned import claim, is_done, together
from eraser.files.whole import write_bytes, write_text
from eraser.types import Floats
from rationale.evaluation.pipeline import PARTS_VERSION
from rationale.hatexplain.protocol import COLUMNS, ProtocolResult, score_protocol
from rationale.hatexplain.settings import ProtocolSettings
from rationale.hf.classifier import cast_once, load_classifier, new_classifier
from rationale.hf.folder_checks import content_of_model
from rationale.settings import names_in
from rationale.training.dense import train_dense
from rationale.training.settings import AlignSettings, TrainSettings

BY = "reproduce hatexplain: score"
ROWS, ARRAYS = "scores.csv", "columns.npz"
MOST = 2**27  # bytes of a file of columns
TOLD = ("ids", "toxic_ids", "notes")  # of a result, in the file of its columns
METHODS = ("attention", "saliency", "random")
LEARNED = "learned"
PLAIN = "plain"
MOST_WEIGHT = 1e6
TRAINING = TrainSettings(epochs=3, lr=1e-4, batch_size=32, max_length=128)  # fixed before test was scored
MODELS: dict[str, AlignSettings] = {  # name → how annotators' marks are taught
    PLAIN: AlignSettings(),
    "attention": AlignSettings(align="human", align_weight=2.0),
    "both": AlignSettings(align="human", align_weight=2.0, align_form="both"),
}


@dataclass(frozen=True)
class Trainings:
    """What is trained and scored: the data, the pretrained encoder, seeds, settings of all runs."""

    train: Dataset
    test: Dataset
    backbone: str
    out: Path
    seeds: Sequence[int]
    protocol: ProtocolSettings
    settings: TrainSettings = TRAINING


def named_models(text: str) -> tuple[str, ...]:
    """Return the models named in a comma-separated list.

    Raises:
        InputError: one is unknown.
    """
    names = dict.fromkeys(names_in(text))
    for name in names:
        marks_of(name)
    return tuple(names)


def marks_of(name: str) -> AlignSettings:
    """Return how a model is taught people's marks: a line of MODELS, or `NAME@W` with weight W instead.

    Raises:
        InputError: there is no such model, or W is no positive number.
    """
    line, _, weight = name.partition("@")
    if line not in MODELS or ("@" in name and MODELS[line].align == "none"):
        expected = f"models of {', '.join(MODELS)}; after those with marks perhaps a weight, as attention@0.5"
        raise InputError(Fault(expected, repr(name)))
    if "@" not in name:
        return MODELS[line]
    try:
        value = float(weight)
    except ValueError:
        value = 0.0
    if not 0 < value < MOST_WEIGHT:
        raise InputError(Fault(f"a weight above 0 and below {MOST_WEIGHT:g} after @", repr(name)))
    return replace(MODELS[line], align_weight=value)


def results(trainings: Trainings, models: Iterable[str]) -> dict[str, list[ProtocolResult]]:
    """Return what each model does in each training; what `out` has is not computed again."""
    return {name: [_result(trainings, name, seed) for seed in trainings.seeds] for name in models}


def _result(t: Trainings, name: str, seed: int) -> ProtocolResult:
    """Return the numbers of one training; those of another protocol, or of an earlier version, make room."""
    settings = replace(t.settings, seed=seed, marks=marks_of(name))
    methods = (*t.protocol.methods, *([LEARNED] if settings.marks.has_head else []))
    protocol = replace(t.protocol, methods=methods, seed=0)
    folder = t.out / name / f"seed-{seed}"
    train = [e for s in ("train", "val") for e in t.train.examples(s)]
    of = {
        "training": settings.as_record(),
        "protocol": asdict(protocol),
        "parts_version": PARTS_VERSION,
        "content_of_backbone": content_of_model(t.backbone),
        "content_of_train": content_of_examples(t.train, train),
        "content_of_test": content_of_examples(t.test, t.test.examples(protocol.split)),
    }
    scored, reads = folder / "scored", (t.train.source, t.test.source, t.backbone)
    if not is_done(scored, BY, of, reads, overwrite=True):
        model = folder / "model"
        train_dense(lambda: new_classifier(t.backbone, t.train.labels), t.train, model, settings, t.backbone)
        classifier = cast_once(load_classifier(model, device=protocol.device, precision=protocol.precision))
        found = score_protocol(classifier, t.test, folder / "protocol", protocol, overwrite=True)
        claim(scored, BY, of, reads, overwrite=True)
        with together(scored) as new:
            write_text(new / ROWS, found.scores.to_csv(index=False))
            write_bytes(new / ARRAYS, _packed(found))
    return read_result(scored)


def _packed(result: ProtocolResult) -> bytes:
    """Return the columns of a result, the ids of its posts, and its notes, as a file."""
    arrays = {"|".join(key): columns.astype(np.float64) for key, columns in result.columns.items()}
    file = BytesIO()
    told = {name: np.array(getattr(result, name), dtype=str) for name in TOLD}
    np.savez_compressed(file, **told, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def read_result(folder: Path) -> ProtocolResult:
    """Return a result that is on disk.

    Raises:
        InputError: a file is too large, or is not one of ours.
    """
    for file in (folder / ROWS, folder / ARRAYS):
        if (size := file.stat().st_size) > MOST:
            raise InputError(Fault(f"a result of at most {MOST:,} bytes", f"{size:,}", file))
    try:
        scores = pd.read_csv(folder / ROWS, keep_default_na=True)[list(COLUMNS)]
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            ids, toxic, notes = (tuple(map(str, stored[name])) for name in TOLD)
            columns = {_key(name): stored[name] for name in stored.files if "|" in name}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(Fault.of(f"not a result of HateXplain's protocol: {error}", folder)) from None
    return ProtocolResult(scores, columns, ids, toxic, notes)


def _key(name: str) -> tuple[str, str, str]:
    unit, method, metric = name.split("|")
    return unit, method, metric


Found = Mapping[str, Sequence[ProtocolResult]]  # by model, one for each seed


def of_all(found: Sequence[ProtocolResult], key: tuple[str, str, str]) -> list[Floats]:
    """Return the columns of one number in every training."""
    return [result.columns[key] for result in found]


def facts(trainings: Trainings, found: Found) -> dict[str, Any]:
    """Return what the table stands on, with what a reader must know of the results."""
    sizes = {s: len(trainings.train.examples(s)) for s in ("train", "val")}
    scored = trainings.test.examples(trainings.protocol.split)[: trainings.protocol.limit]
    notes = dict.fromkeys(note for results in found.values() for of in results for note in of.notes)
    return {**sizes, "test": len(scored), "seeds": list(trainings.seeds), "notes": list(notes)}
