"""`rationale reproduce adapler`: data sets one after another; a step that stopped is resumed."""

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
from rationale.reproduce.table import COLUMNS, NOT_RUN, as_markdown, as_table, rows_of

BY = "reproduce adapler"
NAME = "adapler"  # of the table's files


@dataclass(frozen=True)
class Choices:
    """What is run, on which data, and how it is measured.

    Where `limits` give a number, it replaces the data set's own limit. `run` holds settings of all models:
    seed, precision, device.
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
    """Train and measure; rewrite the table after each data set, and return it.

    What an earlier call measured stays in the table until it is measured again.

    Raises:
        InputError: the settings are invalid, or `out` holds something else.
    """
    choices.limits.check()
    choices.speed.check()
    of = {"seed": choices.run["seed"], "content_of_backbone": content_of_model(choices.backbone)}
    claim(choices.out, BY, of, (choices.data, choices.backbone))
    rows = _measured_before(choices.out / f"{NAME}.csv")
    table = as_table(rows)
    for name, published in choices.sets.items():
        new_rows = list(_rows(choices, name, published))
        again = {(row["dataset"], row["model"]) for row in new_rows}
        rows = [row for row in rows if (row["dataset"], row["model"]) not in again] + new_rows
        table = as_table(rows)
        with together(choices.out) as new:
            write_text(new / f"{NAME}.csv", as_csv(table))
            write_text(new / f"{NAME}.md", as_markdown(table))
    return table


def _measured_before(table: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier call's table; none of a table of other columns."""
    if not table.is_file():
        return []
    found = pd.read_csv(table, dtype={"tokens": str, "where": str})
    if list(found.columns) != list(COLUMNS):
        return []
    return [{str(k): v for k, v in row.items()} for row in found[found.model != NOT_RUN].to_dict("records")]


def _rows(c: Choices, name: str, published: PublishedSet) -> Iterator[dict[str, Any]]:
    """Yield a data set's rows; none if the data folder does not have it."""
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
