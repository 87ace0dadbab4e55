"""Manifests, spoilt: what reads or writes their folders answers or refuses, and touches nothing of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rationale_viewer.session.runs import read_run

from eraser.files.owned import MANIFEST, check_whole, claim, finish, forget, is_done, together, writes
from rationale.report.several.compare import compared
from rationale.report.write import write_run
from rationale.stream import read_stream
from tests.fuzz.spoil import answer_of, damaged, fuzz, spoilt
from tests.helpers.made_runs import made

OF = {"lr": 0.1, "texts": "a" * 64}
OTHERS = ("mine.txt", "inner/mine.txt")


@pytest.fixture(scope="module")
def whole(folder):
    """A finished work of two files, and files of somebody else's beside them."""
    claim(folder / "whole", "train x", OF)
    with together(folder / "whole") as new:
        (new / "inner").mkdir()
        (new / "inner" / "a.txt").write_text("1")
        (new / "b.txt").write_text("2")
    for name in OTHERS:
        (folder / "whole" / name).write_text("mine")
    return folder / "whole"


def overwritten(folder: Path) -> None:
    claim(folder, "train x", {"lr": 1}, overwrite=True)
    with together(folder) as new:
        (new / "b.txt").write_text("3")


def noted(folder: Path) -> None:
    writes(folder, "b.txt")
    forget(folder, "inner")
    finish(folder)


ACTIONS = {
    "look": lambda folder: is_done(folder, "train x", OF),
    "check": check_whole,
    "go on": lambda folder: claim(folder, "train x", OF),
    "overwrite": overwritten,
    "note": noted,
}


def tried(whole: Path, content: bytes, action: str) -> None:
    folder = whole.parent / "spoilt"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    (folder / MANIFEST).write_bytes(content)
    answer_of(ACTIONS[action], folder)
    assert [(folder / name).read_text() for name in OTHERS] == ["mine", "mine"]
    assert sorted(f.name for f in whole.parent.iterdir() if f.name in ("outside.txt", "x")) == []
    assert not list(folder.rglob("*.partial"))


@fuzz(150)
@given(st.data(), st.sampled_from(sorted(ACTIONS)))
def test_other_values(whole, data, action):
    manifest = json.loads((whole / MANIFEST).read_bytes())
    tried(whole, json.dumps(data.draw(spoilt(manifest))).encode(), action)


@fuzz(100)
@given(st.data(), st.sampled_from(sorted(ACTIONS)))
def test_other_bytes(whole, data, action):
    tried(whole, data.draw(damaged((whole / MANIFEST).read_bytes())), action)


@fuzz(60)
@given(st.data())
def test_readers_of_runs(folder, data):
    run = folder / "run"
    if not run.exists():
        write_run(
            *made(
                {"attention": [[0.1, 0.9, 0.2]] * 4, "random": [[0.3, 0.1, 0.2]] * 4}, [{1}, {1}, {0}, {2}]
            ),
            run,
        )
    manifest = json.loads((run / MANIFEST).read_bytes())
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / MANIFEST).write_text(json.dumps(data.draw(spoilt(manifest))))
    for reader in (read_run, lambda f: compared([run, f]), lambda f: list(read_stream(f))):
        answer_of(reader, copy)
