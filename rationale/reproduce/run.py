"""`rationale reproduce adapler`: data sets one after another, each step gone on with where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from eraser.files.cells import as_csv
from eraser.files.owned import claim, together
from eraser.files.whole import write_text
from rationale.bench.speeds import SpeedSettings
from rationale.hf.folder_checks import content_of_model
from rationale.process.terminal import say
from rationale.reproduce.measure import measured
from rationale.reproduce.models import Training, train
from rationale.reproduce.prepare import prepare, sizes_of
from rationale.reproduce.sets import Limits, PublishedSet
from rationale.reproduce.table import as_markdown, as_table, rows_of

BY = "reproduce adapler"
NAME = "adapler"  # of the table's files


@dataclass(frozen=True)
class Choices:
    """What is run, on what, and how it is measured.

    `limits` take the place of those of each data set where they name a number; `run` are settings of all
    models: seed, precision, device.
    """

    data: Path
    backbone: str
    out: Path
    sets: Mapping[str, PublishedSet]
    models: Sequence[str]
    limits: Limits
    speed: SpeedSettings
    run: Mapping[str, Any]


def reproduce(choices: Choices) -> pd.DataFrame:
    """Train and measure; write the table anew after each data set, and return it.

    Raises:
        InputError: settings that cannot be, or `out` is somebody's.
    """
    choices.limits.check()
    choices.speed.check()
    of = {"seed": choices.run["seed"], "content_of_backbone": content_of_model(choices.backbone)}
    claim(choices.out, BY, of, (choices.data, choices.backbone))
    rows: list[dict[str, Any]] = []
    table = as_table(rows)
    for name, published in choices.sets.items():
        rows += _rows(choices, name, published)
        table = as_table(rows)
        with together(choices.out) as new:
            write_text(new / f"{NAME}.csv", as_csv(table))
            write_text(new / f"{NAME}.md", as_markdown(table))
    return table


def _rows(c: Choices, name: str, published: PublishedSet) -> Iterator[dict[str, Any]]:
    """Yield a data set's rows; none where the folder of data has no such data set."""
    source = c.data / name
    if not source.is_dir():
        say(f"{name}: not run, as {source} is no folder", err=True)
        return
    own = published.limits
    limits = Limits(c.limits.train or own.train, c.limits.test or own.test, own.val)
    dataset = prepare(source, c.out / "data" / name, published.pairs, limits, c.run["seed"])
    folder = c.out / name
    train(Training(published, dataset, c.backbone, folder, c.run), c.models)
    how = {key: c.run[key] for key in ("precision", "device")}
    rows = measured(folder, c.models, dataset, replace(c.speed, seed=c.run["seed"]), how)
    yield from rows_of(name, published, dataset, sizes_of(source), rows)
