"""Keep freed memory for the next step.

glibc hands large freed blocks back to the kernel and faults them in again, page by page, for the next
batch. `benchmarks/freed_memory.py` measures what keeping them saves in time and costs in memory.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # <malloc.h>


def keep_freed_memory() -> None:
    """Tell glibc never to use mmap for tensors and never to trim the heap; a no-op elsewhere."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)  # as a size_t: never
        mallopt(M_TOP_PAD, 64 * 2**20)


def peak_megabytes(run: Callable[[], object], device: torch.device) -> float:
    """Return how much more memory a run held at its peak than was held before; NaN where unknown.

    On CUDA the memory that torch allocated; on Linux the resident memory, after returning freed memory.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - held) / 2**20
    if not sys.platform.startswith("linux"):
        return float("nan")
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name)))
