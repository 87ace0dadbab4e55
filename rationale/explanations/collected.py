"""What was said of each text → a row of a run; texts of which nothing can be made are refused or counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eraser.errors import Fault, InputError
from eraser.types import Text
from rationale.explanations.pooling import Reduce
from rationale.explanations.scored import Scored, explanation_of
from rationale.explanations.stored import ImportedMethod, WordExplanation

Told = tuple[str, Scored | Fault]  # of the example of that id


@dataclass(frozen=True)
class CollectOptions:
    """How scores of pieces become those of words, and what a row's file says of itself."""

    reduce: Reduce = "sum"
    skip_invalid: bool = False
    tool: str = ""
    notes: tuple[str, ...] = ()


def collected(
    name: str, told: Iterable[Told], texts: Mapping[str, Text], how: CollectOptions
) -> ImportedMethod:
    """Return what was said of texts by their ids.

    Raises:
        InputError: of a text that is not there, or of which the tokens are not; all such, unless they are to
            be left out.
    """
    found: list[WordExplanation] = []
    faults: list[Fault] = []
    for id, scored in told:
        try:
            found.append(_one(id, scored, texts, how))
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


def _one(id: str, scored: Scored | Fault, texts: Mapping[str, Text], how: CollectOptions) -> WordExplanation:
    if isinstance(scored, Fault):
        raise InputError(scored)
    if id not in texts:
        raise InputError(Fault.of("the split has no example of this id", id=id))
    return explanation_of(texts[id], scored, how.reduce)
