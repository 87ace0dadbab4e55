"""The server as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Lend a server on an exported file: its process, and its address."""
    command = [sys.executable, "-m", "rationale", "serve", "--model", str(model), "--port", "0", *options]
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **how) as process:
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]
            match = re.search(r"POST (http://\S+)/predict", line)
            assert match is not None, (line, process.stderr.read())  # type: ignore[union-attr]
            yield process, match[1]
        finally:
            process.kill()
