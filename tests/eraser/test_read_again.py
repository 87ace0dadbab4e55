"""What is read a second time has the bounds of the first reading; what a part says inside is believed."""

from __future__ import annotations

import json
import os
import shutil

import pyarrow.parquet as pq
import pytest

from eraser.data.on_disk import JsonLines
from eraser.files import bounds
from eraser.files.bounds import lines_of
from rationale.settings import StreamSettings
from rationale.stream import collect, read_stream, stream
from rationale.text import lines as module
from rationale.text.lines import LineChunks, first_texts
from tests.helpers.refusals import refusal

REGULAR = "expected a regular file, got a FIFO"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"id": f"t{i}", "text": f"film {i}"}) + "\n" for i in range(5)))
    return path


def to_fifo(path):
    path.unlink()
    os.mkfifo(path)


def test_a_file_of_texts_that_became_a_fifo(file):
    lines = LineChunks(file, 2)
    assert len(lines) == 3
    to_fifo(file)
    assert refusal(lambda: lines.read(1)) == f"{file}: {REGULAR}"
    assert refusal(lambda: list(first_texts(file, "text"))) == f"{file}: {REGULAR}"


def test_a_file_of_texts_that_became_shorter_or_was_removed(file):
    lines = LineChunks(file, 2)
    whole = file.read_bytes()
    assert b"".join(map(lines.read, range(len(lines)))) == whole
    file.write_bytes(whole[:10])
    assert refusal(lambda: lines.read(1)) == f"{file}: {module.CHANGED}"
    file.unlink()
    assert (
        refusal(lambda: lines.read(1)) == f"{file}: expected a readable file, got No such file or directory"
    )


def test_a_line_longer_than_the_first_reading_takes(file, monkeypatch):
    monkeypatch.setattr(lines_of, "__defaults__", (20,))
    expected = "the line is longer than 20 bytes"
    assert refusal(lambda: list(first_texts(file, "text"))) == f"{file}:1: {expected}"
    assert refusal(lambda: JsonLines.of(file).at(0, 7)) == f"{file}:7: {expected}"


def test_a_chunk_of_more_than_is_held_at_once(file, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_CHUNK", 70)
    assert len(LineChunks(file, 2)) == 3
    expected = "3 lines hold more than 70 bytes; use a smaller --chunk"
    assert refusal(lambda: len(LineChunks(file, 3))) == f"{file}:3: {expected}"


def test_a_large_file_that_became_a_fifo(file):
    lines = JsonLines.of(file)
    assert lines.at(0, 1) == {"id": "t0", "text": "film 0"}
    to_fifo(file)
    assert refusal(lambda: lines.at(0, 1)) == f"{file}: {REGULAR}"


def test_a_span_of_a_file(file):
    assert bounds.read_span(file, 2, 4) == file.read_bytes()[2:6]


# parts


@pytest.fixture
def run(classifier, file, tmp_path):
    settings = StreamSettings(file=str(file), model="m", methods=("random",), chunk=2)
    found = collect(stream(classifier, settings, tmp_path / "out"))
    return tmp_path / "out", [tmp_path / "out" / "parts" / name for name in found["parts"]]


def test_a_part_under_the_name_of_another(run):
    folder, (first, second, _) = run
    assert [r["id"] for r in read_stream(folder)] == [f"t{i}" for i in range(5)]
    shutil.copy(first, second)
    expected = "expected a part that says inside what its name says, got the name "
    line = refusal(lambda: list(read_stream(folder)))
    assert line == f"this run cannot be read: {second}: {expected}{first.stem!r}"


def test_a_part_without_a_name(run):
    folder, (first, *_) = run
    pq.write_table(pq.read_table(first).replace_schema_metadata({}), first)
    expected = "expected a part that says inside what its name says, got no name"
    assert refusal(lambda: list(read_stream(folder))) == f"this run cannot be read: {first}: {expected}"


def test_parts_that_are_broken_links_or_not_there(run, tmp_path):
    folder, (first, *_) = run
    moved = first.rename(tmp_path / "moved.parquet")
    start = f"this run cannot be read: {first}: expected "
    assert refusal(lambda: list(read_stream(folder))) == f"{start}a part of the run, got none"
    first.symlink_to(moved)
    assert refusal(lambda: list(read_stream(folder))) == f"{start}a file of the run's own, got a link"
    first.unlink()
    first.write_bytes(moved.read_bytes()[:-9])
    assert refusal(lambda: list(read_stream(folder))).startswith(f"{start}a part of the run, got Arrow")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "JSON, got "),
        ("[]", 'an object with "parts", names of files, got None'),
        ('{"parts": ["../x.parquet"]}', """an object with "parts", names of files, got ['../x.parquet']"""),
        ('{"parts": [3]}', 'an object with "parts", names of files, got [3]'),
        ('{"parts": []}', '"settings" with "methods", names, got None'),
        ('{"parts": [], "settings": {"methods": [1]}}', '"settings" with "methods", names, got [1]'),
    ],
)
def test_a_manifest_of_another_shape(run, text, message):
    folder, _ = run
    (folder / "manifest.json").write_text(text)
    line = refusal(lambda: list(read_stream(folder)))
    assert line.startswith(f"this run cannot be read: {folder}/manifest.json: expected {message}")
