"""The shipped model as an exported file: made once in a process with torch, kept in the user's cache."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory

import rationale
from eraser.data.catalog import cache_dir
from eraser.errors import Fault, InputError
from eraser.files.content import content_at
from rationale.onnx.described import OPSET, VERSION
from rationale.process.children import run
from rationale.process.extras import installs

FOLDER = Path(rationale.__file__).parent / "movies_model"
NEEDS = (
    "the shipped model is exported with torch and onnxscript, which are not both here: run `rationale export "
    f"--out model.onnx` where they are, and give that file; {installs('export')}"
)


def shipped_file() -> Path:
    """Return the shipped model as an exported file; it is made if the cache has none by this version.

    Raises:
        InputError: there is none, and torch is not installed to make one.
    """
    path = cached_file()
    if not path.is_file():
        _export(path)
    return path


def cached_file() -> Path:
    """Return where the cache has the shipped model as an exported file, or would have it.

    Its name says what it depends on: the exporter's version, the form of what it writes, and the weights.
    """
    made_by = f"{rationale.__version__}-{VERSION}-{OPSET}"
    return cache_dir() / "onnx" / f"movies-{made_by}-{content_at(FOLDER)[:16]}.onnx"


def _export(path: Path) -> None:
    """Export the shipped model in another process, so that this one does not load torch."""
    if find_spec("torch") is None or find_spec("onnxscript") is None:
        raise InputError(Fault.of(NEEDS))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        command = ("export", "--model", str(FOLDER), "--out", str(new))
        found = run("rationale", command, stdout=PIPE, stderr=PIPE)
        if found.returncode:
            *_, last = found.stderr.strip().splitlines() or [""]
            raise InputError(Fault.of(f"the shipped model could not be exported: {last}"))
        os.replace(new, path)
