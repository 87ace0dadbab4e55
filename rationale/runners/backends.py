"""RUNNERS: parts of a run are computed in this process, in several on this machine, or on a Ray cluster.

A chunk of examples is a unit of work; its parts are files named by what they depend on (part_files.py). So it
does not matter which worker computed a part, in which order, or how often a worker died.
To add a runner: one function (job, work, workers, address) and a line in RUNNERS.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import chdir, contextmanager
from dataclasses import asdict
from multiprocessing import active_children, get_context
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import torch

from eraser import Fault, InputError
from eraser.files.whole import write_text
from eraser.progress import progress
from rationale.process import children
from rationale.runners.jobs import Job, Work, compute, opened, read_job


def local(job: Job, work: Work, workers: int, address: str | None) -> None:
    """Compute in processes of this machine, or, with one worker, in this process."""
    if workers == 1:
        for number in progress(range(len(work)), "compute", "chunks"):
            work.compute(number)
        return
    others, spawn = set(active_children()), get_context("spawn")
    with (
        children.installed_only(),
        ProcessPoolExecutor(workers, mp_context=spawn, initializer=children.end_with_pool) as pool,
    ):
        try:
            with children.deaf_to_interrupts():
                futures = [pool.submit(compute, job, n) for n in range(len(work))]
            _watch((f.result() for f in as_completed(futures)), len(futures))
        except BaseException as error:
            for process in set(active_children()) - others:
                process.kill()  # what it computes now would be waited for
            if isinstance(error, BrokenProcessPool):
                raise _died(job, error) from None
            raise


def accelerate(job: Job, work: Work, workers: int, address: str | None) -> None:
    """Compute in processes that Accelerate starts, one per GPU of this machine, each every n-th chunk."""
    kind = ["--cpu"] if work.device.type == "cpu" else ["--multi_gpu"] * (workers > 1)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        job.write(file)
        command = [*kind, "--num_machines", "1", "--num_processes", str(workers), "--main_process_port", "0"]
        command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
        command += ["--num_cpu_threads_per_process", str(job.threads)]
        command += ["--module", "rationale.process.children", "-", "rationale.runners.backends", str(file)]
        done = children.run("accelerate.commands.launch", command, stderr=PIPE)
        for found in Path(folder).glob("faults-*.json"):
            raise InputError(*_faults(found.read_text(encoding="utf-8")))
    if done.returncode:
        raise _died(job, done.stderr)


def ray(job: Job, work: Work, workers: int, address: str | None) -> None:
    """Compute on a Ray cluster (Ray Data), one actor per worker; others take over a dead worker's chunks."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray as cluster
    from ray.data import ActorPoolStrategy, DataContext

    on_gpu, chunks = work.device.type == "cuda", len(work)
    own: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    where = TemporaryDirectory()  # as long as the cluster is there
    try:
        _answers(address)
        with _our_surroundings(where.name):
            cluster.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, ValueError, OverflowError) as error:  # also a cluster that wants a token
        raise InputError(Fault.of(f"cannot reach a Ray cluster at {address}: {_last(error)}")) from None
    try:
        DataContext.get_current().enable_progress_bars = False
        numbers = cluster.data.from_items([{"chunk": n} for n in range(chunks)], override_num_blocks=chunks)
        done = numbers.map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=0 if on_gpu else 1,
            num_gpus=1 if on_gpu else 0,
        )
        _watch((_faults(row["faults"]) for row in done.iter_rows()), chunks)
    except cluster.exceptions.RayError as error:
        raise _died(job, error) from None
    finally:
        cluster.shutdown()
        where.cleanup()


@contextmanager
def _our_surroundings(empty: str) -> Iterator[None]:
    """Keep the current folder from Ray, which would put it on its workers' path, and keep our SIGTERM."""
    usual = signal.getsignal(signal.SIGTERM)
    with chdir(empty), children.installed_only():
        try:
            yield
        except SystemExit:  # how Ray takes a SIGTERM while it starts
            signal.signal(signal.SIGTERM, usual)
            signal.raise_signal(signal.SIGTERM)
            raise
        finally:
            signal.signal(signal.SIGTERM, usual)


def _answers(address: str | None) -> None:
    """Raise an OSError at once if nothing listens there: Ray itself retries for minutes."""
    place = urlsplit(f"//{(address or '').removeprefix('ray://')}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=10).close()
    elif address not in (None, "auto", "local"):
        raise ValueError("no host:port")


class _Actor:
    """A worker under Ray: opens the job once, computes the chunks it is given."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"faults": [_text(compute(self.job, int(number))) for number in batch["chunk"]]}


def _watch(done: Iterable[tuple[Fault, ...]], chunks: int) -> None:
    for faults in progress(done, "compute", "chunks", chunks):
        if faults:
            raise InputError(*faults)


def _text(faults: Iterable[Fault]) -> str:
    return json.dumps([asdict(fault) for fault in faults], default=str)


def _faults(text: str) -> tuple[Fault, ...]:
    return tuple(Fault(**record) for record in json.loads(text))


def _died(job: Job, why: object) -> InputError:
    message = f"a worker died: {_last(why)}; finished parts are kept, run the same command again"
    return InputError(Fault.of(message, job.folder))


def _last(output: object) -> str:
    return (str(output).strip().splitlines() or ["no output"])[-1]


Runner = Callable[[Job, Work, int, str | None], None]
RUNNERS: dict[str, Runner] = {"local": local, "accelerate": accelerate, "ray": ray}


def check_runner(name: str, workers: int, address: str | None) -> None:
    """Refuse an unknown runner, no worker, and an address for a runner that has none."""
    rules = (
        (name in RUNNERS, f"a runner of {', '.join(RUNNERS)}", repr(name)),
        (workers >= 1, "at least 1 worker", str(workers)),
        (address is None or name == "ray", "an address for the runner ray alone", f"runner {name}"),
    )
    if faults := [Fault(expected, got) for holds, expected, got in rules if not holds]:
        raise InputError(*faults)


def main(file: str) -> None:
    """Compute this process's share of a job's chunks; started by `accelerate launch`."""
    from accelerate import PartialState

    job = read_job(Path(file))
    state = PartialState(cpu=not torch.cuda.is_available() or job.settings.device == "cpu")
    device = str(state.device) if state.device.type == "cuda" else None
    for number in range(state.process_index, len(opened(job, device)), state.num_processes):
        if faults := compute(job, number, device):
            write_text(Path(file).with_name(f"faults-{number}.json"), _text(faults))
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
