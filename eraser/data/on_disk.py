"""Large ERASER folders → the same Dataset, read from disk on access.

In memory stay, for each line of a file, where it begins and its number, and for documents a hash of their id:
some 20 bytes each. Every line is checked once when the data set is opened; the lines of an example are parsed
each time it is used. Archives and HateXplain's own JSON have to be read whole and are no large data.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from eraser.data.annotations import (
    Annotation,
    Annotators,
    annotators_file,
    example_of,
    read_annotation,
    with_annotators,
    wrong_id,
)
from eraser.data.source import (
    Source,
    check_document,
    cut_sentences,
    cut_sentences_of_jsonl,
    parse_json_lines,
    with_strings,
)
from eraser.data.texts import TEXTS, OwnText, cut_note, read_cutter, with_text
from eraser.errors import Fault, InputError
from eraser.files.bounds import lines_of, regular
from eraser.progress import BYTES, Progress
from eraser.types import Dataset, Document, Example

LARGE = 32 * 2**20  # bytes of a folder's .jsonl files; as objects they are ten times as many
MAX_FAULTS = 100  # after which no more are looked for
REMEMBERED = 256  # documents
Offsets = NDArray[np.uint64]


def is_large(source: Source, splits: Sequence[str]) -> bool:
    """Return whether a folder is so large that it is read from disk on access."""
    names = ("docs.jsonl", TEXTS, *(f"{s}.jsonl" for s in splits))
    sizes = [(source.path / n).stat().st_size for n in names if source.path.is_dir() and source.has(n)]
    return bool(sizes) and sum(sizes) > LARGE


def load_large(source: Source, name: str, splits: Sequence[str]) -> Dataset:
    """Check every line; return the data set.

    Raises:
        InputError: lines, documents or evidence are invalid; all faults at once.
    """
    documents: Documents = _Jsonl(source) if source.has("docs.jsonl") else _Folder(source)
    faults: list[Fault] = []
    notes: list[str] = []
    opened = {s: _Opened.of(source, documents, s) for s in splits}
    examples = {s: _checked(of_split, s, faults, notes) for s, of_split in opened.items()}
    if faults:
        raise InputError(*dict.fromkeys(faults))  # several examples may want one document
    notes += cut_note(documents.cutter)
    return Dataset(name, documents, examples, tuple(notes), str(source.path), documents.cutter)


@dataclass(frozen=True)
class JsonLines:
    """A JSON-lines file as it was when it was opened: size and time of its last change."""

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> JsonLines:
        """Open a file that is there."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    def all(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield (where it begins, its number, its object) for each line that is not blank."""
        begins, what = 0, f"read {self.path.name}"
        with regular(self.path) as file, Progress(what, BYTES, self.size) as shown_bytes:
            for number, raw in enumerate(lines_of(file, self.path), start=1):
                for record in self._parsed(raw, number):
                    yield begins, number, record
                begins += len(raw)
                shown_bytes.add(len(raw))

    def at(self, begins: int, number: int) -> dict[str, Any]:
        """Return the object of a line.

        Raises:
            InputError: the file was changed, or is gone.
        """
        try:
            with regular(self.path) as file:
                now = os.fstat(file.fileno())
                if (now.st_size, now.st_mtime_ns) == (self.size, self.changed):
                    file.seek(begins)
                    return next(self._parsed(next(lines_of(file, self.path, before=number - 1)), number))
        except OSError as error:
            raise InputError(
                Fault.of(f"the file cannot be read any more: {error.strerror}", self.path)
            ) from None
        raise InputError(Fault.of("the file changed while it was in use; load it again", self.path))

    def _parsed(self, raw: bytes, number: int) -> Iterator[dict[str, Any]]:
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise InputError(Fault("UTF-8 text", str(error), self.path, number)) from None
        if "\r" in text:
            raise InputError(Fault("lines of a large file that end in LF or CR LF", "CR", self.path, number))
        return (with_strings(record) for _, record in parse_json_lines(text, str(self.path), number - 1))


def _hash(name: str) -> int:
    """Return 64 bits of a name; the name itself is compared wherever two may be the same."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────


class Documents(Mapping[str, Document]):
    """Documents by id; those used last are remembered. One that cannot be read is an InputError."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    def __init__(self, source: Source) -> None:
        self.source, self.cutter = source, read_cutter(source)
        self.texts = _ById(source, TEXTS, OwnText.of) if source.has(TEXTS) else None
        self._remembered = lru_cache(REMEMBERED)(self._with_text)

    def __reduce__(self) -> tuple[type[Documents], tuple[Source]]:
        return type(self), (self.source,)

    def read(self, doc_id: str) -> Document:
        """Read a document's words."""
        raise NotImplementedError

    def _with_text(self, doc_id: str) -> Document:
        found = None if self.texts is None else self.texts.find(doc_id)
        own = None if found is None else OwnText.of(*found)
        return with_text(self.read(doc_id), own, self.cutter)

    def __getitem__(self, doc_id: str) -> Document:
        return self._remembered(doc_id)

    def __contains__(self, doc_id: object) -> bool:
        try:
            return isinstance(doc_id, str) and self[doc_id] is not None
        except InputError:
            return False


class _Folder(Documents):
    """docs/<docid>."""

    def read(self, doc_id: str) -> Document:
        return Document(doc_id, cut_sentences(self.source.text(f"docs/{doc_id}")))

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in sorted((self.source.path / "docs").glob("*")) if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"{self.source.path}/docs {self.texts and self.texts.lines}"


