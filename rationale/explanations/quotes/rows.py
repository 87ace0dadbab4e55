"""A JSONL file of ids, labels and answers → the words that a model quoted: an imported method."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import lines_of, regular
from eraser.types import Text
from rationale.explanations.quotes.answers import Answer, read_answer
from rationale.explanations.quotes.find import WAYS, QuotedText, Repeated
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words

MOST_LINE = 2**24  # bytes
NAMED = 3  # of the answers that are left out
USUAL = ("quotes", "rationales", "rationale", "answer")  # the first that is not null holds the passages
NO_ANSWER, UNREAD = "no answer", "an answer that cannot be read"


@dataclass(frozen=True)
class QuoteForm:
    """How a file of quotes is read.

    Each of `id`, `label` and `quotes` names a field, dots lead into objects (`llms.mistral.label`); without
    a name the label is `label`, if it is there, and the quotes are in the first of USUAL. `key` is the only
    name under which objects inside an answer hold their passages. `repeated`: which occurrences of a
    passage are picked. `labels` says what the file's labels are called in the data set.
    """

    id: str = "id"
    label: str | None = None
    quotes: str | None = None
    key: str | None = None
    repeated: Repeated = "all"
    labels: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse an unknown rule."""
        if self.repeated not in get_args(Repeated):
            expected = f"repeated passages by one of {', '.join(get_args(Repeated))}"
            raise InputError(Fault(expected, short_repr(self.repeated)))


@dataclass(frozen=True)
class Row:
    """One line's answer for an example, or why it has none."""

    id: str
    label: str | None
    answer: Answer | None
    lacks: str = ""


def import_quotes(
    path: Path, texts: Mapping[str, Text], name: str, form: QuoteForm, tool: str = ""
) -> ImportedMethod:
    """Return the words that a model quoted, by the id of the text.

    Args:
        path: the file.
        texts: of the data set, by id.
        name: the row's.
        form: how the file is read.
        tool: what made the answers, for the report.

    Raises:
        InputError: it cannot be read, has an id twice, or no answer that can be read to any of the texts.
    """
    form.check()
    rows = list(read_rows(path, form))
    known = [row for row in rows if row.id in texts]
    if not known:
        raise InputError(Fault("an id of the data set", short_repr([r.id for r in rows][:NAMED]), path))
    found = [_explanation(texts[row.id], row, row.answer, form) for row in known if row.answer is not None]
    if not found:
        raise InputError(Fault("an answer with quotes", f"{known[0].lacks} in all {len(known)} rows", path))
    settings = {"form": "quotes", "repeated": form.repeated}
    notes = tuple(_notes(rows, known))
    return ImportedMethod.of(name, found, tool=tool, settings=settings, notes=notes)


def _notes(rows: Sequence[Row], known: Sequence[Row]) -> Iterator[str]:
    """Yield notes on what was left out."""
    if others := len(rows) - len(known):
        yield f"{others} of {len(rows)} rows are of other examples than the data set's"
    for lacks in (NO_ANSWER, UNREAD):
        if ids := [row.id for row in known if row.lacks == lacks]:
            more = ", …" if len(ids) > NAMED else ""
            yield f"{lacks} in {len(ids)} of {len(known)} rows, left out ({', '.join(ids[:NAMED])}{more})"


def _explanation(text: Text, row: Row, answer: Answer, form: QuoteForm) -> WordExplanation:
    """Return the words that an answer quotes."""
    string, words = text.plain
    quoted = QuotedText(string, words)
    selected = np.zeros(len(words), dtype=bool)
    counts = Counter({"quotes": len(answer.quotes), "entries without a quote": answer.without_quote})
    counts[f"answers that are {answer.how}"] += 1
    for quote in answer.quotes:
        found = quoted.find(quote)
        selected |= quoted.selected(found.places if form.repeated == "all" else found.places[:1])
        where = "not in the text" if found.way is None else f"found {found.way}"
        counts[f"quotes {where}"] += 1
        counts["quotes that are only parts of words (of those not in the text)"] += found.inside
        counts["quotes that stand there more than once (of those found)"] += len(found.places) > 1
    counts["answers without a quote that is in the text"] += not selected.any()
    label = row.label if row.label is None else form.labels.get(row.label, row.label)
    hashed, told = hash_of_words(text.words), {name: n for name, n in counts.items() if n}
    return WordExplanation(row.id, hashed, len(words), selected=selected, label=label, counts=told)


def share_found(method: ImportedMethod) -> dict[str, int]:
    """Return the number of quotes, of those found each way, and of those not found."""
    names = ["quotes", *(f"quotes found {way}" for way in WAYS), "quotes not in the text"]
    return {name: method.counts.get(name, 0) for name in names}


def read_rows(path: Path, form: QuoteForm) -> Iterator[Row]:
    """Yield the row of each line."""
    try:
        with regular(path) as file:
            for number, line in enumerate(lines_of(file, path, MOST_LINE), start=1):
                if line.strip():
                    yield _row(_object(line, path, number), form, path, number)
    except OSError as error:
        raise InputError(Fault.of(f"the file cannot be read: {error.strerror}", path)) from None


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("one JSON object a line", str(error), path, number)) from None
    if not isinstance(row, dict):
        raise InputError(Fault("one JSON object a line", short_repr(row), path, number))
    return row


def _row(row: dict[str, Any], form: QuoteForm, path: Path, line: int) -> Row:
    id = _name(_at(row, form.id))
    if id is None:
        raise InputError(Fault(f"an id in {form.id!r}", short_repr(_at(row, form.id)), path, line))
    label = _at(row, form.label or "label")
    if label is not None and _name(label) is None:
        raise InputError(Fault("a label that is a text or a number", short_repr(label), path, line, id))
    value = _quotes(row, form, path, line, id)
    if value is None:
        return Row(id, _name(label), None, NO_ANSWER)
    answer = read_answer(value, form.key)
    return Row(id, _name(label), answer, "" if answer else UNREAD)


def _quotes(row: dict[str, Any], form: QuoteForm, path: Path, line: int, id: str) -> Any:
    """Return a line's quotes; None if they are null or the named field is missing."""
    if form.quotes is not None:
        return _at(row, form.quotes)
    if not (there := [row[name] for name in USUAL if name in row]):
        raise InputError(
            Fault(f"quotes in a field {', '.join(USUAL)}", short_repr(list(row)), path, line, id)
        )
    return next((value for value in there if value is not None), None)


def _at(row: Any, name: str) -> Any:
    """Return the field of that name; dots lead into objects, but a field with dots in its name goes first."""
    if isinstance(row, dict) and name in row:
        return row[name]
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def _name(value: Any) -> str | None:
    """Return an id or a label as text: of a whole number its digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) or type(value) is int:
        return str(value)
    return None
