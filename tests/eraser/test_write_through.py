"""Output paths that are no plain files: devices and FIFOs are written through, links refused."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import pytest

from eraser import InputError
from eraser.files.whole import whole, write_text
from eraser.load import load
from tests.helpers.app.stored import write_stored
from tests.helpers.command_line import run
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs and links")


def read_in_background(fifo):
    found = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    return reader, found


def test_a_fifo_is_written_through(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader, found = read_in_background(fifo)
    write_text(fifo, "one\n")
    reader.join(20)
    assert found == [b"one\n"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_link_to_a_fifo_is_written_through_and_stays(tmp_path):
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    reader, found = read_in_background(fifo)
    write_text(link, "one\n")
    reader.join(20)
    assert (found, link.is_symlink()) == ([b"one\n"], True)


def test_a_device_stays_a_device():
    write_text(Path(os.devnull), "gone\n")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_that_takes_nothing_is_one_line():
    with pytest.raises(InputError, match=r"^/dev/full: cannot write: No space left on device$"):
        write_text(Path("/dev/full"), "one\n")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_refused_and_nothing_is_touched(tmp_path, there):
    target, link = tmp_path / "target", tmp_path / "link"
    if there:
        target.write_text("mine")
    link.symlink_to(target)
    message = f"^{link}: will not write through a link \\(to {target}\\)$"
    with pytest.raises(InputError, match=message), whole(link):
        raise AssertionError("nothing must be written")
    assert link.is_symlink()
    assert target.exists() == there
    assert not there or target.read_text() == "mine"


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its name must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s")
        with pytest.raises(InputError, match=r"cannot write to a disk device or a socket$"):
            write_text(tmp_path / "s", "one\n")


def test_score_writes_the_official_scores_through_a_fifo(tmp_path, capsys, monkeypatch):
    write_stored(tmp_path / "run", load("sample"), ["attention"], limit=None)
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(tmp_path / "elsewhere.json")
    told = ["score", "--data", ROOT / "eraser" / "sample", "--official"]
    told += [fifo, "--predictions", tmp_path / "run" / "predictions" / "attention.jsonl"]
    reader, found = read_in_background(fifo)
    code, out, err = run(capsys, monkeypatch, *told)
    reader.join(20)
    assert code == 0
    assert err.startswith("next: rationale check --predictions ")
    assert json.loads(found[0]) == json.loads(out)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    told[4] = link
    code, out, err = run(capsys, monkeypatch, *told)
    assert (code, out) == (2, "")
    assert err == f"error: {link}: will not write through a link (to {tmp_path}/elsewhere.json)\n"
    assert not (tmp_path / "elsewhere.json").exists()
