"""The viewer's server as its command starts it, and where Chromium is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import PYTHONPATH

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
WAIT_MS = 90_000
START = "from rationale.cli import main; main()"


@dataclass(frozen=True)
class Served:
    """A server: its port, the process of its command, and the file of what it says."""

    port: int
    command: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://localhost:{self.port}"


@contextmanager
def serving(folder: Path, *options: object, here: Path | None = None) -> Iterator[Served]:
    """Serve, from a current folder of its own; no traceback is ever said, and in the end nobody listens."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-c", START, "app", "--no-browser", "--port", port, *options]
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            list(map(str, command)), cwd=here or folder, stdout=log, stderr=log, start_new_session=True,
            env=usual | {"RATIONALE_CACHE": str(folder / "cache"), "PYTHONPATH": PYTHONPATH},
        )  # fmt: skip
    found = Served(port, process, folder / "log")
    try:
        _until_it_answers(found)
        yield found
        process.terminate()
        process.wait(30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    assert not listens(port)
    assert "Traceback" not in found.log.read_text()


def _until_it_answers(server: Served) -> None:
    for _ in range(240):
        assert server.command.poll() is None, server.log.read_text()
        with suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2):
            return
        time.sleep(0.5)
    raise AssertionError(f"no answer from {server.url}")


def listens(port: int) -> bool:
    """Return whether anybody does, on this machine's own address."""
    with suppress(OSError), socket.create_connection(("localhost", port), 1):
        return True
    return False


def violations(page: Any, *seen: str) -> list[str]:
    """What axe-core finds wrong with the page, in lines; it must have looked at an element that is `seen`."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page.wait_for_timeout(1000)  # what is being faded in is paler until then
    found = axe.Axe().run(page).response
    targets = [str(n["target"]) for rule in found["passes"] for n in rule["nodes"]]
    assert any(one in target for target in targets for one in seen or ("",))
    return [f"{v['id']}: {n['target']}: {n['html'][:200]}" for v in found["violations"] for n in v["nodes"]]


def shoot(page: Any, name: str) -> None:
    """Take a picture of the whole page, for the folder that RATIONALE_SCREENSHOTS names."""
    picture = page.screenshot(full_page=True)
    assert picture.startswith(b"\x89PNG")
    if folder := os.environ.get("RATIONALE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(picture)


def shoot_all(page: Any, name: str) -> None:
    """Take a picture of the page made as high as it is, and check that nothing sticks out sideways."""
    page.wait_for_timeout(1500)
    wide, there = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= there
    main = page.locator("[data-testid=stMainBlockContainer]")
    height = int(main.evaluate("e => e.scrollHeight"))
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": min(max(height + 20, 500), 3000)})
    page.wait_for_timeout(800)
    shoot(page, name)
