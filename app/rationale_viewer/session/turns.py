"""Who computes on a shared model: one at a time, layer by layer in turns, and none whose page has moved on.

Others get their turn in the middle of a pass. So each has a model of its own to change for a while (its
dial, hooks, its attention function); all have the same weights.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Condition
from typing import Any

from torch import nn

from rationale.blackbox import Answer
from rationale.pass_cache import PassCache

LOOK_S = 0.2  # between two looks, while waiting, at whether the result is still wanted


class Turns:
    """A queue: the first computes, who comes is last."""

    def __init__(self) -> None:
        self.queue: deque[Turn] = deque()
        self.moved = Condition()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[Turn]:
        """Wait for a turn; `check` raises where the result is no longer wanted."""
        mine = Turn(self, check)
        try:
            mine.begin()
            yield mine
        finally:
            mine.end()


class Turn:
    """One's place among those who compute.

    `waited` are the seconds spent waiting for others; `passes` are told, so that no method's cost holds them.
    Nobody else is let in while `alone`.
    """

    def __init__(self, turns: Turns, check: Callable[[], None]) -> None:
        self.turns, self.check = turns, check
        self.waited, self.alone = 0.0, False
        self.passes: tuple[PassCache, ...] = ()

    def begin(self) -> None:
        """Wait until all who came before are done, or let others in."""
        moved, queue = self.turns.moved, self.turns.queue
        with moved:
            queue.append(self)
            while queue[0] is not self:
                moved.wait(LOOK_S)
                self.check()

    def end(self) -> None:
        """Leave the queue."""
        with self.turns.moved:
            if self in self.turns.queue:
                self.turns.queue.remove(self)
            self.turns.moved.notify_all()

    def step(self, *_: object) -> None:
        """Stop here where the result is no longer wanted; let others in where some wait."""
        self.check()
        if self.alone or len(self.turns.queue) == 1:
            return
        begin = time.perf_counter()
        self.end()
        self.begin()
        waited = time.perf_counter() - begin
        self.waited += waited
        for passes in self.passes:
            passes.saved -= waited  # a cost is the time that went by and what was saved

    def clock(self) -> float:
        """Return the time in seconds, standing still while others compute."""
        return time.perf_counter() - self.waited

    def asking(self, function: Answer) -> Answer:
        """Return a function of texts that steps before each call."""

        def ask(texts: list[str]) -> Any:
            self.step()
            return function(texts)

        return ask

    @contextmanager
    def stepping(self, model: nn.Module) -> Iterator[None]:
        """Step before each layer of a model: its layers stand in lists."""
        lists = [m for m in model.modules() if isinstance(m, nn.ModuleList)]
        layers: dict[nn.Module, Any] = dict.fromkeys([model, *(layer for each in lists for layer in each)])
        with ExitStack() as hooks:
            for layer in layers:
                hooks.callback(layer.register_forward_pre_hook(self.step).remove)
            yield
