"""A cache of passes that several methods share, with what each cost.

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

    `saved` sums the seconds of cached answers: a method's cost is the time it took plus what it saved, so
    that it does not depend on which method ran first. `logits`, if not None, caches the logits of single
    windows. Their last digits depend on the batch, so an evaluation, which must give the same numbers when it
    is resumed, does without. `device` is where they are computed, if it is known.
    """

    answers: dict[Hashable, tuple[Any, float]] = field(default_factory=dict)
    logits: dict[bytes, Any] | None = None
    saved: float = 0.0
    device: torch.device | None = None


def now(device: torch.device | None = None) -> float:
    """Return the time in seconds when all work asked of a GPU is done, by default of the current one."""
    if torch.cuda.is_available() and (device is None or device.type == "cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def once(passes: PassCache | None, key: Hashable, compute: Callable[[], T]) -> T:
    """Return the cached answer for the key, computed if it is missing; without `passes`, always computed."""
    if passes is None:
        return compute()
    if key in passes.answers:
        known: tuple[T, float] = passes.answers[key]
        passes.saved += known[1]
        return known[0]
    begin = now(passes.device)
    answer = compute()
    passes.answers[key] = (answer, now(passes.device) - begin)
    return answer
