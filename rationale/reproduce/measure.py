"""A data set's models on test, beside the dense one: measured once, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eraser import Dataset, Fault, InputError
from eraser.files.content import content_of_examples
from eraser.files.owned import claim, together
from eraser.files.whole import write_json
from rationale.bench.speeds import SpeedSettings, speed_table
from rationale.hf.classifier import cast_once, load_classifier
from rationale.hf.folder_checks import content_of_model

RESULT = "measured.json"
MOST = 2**20  # bytes of a result
BY = "reproduce adapler: measure"


def measured(
    folder: Path, models: Sequence[str], dataset: Dataset, settings: SpeedSettings, run: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return rows of speed_table: one for the dense model and one for each other model.

    Args:
        folder: contains a folder for each model; the results are written beside them, one folder per model.
        models: the models to measure.
        dataset: whose test split is read.
        settings: how time is measured.
        run: precision and device.
    """
    dense = folder / "dense"
    rows: list[dict[str, Any]] = []
    for name in models:
        out, paths = folder / f"{name}-measured", (dense, folder / name)
        of = {**asdict(settings), **run, "content": [content_of_model(str(path)) for path in paths]}
        of["content_of_data"] = content_of_examples(dataset, dataset.examples("test"))
        if not claim(out, BY, of, paths, (), overwrite=True):
            one, other = (cast_once(load_classifier(path, **run)) for path in paths)
            found = speed_table(one, {name: other}, dataset, settings)
            records = found.astype(object).where(found.notna(), None).to_dict("records")
            with together(out) as new:
                write_json(new / RESULT, records)
        read = read_result(out / RESULT)
        rows += read if not rows else read[1:]
    return rows


def read_result(file: Path) -> list[dict[str, Any]]:
    """Return the stored measurements.

    Raises:
        InputError: the file is too large, or is not one of ours.
    """
    if (size := file.stat().st_size) > MOST:
        raise InputError(Fault(f"a result of at most {MOST:,} bytes", f"{size:,}", file))
    try:
        rows = json.loads(file.read_bytes())
        if [row["model"] for row in rows][0] == "dense":
            return list(rows)
    except (ValueError, TypeError, KeyError, IndexError):
        pass
    raise InputError(Fault.of("not the result of a measurement", file))
