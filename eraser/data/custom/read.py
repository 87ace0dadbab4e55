"""A user's own files, tables or exports of annotation tools → Dataset.

A row is a text, a label and, where annotators marked words, a rationale (custom/spans.py). How
texts are cut into words is a setting (eraser/words.py); a document is a row's unchanged text, under the
row's id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from eraser.data.custom.annotated import Read
from eraser.data.custom.annotators import joined, key_of, of_other_texts, repeated, twice
from eraser.data.custom.divide import divided
from eraser.data.custom.entries import Cutting, Entry, RowReading, entry_of
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.rows import InputRow
from eraser.data.custom.spans import RationaleForm, counts_words, form_of, sentences_of
from eraser.data.forms.marks import Mark, Told
from eraser.data.offsets import OffsetUnit, in_characters, unit_of
from eraser.data.source import SPLITS
from eraser.errors import Fault, InputError, left_out
from eraser.progress import progress
from eraser.types import Dataset, Document, Evidence, Example, Mask, runs
from eraser.words import WordCutter, cutter_for

WHOLE = "row"  # in place of a split: a file with the rows of all splits
SKIP = Fault.of("--skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which")
UNKNOWN_FORM = (
    "the rationales may be in characters or in words: choose with `rationale data import "
    "--rationale-form chars` or `tokens` (in Python, rationale.load_data(…, rationale_form=…))"
)
MOST_CUT_AGAIN = 1000  # texts: enough to tell whether another cut would fit their spans better


def read_custom(name: str, files: Mapping[str, Path], how: ImportOptions, least_labels: int = 2) -> Dataset:
    """Read a user's own files.

    Args:
        name: what to call the data set.
        files: by split (train, val, test), or one file under WHOLE: divided by a column that names each
            row's split, or at random into `how.fractions`, stratified by label.
        how: columns and forms.
        least_labels: how many the rows must have; to measure a model, not to train one, one will do.

    Raises:
        InputError: the faults of all files, in their order; with `skip_invalid` only those that are not of
            single rows.
    """
    fatal, wrong, read = list[Fault](), list[Fault](), Read(told=Told(files=how.files))
    for split, path in files.items():
        try:
            read.add(split, path, how, wrong)
        except InputError as error:
            fatal += error.faults
    found = _how(read.records, how, fatal)
    entries, notes = _entries(name, read.records, found, wrong, fatal)
    places = list(files.values())
    labels = {entry.label for entry in entries}
    if not fatal and not (wrong and not how.skip_invalid) and len(labels) < least_labels:
        n_texts = len({key_of(record, found) for record in read.records})
        fatal += _too_few_labels(entries, wrong, places[0], n_texts)
    wrong.sort(key=lambda fault: _place(fault, places))
    if fatal or (wrong and not how.skip_invalid):
        told = sorted(fatal if how.skip_invalid else [*fatal, *wrong], key=lambda f: _place(f, places))
        raise InputError(*told, *(() if fatal or len(labels) < least_labels else (SKIP,)))
    by_chance: tuple[str, ...] = ()
    if WHOLE in files and how.columns.split is None:
        entries, by_chance = divided(entries, how, files[WHOLE])
    told_notes = (
        *read.notes(how),
        *_notes(read.records, entries, found),
        *notes,
        *left_out(wrong),
        *by_chance,
    )
    return Dataset(name, *_examples(entries), told_notes, cutter=found.cut.words)


def _place(fault: Fault, places: Sequence[Path]) -> tuple[int, str, int]:
    """Return which of the files, or of the folders of files, a fault is in, and where in it."""
    file = Path(fault.file or places[0])
    number = next((n for n, place in enumerate(places) if place == file or place in file.parents), 0)
    return number, str(file), fault.line or 0


def _too_few_labels(
    entries: Sequence[Entry], wrong: Sequence[Fault], place: Path, n_texts: int
) -> Sequence[Fault]:
    if not entries:
        return wrong or [Fault.of("no text is left", place)]
    every = "every row"
    if len(entries) < n_texts:
        left = f"{len(entries)} of {n_texts}"
        every = f"every text that is left: {left}, the others are invalid or their labels tie"
    return [Fault("at least two labels", f"{entries[0].label!r} in {every}", place)]


# How all rows are read


def _how(records: Sequence[InputRow], how: ImportOptions, faults: list[Fault]) -> RowReading:
    form = _form(records, how, faults) if records else how.rationale_form
    unit, note = _unit(records, how, form, faults)
    cut = _cutting(records, how, form)
    return RowReading(how, form, cut, unit, note)


def _form(records: Sequence[InputRow], how: ImportOptions, faults: list[Fault]) -> RationaleForm:
    """Return the form of the rationales; with a fault, `auto` if none can be told, `none` with no column."""
    form: RationaleForm = "tokens" if how.offsets == "tokens" else how.rationale_form
    column = how.columns.rationale or ("rationale" if form in ("chars", "tokens", "quotes") else None)
    if column and not any("rationale" in record.columns for record in records):
        faults.append(Fault.of(f"no file has a column {column!r}", records[0].file))
        return "none"
    if form != "auto":
        return form
    unknown = [record for record in records if record.counts is None]
    if not unknown:
        return "chars"
    rows = [(text if isinstance(text := r.fields["text"], str) else "", _told_later(r)) for r in unknown]
    if (form := form_of(rows, how.marks)) == "auto":
        faults.append(Fault.of(UNKNOWN_FORM, records[0].file))
    return form


def _unit(
    records: Sequence[InputRow], how: ImportOptions, form: RationaleForm, faults: list[Fault]
) -> tuple[OffsetUnit, str | None]:
    """Return what spans of characters count, and what to tell of it."""
    open_ones = [r for r in records if r.counts != "codepoints" and (r.counts or form == "chars")]
    if how.offsets in ("utf16", "bytes") and records and not open_ones:
        message = f"--offsets {how.offsets} is for spans of characters; it is known what these count"
        faults.append(Fault.of(message, records[0].file))
    if how.offsets != "auto":
        return ("codepoints" if how.offsets == "tokens" else how.offsets), None
    given = [(r.fields["text"], _marks(r)) for r in open_ones if isinstance(r.fields["text"], str)]
    return unit_of(given)


def _differing(entries: Sequence[Entry], how: RowReading) -> Iterator[str]:
    """Yield a note of the spans whose words are not those that the file gives beside them."""
    given = differ = 0
    for e in entries:
        quoted = [m for m in e.record.marks or () if m.quote is not None and e.record.counts == "characters"]
        at = in_characters(e.marked.text, [(mark.start, mark.end) for mark in quoted], how.unit)
        given += len(quoted)
        for (start, end), mark in zip(at, quoted, strict=True):
            differ += _words(e.marked.text[start:end]) != _words(mark.quote or "")
    if differ:
        yield f"spans whose words differ from those that the file gives beside them: {differ} of {given}"


def _words(text: str) -> list[str]:
    return text.replace("\\n", " ").split()


def _marks(record: InputRow) -> tuple[Mark, ...]:
    """Return the spans of a record, without those that are none: their faults come later."""
    if record.marks is not None:
        return record.marks
    value = _told_later(record)
    pairs = value if isinstance(value, list) else []
    return tuple(Mark(*p) for p in pairs if isinstance(p, list) and len(p) == 2 and {*map(type, p)} == {int}
                 and 0 <= p[0] < p[1])  # fmt: skip


def _cutting(records: Sequence[InputRow], how: ImportOptions, form: RationaleForm) -> Cutting:
    """Return what cuts texts into words, and into the words that rationales count.

    Those are the white-space words where most rationales can be read so, else the words themselves.
    """
    texts = [text for record in records if isinstance(text := record.fields["text"], str)]
    words, note = cutter_for(texts, how.words, "whitespace")
    counted: WordCutter = "whitespace"
    if form == "tokens" and words != "whitespace":
        given = [(r.fields["text"], _told_later(r)) for r in records if not r.is_blank("rationale")]
        fits = [counts_words(value, len(str(text).split())) for text, value in given]
        counted = "whitespace" if 2 * sum(fits) > len(fits) else words
        note = f"{note or f'words: {words}'}; rationales count words by {counted}"
    return Cutting(words, counted, (note or f"words: {words}",) if note or how.words else ())


def _told_later(record: InputRow) -> Any:
    """Return a rationale, or what stands there if it cannot be read: a fault when the entry is made."""
    try:
        return record.rationale()
    except InputError:
        return record.fields["rationale"]


# Rows → examples


def _entries(
    name: str, records: Sequence[InputRow], how: RowReading, wrong: list[Fault], fatal: list[Fault]
) -> tuple[list[Entry], list[str]]:
    """Return an entry for each text, and notes; `wrong` takes the faults of single rows, `fatal` others."""
    left_out = {id(record) for record in records if record.is_wrong}
    for record, before in twice(records, how):
        left_out.add(id(record))
        (wrong if record.split == before.split else fatal).append(repeated(record, before, how))
    shown = progress(records, f"import {name}", "rows")
    made = [(record, entry_of(record, how, wrong)) for record in shown]
    entries, notes = joined([e for r, e in made if e is not None and id(r) not in left_out], how, wrong)
    fatal += of_other_texts(entries)
    return entries, notes


def _notes(records: Sequence[InputRow], entries: Sequence[Entry], how: RowReading) -> Iterator[str]:
    """Yield notes on how the rows were read."""
    # that a table has no rationales is told where they are missed
    if how.form != "none" or how.asked.rationale_form == "none":
        yield f"form of the rationales: {how.form}"
    columns = {r.columns["rationale"] for r in records if r.marks is None and "rationale" in r.columns}
    if columns and how.asked.columns.rationale is None and columns != {"rationale"}:
        yield f"column of the rationales: {', '.join(sorted(columns))}"
    yield from () if how.note is None else (how.note,)
    yield from how.cut.notes
    unread = (record.counts is None and not record.is_blank("rationale") for record in records)
    if how.form in ("marks", "none") and any(unread):
        yield "the column of rationales was not read"
    yield from _notes_of_spans(records, entries, how)
    yield from _differing(entries, how)
    texts = {s: {e.marked.text for e in entries if e.split == s} for s in SPLITS}
    for one, other in combinations(SPLITS, 2):
        if both := len(texts[one] & texts[other]):
            yield f"texts both in {one} and in {other}: {both}"
    labels = {s: {e.label for e in entries if e.split == s} for s in SPLITS}
    for split in SPLITS[1:]:
        if labels["train"] and (new := sorted(labels[split] - labels["train"])):
            yield f"labels in {split} and not in train: {', '.join(new)}"


def _notes_of_spans(records: Sequence[InputRow], entries: Sequence[Entry], how: RowReading) -> Iterator[str]:
    spans, quotes = (sum(getattr(e.marked, what) for e in entries) for what in ("spans", "quotes"))
    if wider := sum(e.marked.cut for e in entries):
        advice = " (fewer with --words punctuation)" if _fit_signs_apart(records, entries, how) else ""
        yield f"spans that begin or end inside a word, and mark all of it: {wider} of {spans}{advice}"
    if bare := sum(e.marked.bare for e in entries):
        yield f"spans that touch no word: {bare} of {spans}"
    if lost := sum(e.marked.lost for e in entries):
        yield f"quotes that do not stand in the text: {lost} of {quotes}"
    if more := sum(e.marked.repeated for e in entries):
        yield f"quotes that stand in it more than once, and mark every place: {more} of {quotes}"


def _fit_signs_apart(records: Sequence[InputRow], entries: Sequence[Entry], how: RowReading) -> bool:
    """Return whether fewer spans would begin or end inside a word if punctuation were words of its own."""
    if how.cut.words != "whitespace":
        return False
    texts = {e.record.fields["text"] for e in entries if e.marked.cut}  # each annotator of one has a record
    some = list(islice((r for r in records if r.fields["text"] in texts), MOST_CUT_AGAIN))
    apart = replace(how, cut=replace(how.cut, words="punctuation"))
    now, then = ([entry_of(record, each, []) for record in some] for each in (how, apart))
    return sum(e.marked.cut for e in then if e) < sum(e.marked.cut for e in now if e)


def _examples(entries: Sequence[Entry]) -> tuple[dict[str, Document], dict[str, tuple[Example, ...]]]:
    """Return documents and splits; what is marked in a text is one group, each run of words a span."""
    documents, splits = {}, {split: list[Example]() for split in SPLITS}
    for e in entries:
        documents[e.id] = Document(e.id, sentences_of(e.marked.text, e.marked.words), e.marked.text)
        group = _evidence(e.id, e.marked.gold)
        annotators = tuple(_evidence(e.id, mask) for mask in e.each)
        gold = frozenset({group} if group else ())
        splits[e.split].append(
            Example(e.id, (e.id,), e.label, e.query, gold, annotators, annotator_names=e.names)
        )
    return documents, {s: tuple(found) for s, found in splits.items() if found}


def _evidence(id: str, mask: Mask) -> frozenset[Evidence]:
    return frozenset(Evidence(id, span) for span in runs(mask))
