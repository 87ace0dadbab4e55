"""A stranger's file: read only where it is a regular one, and no further than a limit that is named."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from eraser import InputError
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.source import Source
from eraser.download import unpack
from eraser.files import bounds
from eraser.files.bounds import lines_of, read_bytes, regular
from eraser.load import load
from eraser.official import reading
from eraser.official.reading import read_predictions
from tests.helpers.refusals import refusal

LINE = json.dumps({"annotation_id": "a", "classification": "POS", "evidences": [], "docids": ["a"]})


def folder(at: Path) -> Path:
    (at / "docs").mkdir(parents=True)
    (at / "test.jsonl").write_text(LINE + "\n")
    return at


def test_a_document_that_is_a_link_to_a_device(tmp_path):
    (folder(tmp_path / "d") / "docs" / "a").symlink_to("/dev/zero")
    assert (
        refusal(lambda: load("x", tmp_path / "d"))
        == f"{tmp_path}/d/docs/a: expected a regular file, got a device"
    )


def test_a_document_that_is_a_fifo(tmp_path):
    os.mkfifo(folder(tmp_path / "d") / "docs" / "a")
    assert (
        refusal(lambda: load("x", tmp_path / "d"))
        == f"{tmp_path}/d/docs/a: expected a regular file, got a FIFO"
    )


def test_a_link_to_a_regular_file_is_read(tmp_path):
    (tmp_path / "text").write_text("a warm film")
    (folder(tmp_path / "d") / "docs" / "a").symlink_to(tmp_path / "text")
    assert load("x", tmp_path / "d").documents["a"].words == ("a", "warm", "film")


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.csv", "x.tar.gz"])
def test_a_fifo_or_a_device_in_place_of_a_file(tmp_path, name):
    fifo, device = tmp_path / "fifo" / name, tmp_path / "device" / name
    for path in (fifo, device):
        path.parent.mkdir()
    os.mkfifo(fifo)
    device.symlink_to("/dev/zero")
    for path, kind in ((fifo, "a FIFO"), (device, "a device")):
        expected = f"{path}: expected a regular file, got {kind}"
        if "tar" in name:
            assert refusal(lambda path=path: load("x", path)) == expected
            assert refusal(lambda path=path: unpack(path, tmp_path)) == expected
        else:
            assert refusal(lambda path=path: read_predictions(path)) == expected
        if name in ("x.jsonl", "x.csv"):
            assert refusal(lambda path=path: read_custom("x", {"row": path}, ImportOptions())) == expected


def test_a_fifo_of_texts_to_explain(tmp_path):
    from rationale.text.lines import LineChunks

    os.mkfifo(tmp_path / "t.jsonl")
    expected = f"{tmp_path}/t.jsonl: expected a regular file, got a FIFO"
    assert refusal(lambda: len(LineChunks(tmp_path / "t.jsonl", 2))) == expected


def test_a_longer_line_is_refused_before_it_is_held(tmp_path):
    (tmp_path / "f").write_bytes(b"ab\n" + b"c" * 9 + b"\nd")
    with regular(tmp_path / "f") as file:
        assert list(lines_of(file, tmp_path / "f", 10)) == [b"ab\n", b"c" * 9 + b"\n", b"d"]
    with regular(tmp_path / "f") as file:
        expected = f"{tmp_path}/f:2: the line is longer than 9 bytes"
        assert refusal(lambda: list(lines_of(file, tmp_path / "f", 9))) == expected


def test_more_bytes_than_the_limit(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert read_bytes(tmp_path / "f", 5) == b"12345"
    assert refusal(lambda: read_bytes(tmp_path / "f", 4)) == f"{tmp_path}/f: the file is larger than 4 bytes"


@pytest.mark.parametrize("blank", [b" ", b"\n", b" \n", b"\r"])
def test_predictions_that_unpack_to_blanks(tmp_path, monkeypatch, blank):
    """However many there are: they are read up to a limit, and not kept."""
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(blank * (2**24 // len(blank))))
    monkeypatch.setattr(reading, "MAX_BYTES", 2**23)
    monkeypatch.setattr(bounds.lines_of, "__defaults__", (2**22,))
    if b"\n" in blank:
        _, faults = read_predictions(path)
        assert len(faults) == reading.MAX_FAULTS + 1
        assert str(faults[-1]) == f"{path}:1001: more than 1000 broken lines; the rest was not read"
    else:
        expected = f"{path}:1: the line is longer than {2**22} bytes"
        assert refusal(lambda: read_predictions(path)) == expected


def test_predictions_that_unpack_to_many_good_lines(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000))
    assert len(read_predictions(path)[0]) == 1000
    monkeypatch.setattr(reading, "MAX_BYTES", 2999)
    assert refusal(lambda: read_predictions(path)) == f"{path}: the file is larger than 2999 bytes"


def test_lines_end_as_in_text_mode(tmp_path):
    text = '{"a": 1}\r{"b": 2}\r\n{"c": 3}\n\n{"d": 4}'
    (tmp_path / "p.jsonl").write_bytes(text.encode())
    found, faults = read_predictions(tmp_path / "p.jsonl")
    with (tmp_path / "p.jsonl").open(encoding="utf-8") as file:
        lines = list(file)
    assert found == [(n, json.loads(x)) for n, x in enumerate(lines, start=1) if x.strip()]
    assert [fault.line for fault in faults] == [4]


# archives


def header(kind: bytes, size: int, name: str = "././@LongLink") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def archive(at: Path, *pieces: bytes) -> Path:
    with gzip.open(at, "wb", 1) as file:
        for piece in pieces:
            file.write(piece)
        file.write(bytes(1024))
    return at


LONG = "a name or header in the archive is longer than 65536 bytes"
NAMES = {
    "a name": (b"L", b"n" * 2**20),
    "a link's name": (b"K", b"n" * 2**20),
    "what pax says": (b"x", b"1048576 comment=" + b"c" * (2**20 - 17) + b"\n"),
    "what pax says of all": (b"g", b"1048576 comment=" + b"c" * (2**20 - 17) + b"\n"),
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("what", NAMES)
def test_a_long_name_in_an_archive(tmp_path, what, first):
    kind, name = NAMES[what]
    before = () if first else (header(b"0", 0, "docs/a"),)
    path = archive(tmp_path / "x.tar.gz", *before, header(kind, len(name)), name, header(b"0", 0, "x"))
    assert refusal(lambda: Source(path).has("x")) == f"{path}: {LONG}"
    assert refusal(lambda: unpack(path, tmp_path)) == f"{path}: {LONG}"


def test_names_within_the_limit_are_read(tmp_path):
    name = "d/" * 20 + "n" * 200
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for n in range(50):
            info = tarfile.TarInfo(f"{name}{n}")
            info.size = 100_000
            out.addfile(info, io.BytesIO(bytes(100_000)))
    assert len(Source(path)._members) == 50
    unpack(path, tmp_path)
    assert (tmp_path / f"{name}49").stat().st_size == 100_000


def test_a_chain_of_names(tmp_path):
    chain = (header(b"L", 2) + b"n\0" + bytes(510)) * 5000
    path = archive(tmp_path / "x.tar.gz", chain, header(b"0", 0, "x"))
    for run in (lambda: Source(path).has("x"), lambda: unpack(path, tmp_path)):
        assert refusal(run).startswith(f"{path}: ")


def test_a_map_of_holes_without_end(tmp_path):
    """GNU's sparse files, form 1.0: as many numbers as the first one says."""
    pax = b"".join(b"%d %s\n" % (len(x) + 4, x) for x in (b"GNU.sparse.major=1", b"GNU.sparse.minor=0"))
    numbers = b"99999999\n" + b"1\n" * 2**20
    numbers += bytes(-len(numbers) % 512)
    path = archive(
        tmp_path / "x.tar.gz",
        header(b"x", len(pax)), pax + bytes(-len(pax) % 512), header(b"0", len(numbers), "x"), numbers,
    )  # fmt: skip
    assert refusal(lambda: Source(path).has("x")) == f"{path}: {LONG}"


