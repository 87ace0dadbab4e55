"""Every pass once: what methods share, and what the first asking cost.

One forward pass with attention weights gives five methods' scores, one backward pass four; the texts that
leave_one_out reads are some of those that kernel SHAP draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

T = TypeVar("T")


@dataclass
class PassCache:
    """Answers by key with the seconds each cost, for as long as a run works on the same texts.

    `saved` sums the seconds of answers taken from here: a method's own cost is the time it took and what it
    saved, whoever asked first. `logits` is for `window_logits`, window by window, where it is not None: the
    last digits of a window's logits depend on the batch it was read in, so that an evaluation, which must
    give the same numbers when it is gone on with, does without.
    """

    answers: dict[Hashable, tuple[Any, float]] = field(default_factory=dict)
    logits: dict[bytes, Any] | None = None
    saved: float = 0.0


def now() -> float:
    """Return the time in seconds when all work asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def once(passes: PassCache | None, key: Hashable, compute: Callable[[], T]) -> T:
    """Return the answer of that key, computed where it is not known; without `passes`, always computed."""
    if passes is None:
        return compute()
    if key in passes.answers:
        known: tuple[T, float] = passes.answers[key]
        passes.saved += known[1]
        return known[0]
    begin = now()
    answer = compute()
    passes.answers[key] = (answer, now() - begin)
    return answer
