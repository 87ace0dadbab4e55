"""What is loaded once for all sessions, by content: models, data sets, run tables.

A model has parts that a run changes for a while (its dial, its attention function): whoever computes holds
its lock, and the dial is set and put back inside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

import streamlit as st

from eraser import Dataset, Fault, InputError
from eraser.download import status
from eraser.load import load
from rationale.asked import Asked
from rationale.hf import SHIPPED
from rationale.models.adaptive import AdaptiveForSequenceClassification
from rationale.named import load_named

Stamp = tuple[tuple[str, int, int], ...]  # name, size, time of change in nanoseconds
AS_TRAINED = 1.0


@dataclass(frozen=True)
class Held:
    """A model that all sessions share, what its content is, and the lock of whoever computes."""

    key: str
    classifier: Asked
    lock: RLock = field(repr=False)

    @property
    def adaptive(self) -> bool:
        """Whether it has a dial."""
        return isinstance(self.classifier.model, AdaptiveForSequenceClassification)

    @contextmanager
    def turned(self, dial: float) -> Iterator[Asked]:
        """Give the model to one user alone, at a dial."""
        with self.lock:
            model = self.classifier.model
            if not isinstance(model, AdaptiveForSequenceClassification):
                yield self.classifier
                return
            with model.turned(dial):
                yield self.classifier


def stamp(path: Path) -> Stamp:
    """Return what changes when a folder's own files, or a file, change."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files)


@st.cache_data(show_spinner=False)
def content(path: str, _at: Stamp) -> str:
    """Return a hash of a folder's files."""
    hash = hashlib.sha256()
    for file in sorted(p for p in Path(path).iterdir() if p.is_file()):
        hash.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return hash.hexdigest()


def held(path: str) -> Held:
    """Return a model, loaded when it is first asked for; the same content is the same model.

    Raises:
        InputError: it cannot be loaded.
    """
    if not Path(path).is_dir():
        return _held(path, path)
    return _held(content(path, stamp(Path(path))), path)


@st.cache_resource(show_spinner="Loading the model …")
def _held(key: str, _path: str) -> Held:
    return Held(key, load_named(_path, None, None, {"device": "cpu"}), RLock())


def shipped() -> str:
    """Return the folder of the model that is part of the package."""
    return str(SHIPPED)


@dataclass(frozen=True)
class HeldData:
    """A data set that all sessions share, and what its content is."""

    key: str
    dataset: Dataset


def dataset(name: str, path: str | None) -> HeldData:
    """Return a data set, loaded when it is first asked for.

    Raises:
        InputError: it cannot be loaded.
    """
    if path is None:
        return _dataset(name, None, ())
    if not Path(path).exists():
        raise InputError(Fault("a data set's folder or .tar.gz archive", "nothing there", path))
    return _dataset(name, path, stamp(Path(path)))


@st.cache_resource(show_spinner="Reading the data set …")
def _dataset(name: str, path: str | None, at: Stamp) -> HeldData:
    found = load(name, path)
    hash = hashlib.sha256(found.name.encode())
    for part in (found.documents, found.splits):
        hash.update(repr(part).encode("utf-8", "surrogatepass"))
    return HeldData(hash.hexdigest(), found)


@st.cache_data(ttl=60, show_spinner=False)
def fetched() -> tuple[str, ...]:
    """Return the names of the data sets that were fetched."""
    return tuple(row.name for row in status() if row.state == "here")
