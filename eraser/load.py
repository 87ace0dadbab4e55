"""ERASER-format folders and archives → Dataset.

Format: `<split>.jsonl` with one annotation to a line, documents in `docs/<docid>` or `docs.jsonl`
(https://github.com/jayded/eraserbenchmark, DeYoung et al. 2020).
"""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from eraser.annotations import Annotation, example_of, read_annotation
from eraser.bounds import CHUNK, MAX_BYTES, MAX_HEADER, Bounded, decompressed, read_bytes, regular
from eraser.errors import Fault, InputError, shown
from eraser.texts import cut_note, read_cutter, read_texts, with_text
from eraser.types import Dataset, Document

SPLITS = ("train", "val", "test")
SAMPLE = Path(__file__).parent / "sample"
MAX_MEMBERS = 500_000  # of one archive: small files use up a disk's inodes before its bytes


@dataclass(frozen=True)
class Source:
    """Files of a data set, read from a folder or straight from a .tar.gz without unpacking it."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise InputError(Fault("a data set's folder or .tar.gz archive", "nothing there", self.path))

    @cached_property
    def _members(self) -> dict[str, bytes]:
        """The archive's regular files by path; read whole, since gzip cannot be read at random."""
        try:
            with regular(self.path) as file, decompressed(file) as plain:
                return _members_of(Bounded(plain, self.path, MAX_BYTES))
        except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, RecursionError) as error:
            raise InputError(Fault("a readable tar archive", str(error), self.path)) from error

    @cached_property
    def _root(self) -> str:
        """The archive's folder that holds the data: where the shallowest .json or .jsonl file is."""
        inside = [PurePosixPath(n) for n in self._members if n.endswith((".jsonl", ".json"))]
        top = min(inside, key=lambda p: len(p.parts), default=PurePosixPath("x"))
        return "" if str(top.parent) == "." else f"{top.parent}/"

    def place(self, name: str) -> str:
        """Return how to name a file of this source in a message."""
        return str(self.path / name)

    def has(self, name: str) -> bool:
        """Return whether the file is there."""
        if self.path.is_dir():
            try:
                return (self.path / name).is_file()
            except OSError:  # the name is longer than a file's name may be
                return False
        return self._root + name in self._members

    def text(self, name: str) -> str:
        """Return a file's text; any of LF, CR LF and CR ends a line, as in Python's text mode."""
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise InputError(Fault("a file inside the data set", shown(name), self.path))
        try:
            data = read_bytes(self.path / name) if self.path.is_dir() else self._members[self._root + name]
            return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise InputError(Fault("UTF-8 text", str(error), self.place(name))) from None
        except InputError:
            raise
        except (KeyError, OSError, ValueError):  # the last: a name that no file can have
            raise InputError(Fault("a readable file", "none", self.place(name))) from None


def _tar(plain: Bounded) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(BinaryIO, plain), mode="r:")
    except tarfile.ReadError as error:
        raise tarfile.ReadError(f"file could not be opened as one: {error}") from None


def _members_of(plain: Bounded) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    total = 0
    with _tar(plain) as archive:
        for number, member in enumerate(archive, start=1):
            total += member.size
            if total > plain.total:
                raise InputError(Fault(f"at most {plain.total} bytes unpacked", "more", plain.path))
            if number > MAX_MEMBERS:
                raise InputError(Fault(f"at most {MAX_MEMBERS} files", "more", plain.path))
            plain.allow(member.size + MAX_HEADER)
            reader = archive.extractfile(member) if member.isfile() else None
            if reader is not None:
                members[member.name.removeprefix("./")] = reader.read()
            plain.allow(MAX_HEADER)
        plain.allow(2 * (plain.total + CHUNK))
        while plain.read(CHUNK):
            pass  # only its end holds the checksum, and tarfile takes a damaged header for the end
    return members