class _ById:
    """A JSON-lines file whose objects have an id; of several with one id the last counts."""

    def __init__(
        self,
        source: Source,
        name: str,
        check: Callable[[dict[str, Any], str, int], object],
        key: str = "docid",
    ) -> None:
        self.lines, self.key = JsonLines.of(source.path / name), key
        begins, numbers, hashes = array("Q"), array("Q"), array("Q")
        for start, number, record in self.lines.all():
            check(record, str(self.lines.path), number)
            begins.append(start)
            numbers.append(number)
            hashes.append(_hash(record[key]))
        order = np.argsort(np.asarray(hashes), kind="stable")
        self.hashes, self.begins, self.numbers = (np.asarray(a)[order] for a in (hashes, begins, numbers))

    def find(self, id: str) -> tuple[dict[str, Any], str, int] | None:
        """Return the object of an id, and where it stands."""
        hash = np.uint64(_hash(id))
        first, end = (int(np.searchsorted(self.hashes, hash, side)) for side in ("left", "right"))
        for i in reversed(range(first, end)):
            record = self.lines.at(int(self.begins[i]), number := int(self.numbers[i]))
            if record[self.key] == id:
                return record, str(self.lines.path), number
        return None


class _Jsonl(Documents):
    """docs.jsonl."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.by_id = _ById(source, "docs.jsonl", check_document)

    def read(self, doc_id: str) -> Document:
        if (found := self.by_id.find(doc_id)) is None:
            raise InputError(Fault.of("no line with this docid", self.by_id.lines.path, None, doc_id))
        return Document(doc_id, cut_sentences_of_jsonl(found[0]["document"]))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(record["docid"] for _, _, record in self.by_id.lines.all()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"{self.by_id.lines} {self.texts and self.texts.lines}"


# ── examples ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class _Opened:
    """A split's file, the documents it needs, and what its annotators marked, where they are told apart."""

    source: Source
    documents: Documents
    lines: JsonLines
    people: _ById | None = None

    @classmethod
    def of(cls, source: Source, documents: Documents, split: str) -> _Opened:
        """Open a split's files."""
        name = annotators_file(split)
        people = _ById(source, name, Annotators.of, "annotation_id") if source.has(name) else None
        return cls(source, documents, JsonLines.of(source.path / f"{split}.jsonl"), people)

    def check(self, record: dict[str, Any], number: int, faults: list[Fault]) -> Annotation | None:
        """Return a line's fields where they are as they should be."""
        try:
            row = read_annotation(self.source, record, str(self.lines.path), number)
            self.example(row, faults)
        except InputError as error:
            faults += error.faults
            return None
        return row

    def example(self, row: Annotation, faults: list[Fault]) -> Example:
        """Return the example; `faults` takes what is wrong with its documents and evidence."""
        before = len(faults)
        for doc_id in row.doc_ids:
            try:
                _ = self.documents[doc_id]
            except InputError as error:
                faults += error.faults
        documents = self.documents if len(faults) == before else {}
        found = example_of(row, documents, faults)
        annotators = None if self.people is None or len(faults) > before else self.people.find(row.id)
        return with_annotators(
            found, None if annotators is None else Annotators.of(*annotators), documents, faults
        )


@dataclass(frozen=True, eq=False)
class Examples(Sequence[Example]):
    """The examples of a split; a slice is another such sequence."""

    opened: _Opened
    begins: Offsets
    numbers: Offsets

    def __len__(self) -> int:
        return len(self.begins)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Examples: ...
    def __getitem__(self, index: int | slice) -> Example | Examples:
        if isinstance(index, slice):
            return Examples(self.opened, self.begins[index], self.numbers[index])
        lines, number, faults = self.opened.lines, int(self.numbers[index]), list[Fault]()
        record = lines.at(int(self.begins[index]), number)
        found = self.opened.example(
            read_annotation(self.opened.source, record, str(lines.path), number), faults
        )
        if faults:
            raise InputError(*faults)
        return found


def _checked(opened: _Opened, split: str, faults: list[Fault], notes: list[str]) -> Examples:
    """Read a split once: where its lines begin; `faults` and `notes` take what there is to say."""
    begins, numbers, hashes, counts = array("Q"), array("Q"), array("Q"), Counter[str]()
    path, wrong = opened.lines.path, list[Fault]()
    try:
        for start, number, record in opened.lines.all():
            id = record.get("annotation_id")
            if isinstance(id, str):
                begins.append(start)
                numbers.append(number)
                hashes.append(_hash(id))
                row = opened.check(record, number, wrong)
                counts["zero-length evidence spans left out"] += row.zero_length if row else 0
                counts["examples without evidence"] += bool(row and not row.evidences)
            else:
                wrong.append(wrong_id(record, path, number))
            if len(wrong) >= MAX_FAULTS:
                break
    except InputError as error:  # a line that is not JSON ends the file, as one fault among the others
        wrong += error.faults
    found = Examples(opened, np.asarray(begins), np.asarray(numbers))
    wrong += islice(_twice(found, np.asarray(hashes)), MAX_FAULTS)
    faults += sorted(wrong, key=lambda f: (f.line is None, f.line or 0))[:MAX_FAULTS]
    notes += [f"{split}: {n} {what}" for what, n in counts.items() if n]
    return found


def _twice(examples: Examples, hashes: Offsets) -> Iterator[Fault]:
    """Yield a fault for each id that an earlier line has."""
    values, counts = np.unique(hashes, return_counts=True)
    lines, seen = examples.opened.lines, set[str]()
    for i in np.flatnonzero(np.isin(hashes, values[counts > 1])):
        number = int(examples.numbers[i])
        record = lines.at(int(examples.begins[i]), number)
        if record["annotation_id"] in seen:
            yield wrong_id(record, lines.path, number)
        seen.add(record["annotation_id"])
