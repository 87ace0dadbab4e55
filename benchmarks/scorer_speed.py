"""How long scoring 4,848 MultiRC predictions takes beside the official ERASER scorer, and how much memory.

Each run is a fresh process that does the whole job: read the predictions (plain .jsonl), gold and documents
(an unpacked folder), score, write JSON. Counted are its CPU seconds, user and system, and its peak memory.
The official scorer is run the same way where a checkout of https://github.com/jayded/eraserbenchmark is
given; otherwise its recorded CPU seconds stand in, which come from another run and perhaps another machine.
With --before, a checkout of this project as it was, its runs alternate with ours.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
STEM = "multirc_visible"
TARGET = 40

OURS = """
import json, sys
from pathlib import Path
from eraser.data.source import Source
from eraser.official.scorer import score_official

folder, predictions, scores = map(Path, sys.argv[1:])
found = score_official(Source(folder), "test", predictions)
scores.write_text(json.dumps(found, indent=4, sort_keys=True))
"""


@dataclass(frozen=True)
class Job:
    """Unpacked input of a run."""

    folder: Path
    predictions: Path

    @property
    def temporary(self) -> Path:
        """Where runs may write."""
        return self.predictions.parent

    def scores(self, name: str) -> Path:
        """Return where a scorer writes its output."""
        return self.temporary / f"{name}_scores.json"


@dataclass(frozen=True)
class Usage:
    """What one process used."""

    cpu_s: float
    peak_mb: float


def unpack(golden: Path, data: Path, temporary: Path) -> Job:
    """Write the input as plain files, as the official scorer reads it."""
    with tarfile.open(data / "multirc.tar.gz") as archive:
        archive.extractall(temporary, filter="data")
    predictions = temporary / "predictions.jsonl"
    packed = golden / "scorer" / f"{STEM}_predictions.jsonl.gz"
    with gzip.open(packed) as source, predictions.open("wb") as target:
        shutil.copyfileobj(source, target)
    return Job(temporary / "multirc", predictions)


def measure(command: list[str], path: Path, job: Job) -> Usage:
    """Run a fresh process; modules are compiled once, as they are when a package is installed."""
    settings = {"PYTHONPATH": str(path), "PYTHONPYCACHEPREFIX": str(job.temporary / "compiled")}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | settings
    process = subprocess.Popen(
        command, env=environment, cwd=job.temporary, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.decode()[-2000:]}")
    return Usage(usage.ru_utime + usage.ru_stime, peak_mb(usage))


def peak_mb(usage: resource.struct_rusage) -> float:
    """Return peak memory in MB; Linux counts it in KiB, macOS in bytes."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def ours(job: Job) -> list[str]:
    """Return the command of this project's scorer."""
    return [sys.executable, "-c", OURS, str(job.folder), str(job.predictions), str(job.scores("our"))]


def official(job: Job) -> list[str]:
    """Return the command of the official scorer."""
    options = {
        "--data_dir": job.folder,
        "--split": "test",
        "--results": job.predictions,
        "--score_file": job.scores("official"),
    }
    arguments = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-W", "ignore", "-m", "rationale_benchmark.metrics", *arguments]


def difference(found: Any, expected: Any) -> float:
    """Return the largest difference of two numbers of the same place."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), (found.keys(), expected.keys())
        return max(difference(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return max(difference(a, b) for a, b in zip(found, expected, strict=True))
    return float(abs(found - expected))


def report(name: str, runs: Sequence[Usage]) -> float:
    """Print a line and return the median CPU seconds."""
    seconds = [run.cpu_s for run in runs]
    median, peak = statistics.median(seconds), max(run.peak_mb for run in runs)
    print(
        f"{name:9} CPU s: best {min(seconds):6.3f}, median {median:6.3f} of {len(runs)} runs; "
        f"peak memory {peak:.0f} MB"
    )
    return median


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--golden", type=Path, default=os.environ.get("RATIONALE_GOLDEN") or SHARED / "golden"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("RATIONALE_DATA") or SHARED / "data")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--official", type=Path, help="checkout with rationale_benchmark/metrics.py")
    parser.add_argument("--official-runs", type=int, default=1)
    parser.add_argument("--before", type=Path, help="checkout of this project at an earlier commit")
    parser.add_argument("--timings", type=Path, help="recorded CPU seconds; default: the golden ones")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    chosen = options()
    golden, data = Path(chosen.golden), Path(chosen.data)
    with tempfile.TemporaryDirectory() as temporary:
        job = unpack(golden, data, Path(temporary))
        checkouts = [ROOT, *([chosen.before.resolve()] if chosen.before else [])]
        for checkout in checkouts:  # compiled once
            measure(ours(job), checkout, job)
        rounds = [[measure(ours(job), checkout, job) for checkout in checkouts] for _ in range(chosen.runs)]
        runs, *before = zip(*rounds, strict=True)
        scores = json.loads(job.scores("our").read_text())
        expected = json.loads((golden / "scorer" / f"{STEM}_official_scores.json").read_text())
        print(f"largest difference from the official scores: {difference(scores, expected):.1e}")
        median = report("eraser", runs)
        for its in before:
            print(f"{median / report('before', its):.2f} of the CPU seconds before")
        if chosen.official:
            checkout = chosen.official.resolve()
            theirs = [measure(official(job), checkout, job) for _ in range(chosen.official_runs)]
            their_median, how = report("official", theirs), "measured now, the same way"
        else:
            timings = chosen.timings or golden / "scorer" / "timings.json"
            recorded = json.loads(timings.read_text())[f"{STEM}_modern"]
            their_median, how = statistics.median(recorded["cpu_s"]), "recorded in another run"
            print(f"official  CPU s: median {their_median:6.3f}, {how}")
        ratio = their_median / median
        print(f"{ratio:.1f} times as fast as the official scorer, {how} (target: {TARGET})")


if __name__ == "__main__":
    main()
