"""What is loaded once for all sessions, by content: models, data sets, run tables.

A model has parts that a run changes for a while (its dial, its attention function): whoever computes has
one of its own, of the same weights. `rationale_viewer.session.turns` says whose turn it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from eraser import Dataset, Fault, InputError, Text
from eraser.data.catalog import status
from eraser.load import load
from rationale.hf.classifier import SHIPPED
from rationale.models.capabilities import at_dial, has_dial
from rationale.models.packed.known import learn, twin
from rationale.named import load_named
from rationale.text_classifier import TextClassifier, labelled_as
from rationale_viewer.session.turns import Turn, Turns

Stamp = tuple[tuple[str, int, int], ...]  # name, size, time of change in nanoseconds
AS_TRAINED = 1.0


def still_wanted() -> None:
    """Stop this run of the script where the reader has moved on: Streamlit does when it is asked anything."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        _ = "page" in st.session_state


@dataclass(frozen=True)
class LoadedModel:
    """A model that all sessions share, what its content is, and whose turn it is to compute.

    `spare` are models of the same weights that were computed with before; `folder` is where it is from.
    """

    key: str
    classifier: TextClassifier
    turns: Turns = field(default_factory=Turns, repr=False)
    spare: list[TextClassifier] = field(default_factory=list, repr=False)
    folder: str = ""

    @property
    def adaptive(self) -> bool:
        """Whether it has a dial."""
        return has_dial(self.classifier.model)

    @contextmanager
    def at_dial(self, dial: float) -> Iterator[TextClassifier]:
        """Give the model, at a dial, to one user, who lets others in before each layer."""
        with self.turn(dial) as (classifier, _):
            yield classifier

    @contextmanager
    def turn(self, dial: float) -> Iterator[tuple[TextClassifier, Turn]]:
        """Give the model, at a dial, to one user, and the user's turn."""
        with self.turns.turn(still_wanted) as turn:
            own = self.spare.pop() if self.spare else _own(self.classifier)
            with ExitStack() as undo:
                if own.opaque:
                    yield replace(own, model=turn.asking(own.model)), turn
                else:
                    undo.callback(learn, self.classifier.model, own.model)  # half-way too
                    undo.enter_context(turn.stepping(own.model))
                    undo.enter_context(at_dial(own.model, dial))
                    yield own, turn
            self.spare.append(own)  # none that was left half way


def _own(classifier: TextClassifier) -> TextClassifier:
    """Return a classifier that one user may change; a function is nobody's to change.

    It reads a word first: what is found out of a model in its first pass is no method's time, or layer's.
    """
    if classifier.opaque:
        return classifier
    own = replace(classifier, model=twin(classifier.model))
    own.read(own.encoder.encode([Text("text", ("warm",), {"text": 0}, (0,))])[0])
    return own


def stamp(path: Path) -> Stamp:
    """Return what changes when a folder's own files, or a file, change."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files)


@st.cache_data(show_spinner=False)
def content(path: str, at: Stamp) -> str:
    """Return a hash of a folder's files."""
    hash = hashlib.sha256()
    for file in sorted(p for p in Path(path).iterdir() if p.is_file()):
        hash.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return hash.hexdigest()


def held(path: str) -> LoadedModel:
    """Return a model, loaded when it is first asked for; the same content is the same model.

    Raises:
        InputError: it cannot be loaded.
    """
    if not Path(path).is_dir():
        return _held(path, path)
    return _held(content(path, stamp(Path(path))), path)


@st.cache_resource(show_spinner="Loading the model …")
def _held(key: str, _path: str) -> LoadedModel:
    return LoadedModel(key, load_named(_path, None, None, {"device": "cpu"}), folder=_path)


def labelled(held: LoadedModel, data: LoadedData, name: str) -> LoadedModel:
    """Return the model with its answers called as in the data set; as it is, where it has other labels."""
    try:
        classifier = labelled_as(held.classifier, data.dataset.labels, name)
    except InputError:  # a text can be explained all the same; pages that compare refuse it
        return held
    if classifier is held.classifier:
        return held
    return _labelled(held.key, classifier.labels, held)


@st.cache_resource(show_spinner=False)
def _labelled(key: str, labels: tuple[str, ...], _held: LoadedModel) -> LoadedModel:
    key, classifier = f"{key} as {' '.join(labels)}", replace(_held.classifier, labels=labels)
    return replace(_held, key=key, classifier=classifier, spare=[])


def shipped() -> str:
    """Return the folder of the model that is part of the package."""
    return str(SHIPPED)


@dataclass(frozen=True)
class LoadedData:
    """A data set that all sessions share, and what its content is."""

    key: str
    dataset: Dataset


def dataset(name: str, path: str | None) -> LoadedData:
    """Return a data set, loaded when it is first asked for.

    Raises:
        InputError: it cannot be loaded.
    """
    if path is None:
        return _dataset(name, None, ())
    if not Path(path).exists():
        raise InputError(Fault.of("no such data set folder or .tar.gz archive", path))
    return _dataset(name, path, stamp(Path(path)))


@st.cache_resource(show_spinner="Reading the data set …")
def _dataset(name: str, path: str | None, at: Stamp) -> LoadedData:
    found = load(name, path)
    hash = hashlib.sha256(found.name.encode())
    for part in (found.documents, found.splits):
        hash.update(repr(part).encode("utf-8", "surrogatepass"))
    return LoadedData(hash.hexdigest(), found)


@st.cache_data(ttl=60, show_spinner=False)
def fetched() -> tuple[str, ...]:
    """Return the names of the data sets that were fetched."""
    return tuple(row.name for row in status() if row.state == "here")