def parse_json_lines(text: str, place: str, before: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that is not blank; `before` lines stand before them."""
    for number, line in enumerate(text.split("\n"), start=before + 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # also a number of too many digits
            raise InputError(Fault("one JSON object", f"{error}", place, number)) from None
        if not isinstance(record, dict):
            raise InputError(Fault("one JSON object", shown(record), place, number))
        yield number, record


def cut_sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """Cut a `docs/` file as the official scorer does: a line a sentence, words at U+0020 only."""
    lines = (line.strip() for line in text.split("\n"))
    return tuple(tuple(w for w in line.split(" ") if w) for line in lines if line)


def cut_sentences_of_jsonl(text: str) -> tuple[tuple[str, ...], ...]:
    """Cut a `docs.jsonl` text as the official scorer does: empty words stay where lines are blank."""
    return tuple(tuple(line.strip().split(" ")) for line in text.split("\n"))


def read_documents(source: Source, doc_ids: Iterable[str]) -> dict[str, Document]:
    """Return the named documents; one that is not there is a fault."""
    wanted = sorted(set(doc_ids))
    if source.has("docs.jsonl"):
        found = _documents_of_jsonl(source, wanted)
    else:
        found = {d: Document(d, cut_sentences(source.text(f"docs/{d}"))) for d in wanted}
    cutter, texts = read_cutter(source), read_texts(source, wanted)
    return {d: with_text(document, texts.get(d), cutter) for d, document in found.items()}


def _documents_of_jsonl(source: Source, wanted: list[str]) -> dict[str, Document]:
    place = source.place("docs.jsonl")
    texts: dict[str, str] = {}
    for number, record in parse_json_lines(source.text("docs.jsonl"), place):
        if not isinstance(record.get("docid"), str) or not isinstance(record.get("document"), str):
            raise InputError(Fault('"docid" and "document" strings', shown(record), place, number))
        texts[record["docid"]] = record["document"]
    if missing := [d for d in wanted if d not in texts]:
        raise InputError(*(Fault("a line with this docid", "none", place, None, d) for d in missing))
    return {d: Document(d, cut_sentences_of_jsonl(texts[d])) for d in wanted}


def load(name: str, path: str | Path | None = None, splits: Iterable[str] | None = None) -> Dataset:
    """Load a data set: ERASER format, or HateXplain's own two JSON files where they are found.

    Args:
        name: what to call it; `sample` needs no path.
        path: folder or .tar.gz archive.
        splits: which splits; default all that are there.
    """
    from eraser.hatexplain import is_hatexplain, load_hatexplain

    if path is None:
        from eraser.download import cached

        path = SAMPLE if name == "sample" else cached(name)
    source = Source(Path(path))
    if is_hatexplain(source):
        return _only(load_hatexplain(source, name), splits)
    return load_eraser(source, name, splits)


def _only(dataset: Dataset, splits: Iterable[str] | None) -> Dataset:
    wanted = tuple(splits or dataset.splits)
    if missing := sorted(set(wanted) - set(dataset.splits)):
        raise InputError(*(Fault("posts of this split", "none", dataset.source, None, s) for s in missing))
    return replace(dataset, splits={s: dataset.splits[s] for s in wanted})


def load_eraser(source: Source, name: str, splits: Iterable[str] | None = None) -> Dataset:
    """Load an ERASER-format source, a large folder from disk as it is used; its faults are told at once."""
    from eraser.large import is_large, load_large

    wanted = tuple(splits or ())
    there = [s for s in wanted or SPLITS if source.has(f"{s}.jsonl")]
    if missing := set(wanted) - set(there):
        raise InputError(*(Fault("a file", "none", source.place(f"{s}.jsonl")) for s in sorted(missing)))
    if not there:
        raise InputError(
            Fault("train.jsonl, val.jsonl or test.jsonl (or HateXplain's dataset.json)", "none", source.path)
        )
    if is_large(source, there):
        return load_large(source, name, there)
    faults: list[Fault] = []
    notes: list[str] = []
    records = {s: _read_annotations(source, s, faults) for s in there}
    doc_ids = {d for rows in records.values() for row in rows for d in row.doc_ids}
    documents = read_documents(source, doc_ids) if not faults else {}
    loaded = {s: tuple(example_of(row, documents, faults) for row in rows) for s, rows in records.items()}
    if faults:
        raise InputError(*faults)
    for split, rows in records.items():
        if empty := sum(row.zero_length for row in rows):
            notes.append(f"{split}: {empty} zero-length evidence spans left out")
        if bare := sum(not row.evidences for row in rows):
            notes.append(f"{split}: {bare} examples without evidence")
    cutter = read_cutter(source)
    return Dataset(name, documents, loaded, (*notes, *cut_note(cutter)), str(source.path), cutter)


def _read_annotations(source: Source, split: str, faults: list[Fault]) -> list[Annotation]:
    place = source.place(f"{split}.jsonl")
    seen: set[str] = set()
    found = []
    for line, record in _annotations(source, split, faults):
        id = record.get("annotation_id")
        if not isinstance(id, str) or id in seen:
            faults.append(Fault("a new annotation_id string", shown(id), place, line))
            continue
        seen.add(id)
        try:
            found.append(read_annotation(source, record, place, line))
        except InputError as error:
            faults += error.faults
    return found


def _annotations(source: Source, split: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines of a split down to the first that is not JSON, which is one fault among the others."""
    name = f"{split}.jsonl"
    try:
        yield from parse_json_lines(source.text(name), source.place(name))
    except InputError as error:
        faults += error.faults
