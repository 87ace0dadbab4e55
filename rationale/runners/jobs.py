"""What another process needs in order to compute parts of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from eraser import Fault, InputError
from eraser.data.custom.options import ImportOptions
from eraser.files.whole import write_json
from eraser.load import load
from eraser.progress import silent
from rationale.evaluation.plan import plan
from rationale.explanations.of_run import Missing, read_imports
from rationale.hf.memory import keep_freed_memory
from rationale.named import load_named
from rationale.settings import EvaluateSettings, StreamSettings
from rationale.stream import stream
from rationale.text_classifier import TextClassifier

if TYPE_CHECKING:
    from rationale.bench.suite import SuiteRun


class Work(Protocol):
    """A run whose settings were checked: chunks, each computed on its own."""

    def __len__(self) -> int:
        """The number of chunks."""

    @property
    def device(self) -> torch.device:
        """Where the models are."""

    def compute(self, number: int) -> None:
        """Compute the parts of one chunk that the run's folder lacks."""


@dataclass(frozen=True)
class Job:
    """A run as plain values; paths must lead to the same files on every worker.

    `threads` are each worker's: sums of floats may depend on it.
    """

    settings: Any
    folder: str
    labels: tuple[str, ...] | None = None
    threads: int = 1

    @staticmethod
    def settings_type() -> type:
        """Return the class of its settings."""
        raise NotImplementedError

    def open(self, device: str | None = None) -> Work:
        """Load data and models; return the run."""
        raise NotImplementedError

    def models(self, device: str | None) -> tuple[TextClassifier, TextClassifier | None]:
        """Return the model and, where there is one, the model that other methods explain."""
        s = self.settings
        how: dict[str, Any] = {n: getattr(s, n) for n in ("max_length", "long_texts", "precision")}
        how |= {"device": device or s.device}
        names = (m for m in (s.model, s.dense) if m is not None)
        model, *dense = (load_named(m, self.labels, s.mask, how) for m in names)
        return model, dense[0] if dense else None

    def write(self, path: Path) -> None:
        """Write the job for a process that is started with a file's name."""
        write_json(path, {"job": type(self).__name__, **asdict(self)})


@dataclass(frozen=True)
class EvaluateJob(Job):
    """`rationale evaluate`."""

    data: str | None = None
    explanations: tuple[str, ...] = ()
    missing: Missing = "refuse"
    skip_invalid: bool = False
    encoding: str | None = None
    separator: str | None = None

    @property
    def reading(self) -> ImportOptions:
        """How a file of rows is read."""
        return ImportOptions(skip_invalid=self.skip_invalid, encoding=self.encoding, separator=self.separator)

    @staticmethod
    def settings_type() -> type:  # noqa: D102
        return EvaluateSettings

    def open(self, device: str | None = None) -> Work:  # noqa: D102
        data = None if self.data is None else Path(self.data)
        model, dense = self.models(device)
        s = self.settings
        loaded, folder = load(s.dataset, data, split=s.split, how=self.reading), Path(self.folder)
        return plan(model, loaded, s, folder, dense, imports=read_imports(self.explanations, self.missing))


@dataclass(frozen=True)
class AttributeJob(Job):
    """`rationale attribute`."""

    @staticmethod
    def settings_type() -> type:  # noqa: D102
        return StreamSettings

    def open(self, device: str | None = None) -> Work:  # noqa: D102
        model, dense = self.models(device)
        return stream(model, self.settings, Path(self.folder), dense)


@dataclass(frozen=True)
class SuiteJob(Job):
    """`rationale bench --suite`."""

    @staticmethod
    def settings_type() -> type:  # noqa: D102
        from rationale.bench.suite import Suite

        return Suite

    def open(self, device: str | None = None) -> SuiteRun:  # noqa: D102
        from rationale.bench.suite import SuiteRun

        suite = replace(self.settings, device=device or self.settings.device)
        return SuiteRun(suite, Path(self.folder))


JOBS = {job.__name__: job for job in (EvaluateJob, AttributeJob, SuiteJob)}


def read_job(path: Path) -> Job:
    """Read what `Job.write` wrote."""
    record = json.loads(path.read_text(encoding="utf-8"))
    job = JOBS[record.pop("job")]
    settings = job.settings_type()(**{k: _frozen(v) for k, v in record.pop("settings").items()})
    return job(settings, **{k: _frozen(v) for k, v in record.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@cache
def opened(job: Job, device: str | None = None) -> Work:
    """Return the job's run, opened once in each process."""
    torch.set_num_threads(job.threads)
    keep_freed_memory()
    return job.open(device)


def compute(job: Job, number: int, device: str | None = None) -> tuple[Fault, ...]:
    """Compute one chunk's parts in this process; return the faults of its input."""
    try:
        with silent():  # the parent says how far all workers are
            opened(job, device).compute(number)
    except InputError as error:  # as a value: not every way to a worker and back keeps an exception's type
        return error.faults
    return ()
