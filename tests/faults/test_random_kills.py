"""Kills at random moments of every command that writes: the same command goes on, to the same bytes.

Each round takes a command, starts it, and ends it at a random moment: by kill -9, SIGTERM or Ctrl-C. What was
killed is started again, and killed again, and in the end left alone. The seed is printed: RATIONALE_SEED=N
repeats a run; moments then still fall where the machine is at that time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from eraser.files.owned import read_made
from tests.conftest import save_tiny
from tests.faults.processes import tables
from tests.faults.warm import Warm

KILLS = int(os.environ.get("RATIONALE_KILLS", "200"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)  # half of them without warning
IN_A_ROW = 4  # kills of one work before it is left alone
STOPPED = "stopped; run the same command again to go on"
MEASURED = {  # by a clock
    "seconds", "ms", "ms_per_text", "where", "wall", "wall_low", "wall_high", "wall_of_flops",
    "p50_ms", "p99_ms", "batched_ms", "windows_per_s",
    *(f"faster_{how}{end}" for how in ("alone", "batched") for end in ("", "_low", "_high")),
}  # fmt: skip
PLAIN = ("--device", "cpu", "--precision", "float32")
BRIEF = (
    "--dense",
    "{model}",
    "--epochs",
    1,
    "--batch-size",
    2,
    "--tolerance",
    1.0,
    "--data",
    "{data}",
    *PLAIN,
)
GRID = ("--epochs", 1, "--batch-size", 2, "--target", "attention", "--data", "{data}", *PLAIN)
SCORED = ("--methods", "attention,gradient_x_input", "--budget", "ratio", "--chunk", 2, "--data", "{data}")


@dataclass(frozen=True)
class Work:
    """A command, without its --out, and how to read what it made."""

    command: tuple[object, ...]
    result: Callable[[Path], dict[str, Any]]


def bare(value: Any) -> Any:
    """Return what JSON holds without what was measured by a clock."""
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if k not in MEASURED}
    return [bare(v) for v in value] if isinstance(value, list) else value


def files(folder: Path) -> dict[str, Any]:
    """Return all files of a finished folder, byte for byte but for what a clock measured."""
    made = read_made(folder)
    assert made is not None
    assert made.finished
    found: dict[str, Any] = {}
    for name in made.files:
        path = folder / name
        match path.suffix:
            case ".json":
                found[name] = bare(json.loads(path.read_text()))
            case ".csv":
                table = pd.read_csv(path, dtype=str)
                found[name] = table.drop(columns=MEASURED & {*table.columns}).to_csv()
            case ".parquet":
                rows = pq.read_table(path).to_pylist()
                found[name] = [{k: v for k, v in row.items() if k not in MEASURED} for row in rows]
            case ".png":  # of what was measured
                found[name] = path.stat().st_size > 0
            case _:
                found[name] = path.read_bytes()
    left = [f.name for f in folder.rglob("*") if ".partial" in f.name or f.name.startswith("checkpoint")]
    assert not left, left
    return found


WORKS = {
    "evaluate": Work(("evaluate", "--model", "{model}", *SCORED), tables),
    "attribute": Work(
        (
            "attribute",
            "--file",
            "{texts}",
            "--model",
            "{model}",
            "--methods",
            "gradient_x_input",
            "--chunk",
            2,
        ),
        files,
    ),
    "train dense": Work(
        (
            "train",
            "dense",
            "--backbone",
            "{model}",
            "--epochs",
            2,
            "--batch-size",
            2,
            "--data",
            "{data}",
            *PLAIN,
        ),
        files,
    ),
    "train adapler": Work(("train", "adapler", *BRIEF, "--hard-epochs", 1, "--target", "attention"), files),
    "train dact": Work(("train", "dact", *BRIEF), files),
    "train inforcoef": Work(("train", "inforcoef", *BRIEF, "--hard-epochs", 1), files),
    "train prune": Work(("train", "prune", *BRIEF, "--hard-epochs", 1), files),
    "tune adapler": Work(
        ("tune", "adapler", "--dense", "{model}", "--gamma", "0.005,0.5", "--phi", "0.01", *GRID), files
    ),
    "compress": Work(("compress", "--model", "{model}"), files),
    "speeds": Work(
        (
            "speeds",
            "{small}",
            "--dense",
            "{model}",
            "--data",
            "{data}",
            "--windows",
            4,
            "--rounds",
            1,
            "--ways",
            "packed",
            *PLAIN,
        ),
        files,
    ),
    "data import": Work(("data", "import", "--file", "{csv}", "--fractions", "0.5,0.25,0.25"), files),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory, tokenizer, sample, warm):
    """Folders and files that the commands read."""
    here = tmp_path_factory.mktemp("given")
    save_tiny(here / "model", tokenizer)
    rows = [
        {"text": sample.text(e).words, "label": e.label, "id": e.id} for e in sample.examples("train")[:16]
    ]
    table = [{**row, "text": " ".join(row["text"][:30])} for row in rows]
    (here / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    pd.DataFrame(table).to_csv(here / "own.csv", index=False)
    marked = [{**row, "rationale": [[0, 1 + n % 9]]} for n, row in enumerate(table)]
    (here / "marked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in marked))
    files = {"texts": here / "texts.jsonl", "csv": here / "own.csv"}
    data = ("data", "import", "--file", here / "marked.jsonl", "--fractions", "0.5,0.25,0.25")
    data = (*data, "--rationale-form", "tokens", "--out", here / "data")
    finished(warm, data, here / "said")
    folders = {name: here / name for name in ("model", "data", "small")}
    dact = (*filled(WORKS["train dact"].command, folders), "--out", here / "small")
    finished(warm, dact, here / "said")
    return {**folders, **files}


@pytest.fixture(scope="module")
def warm():
    process = Warm()
    yield process
    process.close()


def filled(command: tuple[object, ...], given: dict[str, Path]) -> tuple[object, ...]:
    return tuple(str(part).format(**given) for part in command)


def finished(warm: Warm, command: tuple[object, ...], said: Path) -> tuple[str, float]:
    """Run a command to its good end; return what it said, and how long it took."""
    begin = time.monotonic()
    warm.start(command, said)
    code = warm.wait()
    assert code == 0, (command, code, said.read_text())
    return said.read_text(), time.monotonic() - begin


def killed(warm: Warm, command: tuple[object, ...], said: Path, after: float, how: signal.Signals) -> bool:
    """Start a command and end it after some seconds; return whether it was still at work then."""
    pid = warm.start(command, said)
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.killpg(pid, how)
    code = warm.wait()
    told = said.read_text()
    assert "Traceback" not in told, told
    if code == 0:  # it came too late
        return False
    if how == signal.SIGKILL:
        assert code == -signal.SIGKILL, (code, told)
    else:
        assert code in (128 + how, -how), (code, told)  # -how: before the entry, as Python ends
        assert code == -how or STOPPED in told, told
    return True


def test_kills_at_random_moments(warm, given, tmp_path, capsys):
    seed = int(os.environ.get("RATIONALE_SEED", random.SystemRandom().randrange(10**6)))
    draw = random.Random(seed)
    with capsys.disabled():
        print(f"\nRATIONALE_SEED={seed}, {KILLS} kills")
    expected, took = {}, {}
    for name, work in WORKS.items():
        out = tmp_path / "undisturbed" / name.replace(" ", "-")
        _, took[name] = finished(warm, (*filled(work.command, given), "--out", out), tmp_path / "said")
        expected[name] = work.result(out)
    counted: dict[str, int] = dict.fromkeys(WORKS, 0)
    rounds = 0
    while sum(counted.values()) < KILLS:
        name = min(WORKS, key=lambda n: (counted[n], draw.random()))
        out = tmp_path / f"round-{rounds}"
        command = (*filled(WORKS[name].command, given), "--out", out)
        for _ in range(draw.randint(1, IN_A_ROW)):
            after, how = draw.random() * took[name], draw.choice(SIGNALS)
            counted[name] += killed(warm, command, tmp_path / "said", after, how)
        finished(warm, command, tmp_path / "said")
        assert WORKS[name].result(out) == expected[name], (name, out)
        rounds += 1
    with capsys.disabled():
        print(", ".join(f"{name} {n}" for name, n in counted.items()), f"in {rounds} rounds")


@pytest.mark.parametrize("name", WORKS)
def test_what_is_done_is_said_to_be_and_stays(name, warm, given, tmp_path):
    command = (*filled(WORKS[name].command, given), "--out", tmp_path / "out")
    said, _ = finished(warm, command, tmp_path / "said")
    assert "already done" not in said
    before = WORKS[name].result(tmp_path / "out")
    said, _ = finished(warm, command, tmp_path / "said")
    assert f"already done: {tmp_path / 'out'}" in said
    assert WORKS[name].result(tmp_path / "out") == before
