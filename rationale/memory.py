"""Keep freed memory for the next step.

glibc hands large freed blocks back to the kernel and faults them in anew, page by page, for the next
batch. `benchmarks/freed_memory.py` measures what keeping them saves in time and costs in memory.
"""

from __future__ import annotations

import ctypes
import sys

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
