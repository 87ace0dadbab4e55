from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
import rationale_viewer
from rationale_viewer.__main__ import server
from rationale_viewer.session.start import VARIABLE, LaunchConfig, folders_with
from typer.testing import CliRunner

from eraser import InputError
from rationale.cli import app
from rationale.cli import viewer as cli_app
from rationale.process import children
from tests.helpers.paths import PYTHONPATH


def test_what_was_given_arrives(monkeypatch):
    given = LaunchConfig(("m",), "movies", "d", ("r", "s"), "here")
    monkeypatch.setenv(VARIABLE, given.as_json())
    assert LaunchConfig.from_environment() == given
    monkeypatch.delenv(VARIABLE)
    assert LaunchConfig.from_environment() == LaunchConfig()


def test_a_path_inside_is_taken_and_one_outside_refused(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "in").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    start = LaunchConfig(models=(str(root),))
    assert start.inside(str(root / "in")) == (root / "in").resolve()
    assert start.inside(str(root)) == root.resolve()
    for path in (outside, root / "link", root / ".." / "outside", Path("/"), Path("/etc/passwd")):
        with pytest.raises(InputError, match="is outside the folders given at start"):
            start.inside(str(path))
    for path in ("", "no such\0thing", str(root / "nothing")):
        with pytest.raises(InputError, match="such path|outside the folders"):
            start.inside(path)


def test_a_path_is_meant_from_where_the_command_was_given(tmp_path, monkeypatch):
    (tmp_path / "root" / "in").mkdir(parents=True)
    start = LaunchConfig(models=(str(tmp_path / "root"),), here=str(tmp_path))
    monkeypatch.chdir("/")
    assert start.inside("root/in") == (tmp_path / "root" / "in").resolve()


def test_without_folders_nothing_is_inside(tmp_path):
    with pytest.raises(InputError, match="is outside the folders given at start"):
        LaunchConfig().inside(str(tmp_path))


def test_folders_are_found_and_links_out_are_not(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "a", root / "b" / "c", root / "x" / "y" / "z", outside):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    (root / "link").symlink_to(outside)
    assert folders_with((str(root),), "config.json") == [str(root / "a"), str(root / "b" / "c")]
    assert folders_with((str(root / "a"),), "config.json") == [str(root / "a")]
    assert folders_with((str(tmp_path / "none"),), "config.json") == []
    (root / "b" / "adapter_config.json").write_text("{}")
    found = folders_with((str(root),), "config.json", "adapter_config.json")
    assert found == [str(root / "a"), str(root / "b"), str(root / "b" / "c")]


@pytest.fixture
def started(monkeypatch):
    calls = []

    def run(module, arguments, environment, cwd):
        calls.append(([module, *arguments], environment, cwd))
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(children, "run", run)
    return calls


def test_command_starts_a_server_for_this_machine_alone(started, tmp_path):
    options = ["app", "--model", str(tmp_path), "--run", str(tmp_path), "--port", "8599", "--no-browser"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    ((command, environment, cwd),) = started
    assert command == ["rationale_viewer", "8599", "none"]
    assert Path(cwd) == Path(rationale_viewer.__file__).parent  # where no stranger has put settings
    told = LaunchConfig(models=(str(tmp_path),), runs=(str(tmp_path),), here=os.getcwd())
    assert told.as_json() == environment[VARIABLE]


def test_streamlit_is_told_to_serve_this_machine_alone():
    script, *told = server(8599, browser=False)
    assert {"--server.address=localhost", "--server.port=8599", "--server.headless=true"} <= set(told)
    assert {"--browser.gatherUsageStats=false", "--client.showErrorDetails=none"} <= set(told)
    assert "--logger.hideWelcomeMessage=true" in told  # with it Streamlit offers nothing of its own either
    assert Path(script).name == "served.py"
    assert Path(script).is_file()


def test_what_is_named_from_the_current_folder_is_found_from_another(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("models", "runs", "owner/data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("RATIONALE_CACHE", "cache")
    options = ["--model", "models", "--model", "owner/name", "--model", "package:f", "--run", "runs"]
    assert CliRunner().invoke(app, ["app", *options, "--data", "owner/data"]).exit_code == 0
    ((_, environment, _),) = started
    models = (f"{tmp_path}/models", "owner/name", "package:f")
    told = LaunchConfig(models, "data", f"{tmp_path}/owner/data", (f"{tmp_path}/runs",), str(tmp_path))
    assert told.as_json() == environment[VARIABLE]
    assert environment["RATIONALE_CACHE"] == f"{tmp_path}/cache"


@pytest.mark.parametrize("option", ["--model", "--run", "--data"])
def test_command_refuses_what_is_not_there(started, option, tmp_path):
    done = CliRunner().invoke(app, ["app", option, str(tmp_path / "nothing")])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == f"{tmp_path}/nothing: no such folder"
    assert not started


def test_command_takes_a_hub_id(started):
    assert CliRunner().invoke(app, ["app", "--model", "owner/name"]).exit_code == 0
    assert '"owner/name"' in started[0][1][VARIABLE]


def test_command_says_what_to_install(started, monkeypatch):
    monkeypatch.setattr(cli_app, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["app"])
    assert isinstance(done.exception, ModuleNotFoundError)
    assert done.exception.name == "streamlit"


def test_the_first_start_in_a_new_home_asks_nothing(tmp_path):
    """Streamlit would ask for an email address, and end where nobody can type one."""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": PYTHONPATH, "BROWSER": "true"}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "rationale_viewer", port, "browser"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        _wait_for(f"http://localhost:{port}/_stcore/health")
        server.terminate()
        said = server.stdout.read()
    assert said.splitlines()[0] == f"The viewer: http://localhost:{port} (Ctrl+C ends it)"
    assert "mail" not in said


def _wait_for(url):
    for _ in range(300):
        with suppress(OSError), urlopen(url) as answer:
            assert answer.status == 200
            return
        time.sleep(0.1)
    raise TimeoutError(url)
