"""Several annotators of one text → one entry: the label of most, the words that any of them marked.

The rule is HateXplain's (eraser/data/hatexplain.py): texts without a majority label are left out, gold is the
union of what the annotators marked, and what each marked is kept beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from eraser.data.custom.entries import Entry, RowReading
from eraser.data.custom.rows import InputRow
from eraser.data.custom.spans import without_marks
from eraser.errors import Fault, InputError, short_repr

UNIQUE = ": ids must be unique over all files (prefix those of one, as in train-1)"


def key_of(record: InputRow, how: RowReading) -> str:
    """Return what identifies a text among rows: its id, or the text itself if rows have no ids."""
    if record.has_id or record.annotator is None:
        return record.id
    text = str(record.fields["text"])
    return without_marks(text, how.asked.marks) if how.form == "marks" else text


def twice(records: Sequence[InputRow], how: RowReading) -> Iterator[tuple[InputRow, InputRow]]:
    """Yield the records that repeat an earlier id and annotator, with the earlier record."""
    first: dict[tuple[str, str | None], InputRow] = {}
    for record in records:
        key = (key_of(record, how), record.annotator)
        if (before := first.setdefault(key, record)) is not record:
            yield record, before


def of_other_texts(entries: Sequence[Entry]) -> Iterator[Fault]:
    """Yield a fault for each entry whose id is an earlier one's, of another text or in the same split."""
    first: dict[str, Entry] = {}
    for entry in entries:
        before = first.setdefault(entry.id, entry)
        other = entry.split == before.split or entry.marked.text != before.marked.text
        if before is not entry and other:
            yield _duplicate("id", entry.record, before.record, UNIQUE)


def repeated(record: InputRow, before: InputRow, how: RowReading) -> Fault:
    """Return the fault of a record that repeats an earlier one, in its own split or in another."""
    who = "" if record.annotator is None else f" and annotator {short_repr(record.annotator)}"
    what = "id" if key_of(record, how) == record.id else "text"
    other = what == "id" and record.split != before.split
    return _duplicate(f"{what}{who}", record, before, UNIQUE if other else "")


def _duplicate(what: str, record: InputRow, before: InputRow, remedy: str) -> Fault:
    where = before.file if before.line is None else f"{before.file}:{before.line}"
    return record.placed(Fault.of(f"duplicate {what}, first at {where}{remedy}")).faults[0]


def joined(entries: Sequence[Entry], how: RowReading, faults: list[Fault]) -> tuple[list[Entry], list[str]]:
    """Return an entry for each text, in the order of their first, and notes; `faults` takes what differs."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.split, key_of(entry.record, how)), []).append(entry)
    if all(len(group) == 1 for group in groups.values()):
        return list(entries), []
    found, counts = list[Entry](), Counter[str]()
    for group in groups.values():
        try:
            found += _one(group, counts)
        except InputError as error:
            faults += error.faults
    return found, list(_notes(groups.values(), counts))  # type: ignore[arg-type]


def _one(group: Sequence[Entry], counts: Counter[str]) -> Iterator[Entry]:
    """Yield the entry of one text; none where no label has a majority."""
    one = group[0]
    for other in group[1:]:
        if (other.marked.text, other.query) != (one.marked.text, one.query):
            raise other.record.placed(
                Fault("the text and query of the other annotators", short_repr(other.marked.text))
            )
    labels = Counter(entry.label for entry in group).most_common(2)
    counts["agreed"] += len(labels) == 1
    if len(labels) == 2 and labels[0][1] == labels[1][1]:
        counts["tied"] += 1
        return
    counts["others"] += sum(entry.label != labels[0][0] for entry in group)
    masks = tuple(entry.marked.gold for entry in group)
    total = {what: sum(getattr(e.marked, what) for e in group)
             for what in ("spans", "cut", "bare", "quotes", "lost", "repeated")}  # fmt: skip
    names = tuple(entry.record.annotator or "" for entry in group)
    marked = replace(one.marked, gold=np.any(masks, axis=0), **total)
    if names == ("",) and not masks[0].any():  # nobody saw the text
        masks = names = ()
    yield replace(one, label=labels[0][0], marked=marked, each=masks, names=names)


def _notes(groups: Sequence[Sequence[Entry]], counts: Counter[str]) -> Iterator[str]:
    groups = list(groups)
    people = {entry.record.annotator for group in groups for entry in group} - {None}
    several = sum(len(group) > 1 for group in groups)
    yield f"annotators: {len(people)}; texts that more than one saw: {several} of {len(groups)}"
    yield f"texts on whose label all annotators agree: {counts['agreed']} of {len(groups)}"
    if counts["tied"]:
        yield f"texts left out for want of a majority label: {counts['tied']}"
    if counts["others"]:
        yield f"answers with another label than the majority's, whose marks count too: {counts['others']}"
