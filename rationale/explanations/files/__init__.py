"""Files of explanations that other tools write: FILE_FORMS, each read to the words of a data set's texts.

To add one: a function (path, texts, name, how, columns) → ImportedMethod and a line in FILE_FORMS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from eraser.data.custom.tables import rows_of
from eraser.data.offsets import in_characters
from eraser.errors import Fault, InputError
from eraser.types import Text
from rationale.explanations.collected import CollectOptions, Told, collected
from rationale.explanations.files.columns import Columns
from rationale.explanations.files.eraser import OFFICIAL, read_eraser
from rationale.explanations.files.rows import read_rows
from rationale.explanations.scored import Scored
from rationale.explanations.stored import ImportedMethod

Read = Callable[[Path, Mapping[str, Text], str, CollectOptions, Columns], ImportedMethod]


def read_tokens(
    path: Path, texts: Mapping[str, Text], name: str, how: CollectOptions, columns: Columns
) -> ImportedMethod:
    """Return the scores of a table of tokens, which are found in the texts by their characters."""
    return collected(name, _told(path, texts, how, columns), texts, how, path)


def _told(path: Path, texts: Mapping[str, Text], how: CollectOptions, columns: Columns) -> Iterator[Told]:
    """Yield what a table says of each example, its places counted in code points."""
    for id, scored in read_rows(path, columns):
        if how.offsets == "codepoints" or isinstance(scored, Fault) or not scored.places or id not in texts:
            yield id, scored
            continue
        try:
            places = in_characters(texts[id].plain[0], [p or (0, 0) for p in scored.places], how.offsets)
        except InputError as error:
            yield id, replace(error.faults[0], file=path, id=id)
        else:
            yield id, replace(scored, places=tuple(places))


def read_words(
    path: Path, texts: Mapping[str, Text], name: str, how: CollectOptions, columns: Columns
) -> ImportedMethod:
    """Return the scores of a table of words, which must be those of the texts, one for one."""

    def exact(id: str, scored: Scored | Fault) -> Scored | Fault:
        if isinstance(scored, Fault) or id not in texts or scored.tokens == texts[id].words:
            return scored
        expected = f"the {len(texts[id].words)} words of the text, one for one (--form tokens finds pieces)"
        return Fault(expected, f"{len(scored.tokens or ())} others", path, id=id)

    told = ((id, exact(id, scored)) for id, scored in _told(path, texts, how, columns))
    return collected(name, told, texts, how, path)


def _official(
    path: Path, texts: Mapping[str, Text], name: str, how: CollectOptions, columns: Columns
) -> ImportedMethod:
    return read_eraser(path, texts, name, how)


FILE_FORMS: dict[str, Read] = {"words": read_words, "tokens": read_tokens, "eraser": _official}


def form_of(path: Path) -> str:
    """Return the form of a file, recognised by its first row: official predictions, or a table of tokens.

    Raises:
        InputError: it cannot be read.
    """
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(".jsonl"):
        return "tokens"
    if path.suffix.lower() == ".gz":
        return "eraser"
    first = next(rows_of(path), None)
    if isinstance(first, Fault):
        raise InputError(first)
    return "eraser" if first is not None and first[1].keys() >= OFFICIAL else "tokens"
