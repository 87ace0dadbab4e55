"""What the viewer was started with, handed from the command to the server as JSON in the environment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eraser import Fault, InputError

VARIABLE = "RATIONALE_APP"
MODEL_FILES = ("config.json", "adapter_config.json")  # of a model, of a PEFT adapter to one
RUN_FILE = "scores.csv"
DEEP = 2  # folders below a given one that are looked into


@dataclass(frozen=True)
class LaunchConfig:
    """Models, a data set and run folders; each folder may hold several.

    `here` is where the command was given: the server has another current folder.
    """

    models: tuple[str, ...] = ()
    dataset: str = "sample"
    data: str | None = None
    runs: tuple[str, ...] = ()
    here: str = ""

    def as_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_environment(cls) -> LaunchConfig:
        """Return what the command handed over; the defaults where there was none."""
        given = json.loads(os.environ.get(VARIABLE, "{}"))
        values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return cls(**values)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return the folders given, links resolved: nothing outside them is ever opened by choice."""
        given = [*self.models, *self.runs, *([] if self.data is None else [self.data])]
        return tuple(Path(p).resolve() for p in given if Path(p).exists())

    def inside(self, path: str) -> Path:
        """Return a path with its links resolved.

        Raises:
            InputError: it is not there, or outside the folders given.
        """
        try:
            found = Path(self.here, Path(path).expanduser()).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            raise InputError(Fault.of(f"no such path: {path!r}")) from None
        if not any(found == root or root in found.parents for root in self.roots):
            raise InputError(Fault.of(f"{path!r} is outside the folders given at start"))
        return found


def folders_with(given: tuple[str, ...], *files: str) -> list[str]:
    """Return the given folders, and those a few levels below, that hold one of the files; links aside."""
    found: dict[str, None] = {}
    for root in map(Path, given):
        for depth in range(DEEP + 1):
            hits = (hit for file in files for hit in root.glob("/".join([*["*"] * depth, file])))
            for hit in sorted(hits):
                if root.resolve() in hit.resolve().parents:
                    found[str(hit.parent)] = None
    return list(found)