def test_much_after_the_end_of_an_archive(tmp_path, monkeypatch):
    monkeypatch.setattr("eraser.data.source.MAX_BYTES", 2**20)
    path = archive(tmp_path / "x.tar.gz", header(b"0", 0, "x"), bytes(2**23))
    assert refusal(lambda: Source(path).has("x")) == f"{path}: the archive unpacks to more than {2**20} bytes"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", ""])
def test_archives_are_read_however_they_are_packed(tmp_path, kind):
    (folder(tmp_path / "d") / "docs" / "a").write_text("a warm film")
    path = tmp_path / f"d.tar.{kind}"
    with tarfile.open(path, f"w:{kind}") as out:
        out.add(tmp_path / "d", "d")
    assert load("x", path).documents["a"].words == ("a", "warm", "film")


# one at a time


def test_one_holds_a_lock_and_another_waits(tmp_path):
    from eraser.files.lock import locked

    order, waits = [], threading.Event()

    def other():
        with locked(tmp_path / "x", lambda path: (order.append(path.name), waits.set())):
            order.append("other")

    with locked(tmp_path / "x"):
        thread = threading.Thread(target=other)
        thread.start()
        assert waits.wait(60)
        order.append("one")
    thread.join()
    assert order == ["x", "one", "other"]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_in_a_folder_that_may_only_be_read_is_refused(tmp_path, monkeypatch):
    from eraser.files.lock import locked

    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(InputError, match="/x: cannot write: Permission denied$"), locked(tmp_path / "x"):
        pass


def test_a_lock_is_let_go_by_who_is_killed(tmp_path):
    from eraser.files.lock import locked

    code = "import os, sys; from pathlib import Path; from eraser.files.lock import locked\n"
    code += "with locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
    assert [p.name for p in tmp_path.iterdir()] == [".x.lock"]
    with locked(tmp_path / "x", lambda path: pytest.fail("nobody holds it")):
        pass
