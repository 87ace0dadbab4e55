"""The clock that passes are timed with."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

CPU = torch.device("cpu")


def clock_on(device: torch.device = CPU) -> tuple[Callable[[], float], str]:
    """Return a clock and its name: on one thread CPU time, which other work on the machine affects less.

    CPU time sums over threads, so with several only the wall clock says how long a user waits.
    """
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return time.process_time, "CPU time"
    return time.perf_counter, "wall-clock time"
