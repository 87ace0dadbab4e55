"""What a session has open: a model, a data set, run folders, each chosen from what was given at start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from eraser import Dataset, Fault, InputError
from eraser.data.hatexplain import TOXIC
from eraser.labels import split_labels
from rationale_viewer.session.runs import CURVES
from rationale_viewer.session.start import DEEP, MODEL_FILES, RUN_FILE, LaunchConfig, folders_with
from rationale_viewer.session.state import LoadedData, LoadedModel, dataset, fetched, held, labelled, shipped

HATEFUL = "hatexplain"
SHIPPED_NAME = "movies, as shipped"


@dataclass(frozen=True)
class Session:
    """The model, the data set, and the folders that may be looked into."""

    start: LaunchConfig
    held: LoadedModel
    model_name: str
    data: LoadedData
    runs: tuple[str, ...]


def may_hurt(data: Dataset) -> bool:
    """Return whether a data set holds hateful posts: its labels, its name or its tags say so."""
    labels = {x for label in data.labels for x in split_labels(label)}
    about = any(e.tags for examples in data.splits.values() for e in examples)
    return about or bool(labels & TOXIC) or HATEFUL in data.name.casefold()


def warned(data: Dataset) -> bool:
    """Return whether the reader has agreed to see what may hurt."""
    if not may_hurt(data):
        return True
    st.warning(
        "**Content warning.** These posts hold slurs, hate and violence, as people wrote them. "
        "They are shown word for word.", icon=":material/warning:",
    )  # fmt: skip
    return st.checkbox("Show the posts", key="warned", persist_state="session")


def complain(error: InputError, what: str) -> None:
    """Say on the page what is wrong, every fault on a line, nothing of it read as markup."""
    st.error(what, icon=":material/error:")
    st.code(str(error), language=None, wrap_lines=True)


def open_all(start: LaunchConfig) -> Session | None:
    """Draw the choices in the sidebar and return what is open; None, said on the page, where that fails."""
    with st.sidebar:
        st.subheader("What is open")
        models = _choices(start.models, MODEL_FILES, "model")
        named = {SHIPPED_NAME: shipped()} | short_names(models)
        given = min(1, len(models))  # what was given at start leads
        name = st.selectbox("Model", list(named), index=given, key="model", persist_state="session")
        sets = _datasets(start)
        of_set = st.selectbox(
            "Data set", list(sets), index=len(sets) - 1, key="dataset", persist_state="session"
        )
        _more(start)
    _say_empty(start.models, MODEL_FILES, "model")
    _say_empty(start.runs, (RUN_FILE, *CURVES), "run")
    runs = _choices(start.runs, (RUN_FILE,), "run")
    try:
        model = held(named[name])
    except InputError as error:
        complain(error, "The model cannot be opened.")
        return None
    try:
        data = dataset(of_set, sets[of_set])
    except InputError as error:
        complain(error, "The data set cannot be read.")
        return None
    return Session(start, labelled(model, data, name), name, data, tuple(runs))


def _datasets(start: LaunchConfig) -> dict[str, str | None]:
    """Return the data sets there are: the sample, those fetched, the given one last."""
    found: dict[str, str | None] = dict.fromkeys(["sample", *fetched()])
    found.pop(start.dataset, None)
    return found | {start.dataset: start.data}


def _say_empty(given: tuple[str, ...], files: tuple[str, ...], kind: str) -> None:
    """Tell which of the folders given hold nothing of their kind."""
    for folder in given:
        if Path(folder).exists() and not folders_with((folder,), *files):
            looked = f"no {' or '.join(files)} there, nor up to {DEEP} folders below"
            st.warning(f"No {kind} was found in this folder: {looked}.", icon=":material/warning:")
            st.code(folder, language=None, wrap_lines=True)


def _choices(given: tuple[str, ...], files: tuple[str, ...], kind: str) -> list[str]:
    """Return the folders of a kind: found among the given ones, hub ids, and those a session added."""
    hub = [g for g in given if not Path(g).exists()]
    added = [path for of_kind, path in st.session_state.get("added", []) if of_kind == kind]
    return list(dict.fromkeys([*folders_with(given, *files), *hub, *added]))


def short_names(paths: list[str]) -> dict[str, str]:
    """Return paths by their last part as their name, or by as many more of them as tell them apart.

    >>> list(short_names(["runs/a/test", "runs/b/test", "other/val"]))
    ['a/test', 'b/test', 'val']
    """

    def end(path: str, n: int) -> str:
        parts = Path(path).parts
        return "/".join(parts[-n:]) if n < len(parts) else path

    def name(path: str) -> str:
        ends = (end(path, n) for n in range(1, len(Path(path).parts)))
        return next((e for e in ends if [end(p, e.count("/") + 1) for p in paths].count(e) == 1), path)

    return {name(path): path for path in paths}


def _more(start: LaunchConfig) -> None:
    """Let a session open another folder inside those given at start."""
    with st.expander("Open another folder"):
        if not start.roots:
            st.caption("Start the viewer with --model, --data or --run FOLDER to open folders inside it.")
            return
        path = st.text_input("Model or run folder, inside those given at start", key="path")
        if not path:
            return
        try:
            kind, found = _kind(start.inside(path))
        except InputError as error:
            complain(error, "Not opened.")
            return
        added = st.session_state.setdefault("added", [])
        if (kind, str(found)) not in added:
            added.append((kind, str(found)))
            st.rerun()
        st.caption(f"Open: a {kind}.")


def _kind(folder: Path) -> tuple[str, Path]:
    for kind, files in (("model", MODEL_FILES), ("run", (RUN_FILE,))):
        if any((folder / file).is_file() for file in files):
            return kind, folder
    raise InputError(Fault.of(f"neither a model nor a run: no {MODEL_FILES[0]} and no {RUN_FILE}", folder))
