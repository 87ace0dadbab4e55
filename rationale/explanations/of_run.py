"""Which examples of a run have imported explanations; those that lack one are refused or left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from eraser.errors import Fault, InputError, short_repr
from eraser.types import Dataset, Example
from rationale.explanations.read import read_explanations
from rationale.explanations.stored import PREFIX, ImportedMethod, hash_of_words

Missing = Literal["refuse", "skip"]
Given = ImportedMethod | str | Path  # explanations, or their file
NAMED = 3  # of the examples that lack an explanation


@dataclass(frozen=True)
class Imports:
    """Imported explanations of a run, one row each.

    `missing`: whether an example without an explanation, or with one of other words, is refused, or left out
    of the run, for all methods alike: so that every row is of the same examples.
    """

    methods: tuple[ImportedMethod, ...] = ()
    missing: Missing = "refuse"

    @property
    def names(self) -> tuple[str, ...]:
        """The rows' names."""
        return tuple(one.method for one in self.methods)

    @property
    def choosing(self) -> tuple[str, ...]:
        """The names of those that pick words themselves."""
        return tuple(one.method for one in self.methods if one.chooses)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader of the rows."""
        return tuple(line for one in self.methods for line in one.told())

    def check(self, methods: Collection[str]) -> None:
        """Refuse two rows of one name, one of a method's name, and an unknown rule for what is missing."""
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            name = twice[0].removeprefix(PREFIX)
            raise InputError(Fault.of(f"two explanations files have the name {name}; import one with --name"))
        if taken := [name for name in self.names if name in methods]:
            raise InputError(Fault("a name that no method has", taken[0]))
        if self.missing not in get_args(Missing):
            expected = f"missing explanations to be one of {', '.join(get_args(Missing))}"
            raise InputError(Fault(expected, short_repr(self.missing)))


NO_IMPORTS = Imports()


def read_imports(given: Given | Sequence[Given], missing: Missing = "refuse") -> Imports:
    """Return imported explanations; those given as files are read."""
    each = [given] if isinstance(given, Given) else given
    found = (one if isinstance(one, ImportedMethod) else read_explanations(one) for one in each)
    return Imports(tuple(found), missing)


def explained_examples(
    dataset: Dataset,
    examples: Sequence[Example],
    imports: Imports,
) -> tuple[Sequence[Example], tuple[str, ...]]:
    """Return the examples that all imports explain, and a note for each import that lacks some.

    Args:
        dataset: of the run.
        examples: that the run would have.
        imports: the imported explanations; those of other examples are ignored.

    Raises:
        InputError: such an example is refused, or none is left.
    """
    if not imports.methods:
        return examples, ()
    hashes = {example.id: hash_of_words(dataset.text(example).words) for example in examples}
    lacking: set[str] = set()
    notes, faults = list[str](), list[Fault]()
    for one in imports.methods:
        absent = [id for id in hashes if id not in one.examples]
        other = [id for id in hashes if id in one.examples and one.examples[id].text_hash != hashes[id]]
        for line in _told(one, len(hashes), absent, other):
            notes.append(f"{line}: left out of the run")
            faults.append(Fault.of(f"{line} (--explanations-missing skip leaves them out of the run)"))
        lacking |= {*absent, *other}
    if faults and imports.missing == "refuse":
        raise InputError(*faults)
    left = [example for example in examples if example.id not in lacking]
    if not left:
        raise InputError(Fault("an example that every explanations file explains", "none"), *faults)
    return left, tuple(notes)


def _told(one: ImportedMethod, n_examples: int, absent: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    """Yield in words what an import lacks."""
    for ids, what in ((absent, "no explanation of"), (other, "explanations of other words in")):
        if ids:
            more = ", …" if len(ids) > NAMED else ""
            yield f"{one.method}: {what} {len(ids)} of {n_examples} examples ({', '.join(ids[:NAMED])}{more})"
