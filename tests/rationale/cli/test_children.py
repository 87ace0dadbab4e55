"""Who is started: imports nothing from the current folder, ends with its parent, and speaks one line."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import psutil
import pytest

from rationale.process import children, stopping
from tests.conftest import save_tiny
from tests.faults.processes import PATIENCE_S, finish
from tests.helpers.paths import PYTHONPATH, ROOT

ENDING_S = 3  # within which a process that got a signal itself is gone, also on a busy machine
TAKEN = ("streamlit", "accelerate", "torch", "numpy", "typer", "multiprocessing", "random", "app/__init__")
ENTRY = "from rationale.cli import main; main()"


def command(*arguments, at, before="", **environment):
    """Start `rationale …` as its installed script does, from a folder."""
    script = at / "bin" / "rationale"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"{before}\nfrom rationale.cli import main\nif __name__ == '__main__': main()\n")
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=at,
        env=usual | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH} | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.fixture
def hostile(tmp_path):
    """A folder whose modules leave a mark when they are imported."""
    folder = tmp_path / "here"
    for name in TAKEN:
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'marks')!r}, 'a').write({name!r})\nraise SystemExit(77)\n")
    yield folder
    assert not (tmp_path / "marks").exists(), (tmp_path / "marks").read_text()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


def wait_until(so, process=None):
    until = time.monotonic() + PATIENCE_S
    while not (found := so()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def answers(port) -> bool:
    try:
        return bool(urlopen(f"http://localhost:{port}/_stcore/health", timeout=5).read() == b"ok")
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [pytest.param("", marks=pytest.mark.faults), "import os; os.environ['PYTHONPATH'] += os.pathsep"],
)
def test_workers_import_nothing_from_the_current_folder(hostile, tokenizer, tmp_path, before):
    """Nor where PYTHONPATH has an empty entry, which Python takes for the current folder."""
    save_tiny(tmp_path / "model", tokenizer)
    (hostile / "t.jsonl").write_text(json.dumps({"text": "a warm film"}) + "\n")
    options = ("--model", tmp_path / "model", "--methods", "random", "--workers", 2, "--out")
    finish(command("attribute", "--file", "t.jsonl", *options, "out", at=hostile, before=before))
    if not before:
        finish(command("evaluate", "--limit", 2, *options, "run", at=hostile))


@pytest.mark.faults
@pytest.mark.parametrize("runner", ["accelerate", "ray"])
def test_other_runners_workers_import_nothing_from_there(hostile, tokenizer, tmp_path, runner):
    save_tiny(tmp_path / "model", tokenizer)
    options = ("--model", tmp_path / "model", "--methods", "random", "--workers", 2, "--out", "run")
    finish(command("evaluate", "--limit", 2, *options, "--runner", runner, at=hostile))


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_viewer_opens_there_and_ends_with_its_command(hostile, kill):
    """Also where PYTHONPATH names a project with an `app` of its own."""
    port = free_port()
    (hostile.parent / "other" / "app").mkdir(parents=True)
    (hostile.parent / "other" / "app" / "__init__.py").write_text("raise SystemExit(77)")
    path = os.pathsep.join(map(str, (hostile.parent / "other", ROOT, ROOT / "app")))
    process = command("app", "--no-browser", "--port", port, at=hostile, PYTHONPATH=path)
    wait_until(lambda: answers(port), process)
    (server,) = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(kill)
    _, err = process.communicate(timeout=PATIENCE_S)
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    assert not answers(port)
    if kill == signal.SIGKILL:
        assert process.returncode == -kill
    else:
        assert process.returncode == 128 + kill
        assert err.splitlines()[-1] == "stopped"
        assert "Traceback" not in err


@pytest.mark.faults
@pytest.mark.parametrize("runner", ["local", "accelerate"])
@pytest.mark.parametrize("late", [False, True])
def test_no_worker_outlives_its_parent(tokenizer, tmp_path, runner, late):
    """Neither one that is still importing nor one that computes."""
    save_tiny(tmp_path / "model", tokenizer)
    options = ("--chunk", 1, "--methods", "integrated_gradients", "--ig-steps", 500, "--workers", 2)
    process = command(
        "evaluate", "--model", tmp_path / "model", *options, "--runner", runner, "--out", "run", at=tmp_path
    )

    def workers():
        found = psutil.Process(process.pid).children(recursive=True)
        named = ("spawn_main", "rationale.runners.backends")
        there = [w for w in found if any(name in " ".join(w.cmdline()) for name in named)]
        return there if len(there) >= 2 and (not late or list(tmp_path.glob("run/parts/*"))) else []

    found = wait_until(workers, process)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in found))


def test_a_grandchild_ends_with_the_process_it_was_started_by(tmp_path):
    """Whose number is not its parent's: it is gone already."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rationale.process.children", "-", "time"],
        env=os.environ | {children.PARENT: "1" if os.getppid() != 1 else "2"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "torch"])
