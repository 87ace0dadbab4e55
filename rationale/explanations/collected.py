"""Scores of each text → a row of a run; unusable texts are refused or counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eraser.data.offsets import OffsetUnit
from eraser.errors import Fault, InputError
from eraser.types import Text
from rationale.explanations.pooling import Reduce
from rationale.explanations.scored import Scored, explanation_of
from rationale.explanations.stored import ImportedMethod, WordExplanation

Told = tuple[str, Scored | Fault]  # of the example of that id


@dataclass(frozen=True)
class CollectOptions:
    """How scores of pieces become those of words, and the header of the row's file.

    `offsets` is what the places of a file count.
    """

    reduce: Reduce = "sum"
    skip_invalid: bool = False
    tool: str = ""
    notes: tuple[str, ...] = ()
    offsets: OffsetUnit = "codepoints"


def collected(
    name: str,
    told: Iterable[Told],
    texts: Mapping[str, Text],
    how: CollectOptions,
    path: Path | None = None,
) -> ImportedMethod:
    """Return the explanations of texts by their ids; faults are told of the file `path` that has the scores.

    Raises:
        InputError: a text or its tokens are not in the data set; all such, unless they are left out.
    """
    found: list[WordExplanation] = []
    faults: list[Fault] = []
    for id, scored in told:
        try:
            found.append(_one(id, scored, texts, how, path))
        except InputError as error:
            faults += error.faults
    if faults and not (how.skip_invalid and found):
        raise InputError(*faults)
    settings = {"pieces of a word": how.reduce}
    notes = (
        *how.notes,
        *((f"{len(faults)} explanations left out, the first: {faults[0]}",) if faults else ()),
    )
    return ImportedMethod.of(name, found, tool=how.tool, settings=settings, notes=notes)


def _one(
    id: str, scored: Scored | Fault, texts: Mapping[str, Text], how: CollectOptions, path: Path | None
) -> WordExplanation:
    if isinstance(scored, Fault):
        raise InputError(scored)
    if id not in texts:
        raise InputError(Fault.of("the split has no example of this id", path, id=id))
    try:
        return explanation_of(texts[id], scored, how.reduce)
    except InputError as error:
        raise InputError(*(replace(f, file=path, line=None, id=id) for f in error.faults)) from None
