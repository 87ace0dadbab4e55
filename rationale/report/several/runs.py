"""Runs as comparisons read them: what a folder says, and whether several are of the same examples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eraser import Fault, InputError
from eraser.files.owned import check_whole, read_made
from eraser.types import Floats
from rationale.evaluation.stored.columns import PER_EXAMPLE, ColumnsFile, Key
from rationale.evaluation.stored.run_folder import SCORES_JSON, own_file, read_facts, unreadable
from rationale.settings import ADDED

NUMBERED = re.compile(r".+-\d{5,}")  # ids of a table without a column of them
A_RUN = "a folder written by `rationale evaluate`"


@dataclass(frozen=True)
class StoredRun:
    """What a run's folder says: its facts, the ids of its examples, and what was measured on each.

    `content` is a hash of the examples: their words, labels and marks; None where the run does not say.
    """

    name: str
    facts: dict[str, Any]
    per_example: ColumnsFile
    content: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The examples, in their order."""
        return self.per_example.ids

    def columns(self, key: Key, ids: Sequence[str]) -> Floats:
        """Return the metric's columns of these examples [N,K]; NaN where it is undefined."""
        return self.per_example[key][[self._place[id] for id in ids]]

    @property
    def content_of_split(self) -> str | None:
        """A hash of all examples of its split, evaluated or not; None where the run does not say."""
        found: str | None = self.facts.get("content_of_split")
        return found

    @cached_property
    def _place(self) -> dict[str, int]:
        return {id: i for i, id in enumerate(self.ids)}


def read_run(folder: Path) -> StoredRun:
    """Read a run's folder.

    Raises:
        InputError: it is none, half written, a mixture of several, or one written before runs kept their
            numbers example by example.
    """
    check_whole(folder)
    facts = read_facts(folder)
    if facts is None:
        raise unreadable(folder, A_RUN, "no scores.json there")
    settings = facts.get("settings", {})
    if missing := [n for n in ("dataset", "split") if not isinstance(settings.get(n), str)]:
        raise unreadable(folder / SCORES_JSON, A_RUN, f"a scores.json without its {missing[0]}")
    path = own_file(folder, PER_EXAMPLE)
    if path is None:
        message = f"the run is older and has no {PER_EXAMPLE}; evaluate again into a new folder"
        raise InputError(Fault.of(message, folder))
    made = read_made(folder)
    content = None if made is None else made.of.get("content_of_data")
    return StoredRun(str(folder), facts, ColumnsFile(path), content)


def read_runs(folders: Sequence[Path]) -> list[StoredRun]:
    """Read runs to be compared, two or more, of one data set and split."""
    if len(folders) < 2:
        raise InputError(Fault("at least two runs to compare", str(len(folders))))
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError(Fault("each run once", ", ".join(map(str, folders))))
    runs = [read_run(folder) for folder in folders]
    check_alike(runs)
    return runs


def check_alike(runs: Sequence[StoredRun]) -> None:
    """Refuse runs of several data sets or splits, of words and sentences, or with one id for two texts."""
    first = runs[0]
    for what in ("dataset", "split", "unit"):
        theirs = {r.name: r.facts["settings"].get(what, ADDED.get(what)) for r in runs}
        ours = theirs[first.name]
        other = next((r for r in runs if theirs[r.name] != ours), None)
        if other is not None:
            why = f"its {what} is {theirs[other.name]!r}, there it is {ours!r}"
            remedy = "give runs of one data set, split and unit"
            raise InputError(Fault.of(f"cannot be compared with {first.name}: {why}; {remedy}", other.name))
    if other := next((r for r in runs if _has_other_texts(r, first)), None):
        why = f"its ids are those of {first.name}, but not its texts, labels or rationales"
        raise InputError(Fault.of(f"{why}: give the data a column of ids, and evaluate again", other.name))


def _has_other_texts(run: StoredRun, first: StoredRun) -> bool:
    """Return whether ids that two runs share are known to be of other texts.

    Ids that are numbers of rows say nothing where the splits differ: one row less, and all others move up.
    """
    if run.ids == first.ids:
        return _differ(run.content, first.content)
    numbered = all(NUMBERED.fullmatch(id) for id in (*run.ids, *first.ids))
    return numbered and _differ(run.content_of_split, first.content_of_split)


def _differ(one: str | None, other: str | None) -> bool:
    return None not in (one, other) and one != other


def common_ids(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """Return the ids that all runs have, in the first run's order.

    Raises:
        InputError: there are none.
    """
    shared = set.intersection(*(set(run.ids) for run in runs))
    if not shared:
        names = ", ".join(run.name for run in runs)
        remedy = "evaluate them on the same examples (--split, --limit, --sample, --seed)"
        raise InputError(Fault.of(f"no example is in all runs: {names}; {remedy}"))
    return tuple(i for i in runs[0].ids if i in shared)