def test_a_signal_while_something_is_imported(kill, module, tmp_path):
    """The import stands still until the signal has come."""
    late = f"""
import importlib.abc, os, sys, time
class Late(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {int(kill)})
            time.sleep(60)
sys.meta_path.insert(0, Late())
"""
    (tmp_path / "late.py").write_text(late)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import late; {ENTRY}",
            "attribute",
            "--file",
            "x",
            "--model",
            "m",
            "--out",
            "o",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + kill, f"{stopping.LINE}\n")


SWALLOWED = """
import sys, signal
from rationale import cli
def app():
    for _ in range(2):
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as error:
            {then}
cli.app = app
from rationale.cli import main
{after}
main()
"""


AGAIN = "import atexit, signal; atexit.register(signal.raise_signal, 15)"


@pytest.mark.parametrize(
    ("then", "after"),
    [
        ("raise ImportError('half done') from error", ""),
        ("sys.exit(2)", AGAIN),
        ("raise KeyboardInterrupt from None", ""),
        ("return", ""),
        ("return", AGAIN),
    ],
)
def test_a_signal_that_became_something_else_on_the_way(then, after):
    """What a library makes of it, and a second one while the process ends, changes neither line nor code."""
    code = SWALLOWED.format(then=then, after=after)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"{stopping.LINE}\n")


@pytest.mark.parametrize(
    ("name", "line"), [("serve", "stopped"), ("app", "stopped"), ("trust", stopping.LINE)]
)
def test_what_runs_until_it_is_stopped_has_nothing_to_go_on_with(name, line):
    code = f"import signal, sys; from rationale import cli; sys.argv = ['rationale', {name!r}]\n"
    code += "cli.app = lambda: signal.raise_signal(signal.SIGINT)\nfrom rationale.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"{line}\n")


def test_a_signal_when_all_is_done():
    code = "import atexit, signal; from rationale import cli\n"
    code += (
        "cli.app = lambda: atexit.register(signal.raise_signal, 15)\nfrom rationale.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, f"{stopping.LINE}\n")


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_when_python_itself_ends_changes_nothing(number):
    """What is registered before the command is called after all of it; Python puts its handlers away next."""
    code = f"import atexit, signal, sys; atexit.register(signal.raise_signal, {int(number)})\n"
    code += "from rationale.cli import main\nsys.argv = ['rationale', 'data', 'list']\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "next: rationale data fetch movies" in done.stdout


def test_handlers_are_put_back_where_the_process_is_not_the_command_s(monkeypatch):
    from rationale import cli

    before = [signal.getsignal(n) for n in stopping.SIGNALS]
    inside = []
    monkeypatch.setattr(cli, "app", lambda: inside.append([signal.getsignal(n) for n in stopping.SIGNALS]))
    cli.main()
    assert [signal.getsignal(n) for n in stopping.SIGNALS] == before
    assert before not in inside


@pytest.mark.faults
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_at_any_moment(tokenizer, tmp_path, kill, workers):
    """As a terminal sends Ctrl-C: to the command and all it has started."""
    save_tiny(tmp_path / "model", tokenizer)
    options = ("--methods", "attention,gradient_x_input", "--chunk", 4, "--workers", workers, "--out")
    seed = int(os.environ.get("RATIONALE_SEED", random.randrange(10**6)))
    print("RATIONALE_SEED", seed)  # noqa: T201 (to try the same moments again)
    chance = random.Random(seed)
    for n in range(10):
        process = command("evaluate", "--model", tmp_path / "model", *options, f"r{n}", at=tmp_path)
        time.sleep(0.15 + chance.random() * 12)
        os.killpg(process.pid, kill)
        out, err = process.communicate(timeout=PATIENCE_S)
        last = err.splitlines()[-1:]  # after progress, which a slow machine has time to tell
        assert process.returncode in (0, 128 + kill), (n, out, err)
        assert process.returncode == 0 or last == [stopping.LINE], (n, out, err)
        assert "Traceback" not in err, (n, out, err)
        assert nobody_stays(process.pid), (n, out, err)


def nobody_stays(session) -> bool:
    """Return whether all processes of a session end within a moment: each got the signal itself."""
    end = time.monotonic() + ENDING_S
    left = True
    while left and time.monotonic() < end:
        left = any(_in_session(c, session) for c in psutil.process_iter())
        time.sleep(0.05 * left)
    return not left


def _in_session(process, session) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ProcessLookupError):
        return False
