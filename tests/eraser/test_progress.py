"""How far work is: lines in a log, a bar on a terminal, nothing of what is soon over."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from eraser import progress as module
from eraser.progress import BYTES, Progress, progress, silent


@pytest.fixture
def time(monkeypatch):
    """A clock that stands still unless it is moved."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(module, "QUIET_S", 2.0)
    monkeypatch.setattr(module._Log, "last", float("-inf"))
    return clock


def run(time, seconds: float, n: int, what: str = "work") -> None:
    for _ in progress(range(n), what, "steps"):
        time.now += seconds


def test_what_ends_within_two_seconds_says_nothing(time, capsys):
    run(time, 0.19, 10)
    assert capsys.readouterr() == ("", "")


def test_a_line_each_half_minute_and_one_at_the_end(time, capsys):
    run(time, 10.0, 8)
    out, lines = capsys.readouterr()
    assert out == ""
    assert lines.splitlines() == [
        "work: 1 of 8 steps, 1:10 left",
        "work: 4 of 8 steps, 0:40 left",
        "work: 7 of 8 steps, 0:10 left",
        "work: 8 of 8 steps in 1:20",
    ]


def test_what_is_inside_speaks_only_where_the_whole_is_silent_for_long(time, capsys):
    for _ in progress(range(2), "outside", "chunks"):
        run(time, 10.0, 5, "inside")
    assert capsys.readouterr().err.splitlines() == [
        "inside: 1 of 5 steps, 0:40 left",
        "inside: 4 of 5 steps, 0:10 left",
        "inside: 2 of 5 steps, 0:30 left",
        "outside: 2 of 2 chunks in 1:40",
    ]


def test_bytes_are_told_in_megabytes_and_what_was_there_costs_no_time(time, capsys):
    with Progress("x.tar.gz", BYTES, 30_000_000, done=10_000_000) as shown:
        time.now += 4
        shown.add(10_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "x.tar.gz: 20 of 30 MB, 0:04 left", "x.tar.gz: 20 of 30 MB in 0:04",
    ]  # fmt: skip


def test_the_first_of_very_many_gives_no_estimate(time, capsys):
    """The first may have waited for an import: "9:42:01 left" once stood before five seconds of work."""
    with Progress("encode", "texts", 15_383) as shown:
        time.now += 3
        shown.add()
        time.now += 30
        shown.add(153)
    assert capsys.readouterr().err.splitlines() == [
        "encode: 1 of 15,383 texts",
        "encode: 154 of 15,383 texts, 54:23 left",
        "encode: 154 of 15,383 texts in 0:33",
    ]


def test_without_a_total_there_is_no_estimate(time, capsys):
    for _ in progress(iter("ab"), "read", "rows"):
        time.now += 2
    assert capsys.readouterr().err.splitlines() == ["read: 1 rows", "read: 2 rows in 0:04"]


def test_what_failed_does_not_say_that_it_ended(time, capsys):
    def fail():
        for _ in progress(range(2), "work", "steps"):
            time.now += 1.5
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsys.readouterr().err == ""
    assert module._Log.open == 0


def test_a_worker_says_nothing(time, capsys):
    with silent():
        run(time, 10.0, 8)
    assert capsys.readouterr() == ("", "")
    run(time, 10.0, 2)
    assert capsys.readouterr().err == "work: 1 of 2 steps, 0:10 left\nwork: 2 of 2 steps in 0:20\n"


def test_one_of_one_says_nothing_and_what_is_inside_it_speaks(time, capsys):
    """A dozen lines "attribute: 1 of 1 batches" once stood before the first line that told something."""
    for _ in range(12):
        run(time, 30.0, 1, "attribute")
    assert capsys.readouterr() == ("", "")
    for _ in progress(range(1), "outside", "chunks"):
        run(time, 10.0, 2, "inside")
    assert capsys.readouterr().err == "inside: 1 of 2 steps, 0:10 left\n"


def test_a_terminal_gets_a_bar_and_no_lines(time, monkeypatch, capsys):
    made = []

    class Bar:
        def __init__(self, **how):
            self.n, self.start_t = how["initial"], 110.0
            made.append(how)

        def update(self, n):
            self.n += n
            made.append((n, self.start_t))

        def close(self):
            made.append("closed")

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(module, "tqdm", Bar)
    run(time, 10.0, 2)
    how = {"desc": "work", "total": 2, "initial": 0, "unit": " steps", "unit_scale": False, "leave": False}
    assert made == [how, (1, 100.0), (1, 100.0), "closed"]
    made.clear()
    run(time, 0.1, 10)
    assert made == []
    assert capsys.readouterr() == ("", "")
