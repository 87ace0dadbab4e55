"""Folders that commands write: whose they are, what may be in them, and what is never touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError
from eraser.files.owned import (
    MANIFEST,
    Made,
    check_whole,
    claim,
    content_of,
    finish,
    forget,
    hash_of,
    read_made,
    together,
    writes,
)
from eraser.files.whole import HOST
from tests.helpers.refusals import refusal

OF = {"lr": 0.1, "texts": "a" * 64}


def finished(folder, of=OF, **files):
    """A folder with a finished work of these files."""
    claim(folder, "train x", of)
    with together(folder) as new:
        for name, text in files.items():
            file = new / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return folder


def contents(folder):
    return {
        f.relative_to(folder).as_posix(): f.read_text()
        for f in folder.rglob("*")
        if f.is_file() and f.name != MANIFEST
    }


def test_a_new_folder_and_an_empty_one_are_taken(tmp_path):
    for folder in (tmp_path / "new/er", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert claim(folder, "train x", OF) is False
        assert read_made(folder) == Made("train x", OF, {}, (), False)
        assert claim(folder, "train x", OF) is False  # half done: it goes on


def test_a_folder_of_somebody_elses_is_left_alone_and_what_is_there_is_named(tmp_path):
    for name in ("layers.csv", "notes.txt", "predictions", "z"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    for overwrite in (False, True):
        line = refusal(claim, tmp_path, "train x", OF, overwrite=overwrite)
        there = "layers.csv, notes.txt, predictions and 1 more"
        assert line == f"{tmp_path}: the folder holds other files ({there}); choose a new or empty one"
    assert contents(tmp_path) == before
    assert not (tmp_path / MANIFEST).exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "f").write_text("mine")
    assert refusal(claim, tmp_path / "f", "train x", OF).endswith(
        "a file of this name exists; choose another --out"
    )


def test_the_same_work_is_known_and_what_differs_is_named(tmp_path):
    finished(tmp_path, a="1")
    assert claim(tmp_path, "train x", OF) is True
    line = refusal(claim, tmp_path, "train x", {"lr": 0.2, "texts": "b" * 64, "seed": 1})
    again = "to start over, give another --out or --overwrite"
    assert line == (
        f"{tmp_path}: the folder holds results with other lr (0.1 there), texts (aaaaaaaa there), "
        f"seed (None there) ({again})"
    )
    line = refusal(claim, tmp_path, "train y", OF)
    assert "the folder holds results of `train x` (" in line
    assert contents(tmp_path) == {"a": "1"}


def test_overwriting_takes_away_its_own_files_alone(tmp_path):
    finished(tmp_path, a="1", inner__b="2")
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "inner/mine.txt").write_text("mine")
    assert claim(tmp_path, "train x", {"lr": 5}, overwrite=True) is False
    assert contents(tmp_path) == {"mine.txt": "mine", "inner/mine.txt": "mine"}
    assert read_made(tmp_path).of == {"lr": 5}


def test_overwriting_leaves_a_file_that_people_changed_and_all_others(tmp_path):
    finished(tmp_path, a="1", b="2")
    (tmp_path / "a").write_text("mine now")
    line = refusal(claim, tmp_path, "train x", {}, overwrite=True)
    expected = "the file a was changed after `train x` wrote it; move it before overwriting"
    assert line == f"{tmp_path}: {expected}"
    assert contents(tmp_path) == {"a": "mine now", "b": "2"}


def test_overwriting_half_done_work_leaves_a_file_that_people_changed_too(tmp_path):
    claim(tmp_path, "train x", OF, scratch=(".partial/*",))
    (tmp_path / "a").write_text("1")
    writes(tmp_path, "a")
    (tmp_path / "a").write_text("mine now")
    line = refusal(claim, tmp_path, "train x", {}, overwrite=True)
    assert line.startswith(f"{tmp_path}: the file a was changed after `train x` wrote it; move it")
    assert contents(tmp_path) == {"a": "mine now"}


def test_overwriting_takes_away_a_file_that_a_kill_left_without_its_successor(tmp_path):
    claim(tmp_path, "train x", OF, scratch=(".partial/*",))
    (tmp_path / "a").write_text("1")
    writes(tmp_path, "a")
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial/a").write_text("2")
    writes(tmp_path, "a", out_of=tmp_path / ".partial")  # killed before the move
    assert claim(tmp_path, "train x", {}, overwrite=True) is False
    assert contents(tmp_path) == {}


def test_a_card_that_people_made_their_own_stays(tmp_path):
    claim(tmp_path, "train x", OF)
    with together(tmp_path) as new:
        (new / "README.md").write_text("ours")
    (tmp_path / "README.md").write_text("theirs")
    check_whole(tmp_path)
    with together(tmp_path) as new:
        (new / "README.md").write_text("ours, newer")
        (new / "a").write_text("1")
    claim(tmp_path, "train x", {}, overwrite=True)
    assert contents(tmp_path) == {"README.md": "theirs"}


@pytest.mark.parametrize("out", ["D", "D/", "./D", "link", "."])
def test_a_folder_that_is_read_is_never_written_to(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    Path("D").mkdir()
    Path("D/model.safetensors").write_text("weights")
    Path("link").symlink_to("D")
    for overwrite in (False, True):
        line = refusal(claim, Path(out), "train x", OF, reads=("D", None, "hub/id"), overwrite=overwrite)
        assert line.endswith("the output folder is or contains the input D; choose another --out")
    assert contents(tmp_path) == {"D/model.safetensors": "weights"}


def test_a_file_that_this_suite_wrote_and_a_command_reads_is_not_made_room_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    claim(Path("D"), "data import", OF)
    Path("D/test.jsonl").write_text("{}")
    writes(Path("D"), "test.jsonl")
    line = refusal(claim, Path("D"), "train x", OF, reads=("D/test.jsonl",), overwrite=True)
    assert line.endswith("the output folder is or contains the input D/test.jsonl; choose another --out")
    assert Path("D/test.jsonl").read_text() == "{}"


def test_what_is_in_memory_has_no_place_that_could_be_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not claim(Path(), "train x", OF, reads=("", None))


def test_a_folder_of_ours_that_is_read_is_not_overwritten_either(tmp_path):
    finished(tmp_path, a="1")
    refusal(claim, tmp_path, "train x", {}, reads=(tmp_path,), overwrite=True)
    assert contents(tmp_path) == {"a": "1"}


def test_results_appear_together_and_those_of_before_go(tmp_path):
    finished(tmp_path, a="1", inner__b="2")
    with together(tmp_path) as new:
        (new / "a").write_text("3")
        assert contents(tmp_path) == {"a": "1", "inner/b": "2", f"{new.name}/a": "3"}
    assert contents(tmp_path) == {"a": "3"}
    assert not (tmp_path / "inner").exists()
    check_whole(tmp_path)


def test_two_at_once_do_not_disturb_each_other_and_what_a_killed_one_left_is_removed(tmp_path, monkeypatch):
    """The second is told apart by its process number; that of the killed one is no process."""
    killed = tmp_path / f".results.{2**22 + 1}-{HOST}.partial"
    killed.mkdir()
    (killed / "a").write_text("half")
    (tmp_path / ".new").mkdir()
    assert refusal(claim, tmp_path, "train x", OF).endswith(
        "holds other files (.new); choose a new or empty one"
    )
    assert not killed.exists()
    (tmp_path / ".new").rmdir()
    claim(tmp_path, "train x", OF)
    with together(tmp_path) as one:
        (one / "a").write_text("1")
        monkeypatch.setattr("os.getpid", lambda: 1)
        claim(tmp_path, "train x", OF)
        with together(tmp_path) as other:
            (other / "a").write_text("1")
        assert (one / "a").read_text() == "1"
    assert contents(tmp_path) == {"a": "1"}
    check_whole(tmp_path)


def test_what_a_killed_run_with_the_same_process_number_left_is_in_nobodys_way(tmp_path):
    left = tmp_path / f".results.{os.getpid()}-{HOST}.partial"
    claim(tmp_path, "train x", OF)
    left.mkdir()
    (left / "half").write_text("half")
    assert contents(finished(tmp_path, a="1")) == {"a": "1"}


def test_what_fails_on_the_way_leaves_all_as_it_was(tmp_path):
    finished(tmp_path, a="1")
    with pytest.raises(ZeroDivisionError), together(tmp_path) as new:  # noqa: PT012
        (new / "a").write_text("3")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"a": "1"}
    check_whole(tmp_path)


def test_a_file_of_somebody_elses_is_not_replaced_by_a_result(tmp_path):
    finished(tmp_path, a="1")
    (tmp_path / "b").write_text("mine")
    with pytest.raises(InputError) as error, together(tmp_path) as new:  # noqa: PT012
        (new / "a").write_text("3")
        (new / "b").write_text("3")
    expected = "the file b was not written by this command; move it, or choose another --out"
    assert str(error.value) == f"{tmp_path}: {expected}"
    assert contents(tmp_path) == {"a": "1", "b": "mine"}
    check_whole(tmp_path)


@pytest.mark.parametrize("after", range(6))
def test_a_kill_while_results_are_put_in_place_is_seen_and_mended(tmp_path, monkeypatch, after):
    """Whatever step was the last, the folder is whole, or is known not to be; the same command goes on."""
    finished(tmp_path, a="1", b="2")
    steps, real = [], os.replace

    def replace(*paths):
        if len(steps) == after:
            raise KeyboardInterrupt
        steps.append(paths)
        real(*paths)

    monkeypatch.setattr("os.replace", replace)
    killed = False
    try:
        with together(tmp_path) as new:
            (new / "a").write_text("3")
            (new / "c").write_text("4")
    except KeyboardInterrupt:
        killed = True
    monkeypatch.setattr("os.replace", real)
    if killed and contents(tmp_path) != {"a": "1", "b": "2"}:
        assert "has not finished" in refusal(check_whole, tmp_path)
    claim(tmp_path, "train x", OF)
    with together(tmp_path) as new:
        (new / "a").write_text("3")
        (new / "c").write_text("4")
    assert contents(tmp_path) == {"a": "3", "c": "4"}
    check_whole(tmp_path)


def test_a_mixture_is_seen(tmp_path):
    one, other = finished(tmp_path / "one", a="1", b="1"), finished(tmp_path / "other", a="2", b="2")
    check_whole(one)
    (one / "a").write_text((other / "a").read_text())
    assert refusal(check_whole, one) == f"{one}: the file a was changed after `train x` wrote it"
    (one / "a").unlink()
    assert refusal(check_whole, one).endswith("the file a, written by `train x`, is missing")
    check_whole(tmp_path)  # without a manifest: nothing is known


def test_files_that_are_written_one_by_one(tmp_path):
    claim(tmp_path, "train x", OF, scratch=("*.checkpoint",))
    (tmp_path / "epochs/3").mkdir(parents=True)
    for name in ("w", "epochs/3/w", "x.checkpoint", "mine"):
        (tmp_path / name).write_text(name)
    writes(tmp_path, "w")
    writes(tmp_path / "epochs/3", "w")
    assert [*read_made(tmp_path).files] == ["w", "epochs/3/w"]
    forget(tmp_path, "epochs/3")
    assert not (tmp_path / "epochs").exists()
    finish(tmp_path)
    check_whole(tmp_path)
    claim(tmp_path, "train x", {}, overwrite=True)
    assert contents(tmp_path) == {"mine": "mine"}


def test_files_in_a_folder_that_nobody_claimed_are_not_noted(tmp_path):
    (tmp_path / "w").write_text("w")
    writes(tmp_path, "w")
    forget(tmp_path, "w")
    finish(tmp_path)
    assert contents(tmp_path) == {"w": "w"}


@pytest.mark.parametrize("text", [
    "", "[]", "{", '{"by": 1}', "null", "{}", '"a"', "[" * 10_000,
    json.dumps({"by": "x", "of": [], "files": {}, "scratch": [], "finished": True}),
    json.dumps({"by": "x", "of": {}, "files": {"../a": ""}, "scratch": [], "finished": True}),
    json.dumps({"by": "x", "of": {}, "files": {"/etc/a": ""}, "scratch": [], "finished": True}),
    json.dumps({"by": "x", "of": {}, "files": {}, "scratch": ["../*"], "finished": True}),
    json.dumps({"by": "x", "of": {}, "files": {"a": 1}, "scratch": [], "finished": True}),
    json.dumps({"by": "x", "of": {}, "files": {}, "scratch": [], "finished": True, "more": 1}),
])  # fmt: skip
def test_a_manifest_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    (tmp_path / "a").write_text("mine")
    for overwrite in (False, True):
        line = refusal(claim, tmp_path, "train x", OF, overwrite=overwrite)
        assert line.startswith(f"{tmp_path / MANIFEST}: not the manifest of a command's folder")
    assert (tmp_path / "a").read_text() == "mine"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_one_line(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("m")
    (folder / MANIFEST).write_bytes(content)
    assert refusal(read_made, folder).startswith(f"{folder / MANIFEST}: ")


def test_a_manifest_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("eraser.files.owned.BYTES", 10)
    (tmp_path / MANIFEST).write_text(" " * 11)
    assert refusal(read_made, tmp_path).endswith("expected a manifest of at most 10 bytes, got 11")


def test_content_is_that_of_names_and_bytes(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("1")
        (tmp_path / name / "b").write_text("2")
    one, other = tmp_path / "one", tmp_path / "other"
    same = content_of(one)
    assert content_of(other) == same
    (other / MANIFEST).write_text("{}")
    assert content_of(other) == same
    (other / "b").write_text("3")
    assert content_of(other) != same
    assert content_of(other, ("b",)) == content_of(one, ("b",))
    assert hash_of(one / "a") == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    (one / os.fsdecode(b"caf\xe9.txt")).write_text("a name that is no UTF-8")
    assert content_of(one) != same


def test_what_a_killed_writer_left_is_taken_away_inside_too(tmp_path):
    claim(tmp_path, "train x", OF)
    (tmp_path / "parts").mkdir()
    gone = 2**22 + 1  # above any process number
    for name in (
        f".a.parquet.{gone}-{HOST}.partial",
        f".a.parquet.{os.getpid()}-{HOST}.partial",
        "mine.partial",
    ):
        (tmp_path / "parts" / name).write_text("")
    claim(tmp_path, "train x", OF)
    left = {f.name for f in (tmp_path / "parts").iterdir()}
    assert left == {f".a.parquet.{os.getpid()}-{HOST}.partial", "mine.partial"}


def test_a_manifest_with_half_an_emoji_is_one_line(tmp_path):
    finished(tmp_path, a="1")
    made = (tmp_path / MANIFEST).read_text()
    (tmp_path / MANIFEST).write_text(made.replace('"train x"', '"train \\ud83d"'))
    for call in (check_whole, lambda folder: claim(folder, "train x", OF, overwrite=True)):
        assert refusal(call, tmp_path).startswith(f"{tmp_path / MANIFEST}: not the manifest of a command's")


@pytest.mark.parametrize("name", ["a" * 256, "ü" * 128, "a/" * 600 + "a", "../a", "a//b", "a/.", "a\0"])
def test_a_manifest_names_only_files_that_can_be_inside(tmp_path, name):
    finished(tmp_path, a="1")
    made = json.loads((tmp_path / MANIFEST).read_text())
    made["files"] = {name: "0" * 64}
    (tmp_path / MANIFEST).write_text(json.dumps(made))
    for call in (check_whole, lambda folder: claim(folder, "train x", OF, overwrite=True)):
        assert refusal(call, tmp_path) == f"{tmp_path / MANIFEST}: not the manifest of a command's folder"


@pytest.mark.parametrize("pattern", [".", "a/.", "../*", "**", "a**b", ""])
def test_a_manifest_clears_by_patterns_inside_its_folder(tmp_path, pattern):
    finished(tmp_path, a="1")
    made = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(made | {"scratch": [pattern]}))
    message = f"{tmp_path / MANIFEST}: not the manifest of a command's folder"
    assert refusal(claim, tmp_path, "train x", {"of": "another"}, overwrite=True) == message
    assert (tmp_path / "a").exists()
