"""Names that are no text, and less memory than is needed: one line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rationale import cli
from rationale.cli.commands import out_of_memory
from tests.faults.processes import finish, run, start
from tests.helpers.paths import PYTHONPATH

ODD = os.fsdecode(b"r\xff")
EXPECTED = "expected a name that is text in utf-8 (PYTHONUTF8=1 makes that UTF-8), got "


@pytest.mark.parametrize("command", ["evaluate --limit 1", "attribute --file t.jsonl", "compress"])
def test_a_name_that_is_no_text(command, model_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"text": "a warm film"}\n')
    methods = () if command == "compress" else ("--methods", "random")
    arguments = [*command.split(), *methods, "--model", str(model_folder), "--out", ODD]
    monkeypatch.setattr(sys, "argv", ["rationale", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    *before, last = capsys.readouterr().err.splitlines()
    assert (stop.value.code, before) == (2, [])
    assert last.startswith(f"error: {EXPECTED}")
    assert "traceback" not in last.lower()


def test_a_library_that_cannot_write_to_a_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rationale", "train", ODD])
    monkeypatch.setattr(cli, "app", lambda: ODD.encode())
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert (stop.value.code, capsys.readouterr().err) == (2, f"error: {EXPECTED}'r\\udcff'\n")


@pytest.mark.slow
def test_a_name_with_an_umlaut_in_the_posix_locale(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ("evaluate", "--limit", 2, "--methods", "random", "--model", model_folder, "--out", "locü")
    run(*command, LC_ALL="POSIX", PYTHONUTF8="")
    assert (tmp_path / "locü" / "report.html").is_file()


def no_room_for_numbers():
    import torch

    torch.empty(2**60)


@pytest.mark.parametrize(
    "fails", [no_room_for_numbers, lambda: bytearray(2**62), lambda: (_ for _ in ()).throw(OSError(12, "x"))]
)
def test_what_libraries_say_when_there_is_no_memory(fails, monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith("error: expected more memory than there is, or than a limit leaves, got ")
    assert said.count("\n") == 1


def test_other_faults_are_not_taken_for_it(monkeypatch):
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ImportError("cannot import name 'x'"))
    monkeypatch.setattr(cli, "app", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stream_is_a_null_one_and_no_file_of_the_work(closed, tmp_path):
    code = """if True:
        import subprocess, sys
        from eraser import progress
        from rationale import cli

        def work():
            progress.QUIET_S = 0
            list(progress.progress(range(3), "work", "units"))
            print("said"), print("said", file=sys.stderr)
            child = [sys.executable, "-c", "import sys; sys.exit(sys.stderr is None)"]
            subprocess.run(child, check=True)
            with open("made.txt", "w") as file:
                file.write(str(file.fileno() > 2))

        cli.app = work
        cli.main()
    """
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    shell = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code]
    assert subprocess.run(shell, cwd=tmp_path, env=environment, check=False).returncode == 0
    assert (tmp_path / "made.txt").read_text() == "True"


@pytest.mark.slow
@pytest.mark.parametrize("limit", [500 * 2**20, 800_000_000])
def test_a_memory_limit(limit, model_folder, tmp_path):
    code = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))"
    process = start("evaluate", "--model", model_folder, "--out", tmp_path / "r", code=code)
    got = f"got a limit of {limit / 1e9:.1f} GB (ulimit -v)"
    assert finish(process, 2) == f"error: expected at least 1.5 GB of memory for a model, {got}\n"
    run("data", "list", code=code)  # which needs none
