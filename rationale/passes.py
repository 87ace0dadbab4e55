"""Every pass once: what a model has already answered, and what the first asking cost.

A run explains the same texts with many methods, and asks the same shortened texts again for the metrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar


class Passes:
    """Answers by key, kept for as long as a run works on the same texts.

    `saved` are the seconds that answers taken from here cost when they were first computed: a method's own
    cost is the time it took and what it saved, whoever asked first.
    """

    def __init__(self) -> None:
        self.answers: dict[Hashable, tuple[Any, float]] = {}
        self.saved = 0.0

    def put(self, key: Hashable, answer: Any, seconds: float) -> None:
        """Remember an answer and what it cost."""
        self.answers[key] = (answer, seconds)

    def take(self, key: Hashable) -> Any:
        """Return a known answer; its cost counts as saved."""
        answer, seconds = self.answers[key]
        self.saved += seconds
        return answer


T = TypeVar("T")


def once(passes: Passes | None, key: Hashable, compute: Callable[[], T]) -> T:
    """Return the answer of that key, computed where it is not known; without `passes`, always computed."""
    if passes is None:
        return compute()
    if key in passes.answers:
        found: T = passes.take(key)
        return found
    begin, before = time.perf_counter(), passes.saved
    answer = compute()
    passes.put(key, answer, time.perf_counter() - begin + passes.saved - before)
    return answer
