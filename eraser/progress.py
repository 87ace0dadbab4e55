"""Progress of work: a bar on a terminal, an occasional line in a log, nothing on standard output.

Work of less than two seconds prints nothing, in a log nor does work of a single unit. There only the
outermost piece reports its end, and all together write at most one line each half minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from eraser.errors import printable

QUIET_S, EVERY_S = 2.0, 30.0  # nothing is said before; then a line each so many seconds
BYTES = "bytes"
T = TypeVar("T")


class _Log:
    """When this process last printed a line, how many pieces of work are open, whether it may print."""

    last, open, silent = float("-inf"), 0, False


class Progress:
    """A piece of work of `total` units, `done` of which were done before; a context that ends it."""

    def __init__(self, what: str, unit: str, total: int | None = None, done: int = 0) -> None:
        self.what, self.unit, self.total, self.before, self.done = printable(what), unit, total, done, done
        self.begun = time.monotonic()
        self.bar: Any = None  # made when it is time for it: most work is over before

    def __enter__(self) -> Progress:
        _Log.open += 1
        return self

    def add(self, units: int = 1, note: str = "") -> None:
        """Count more units as done; the note stands beside a bar."""
        self.done += units
        if _Log.silent or self._spent() < QUIET_S:
            return
        if sys.stderr.isatty():
            self._draw(note)
        elif time.monotonic() - _Log.last >= EVERY_S and not self._is_all():
            self._say(self._left())

    def _draw(self, note: str) -> None:
        bar = self.bar = self.bar or self._new_bar()
        if note:
            bar.set_postfix_str(note, refresh=False)
        bar.update(self.done - bar.n)

    def _new_bar(self) -> Any:
        unit, scale = ("B", True) if self.unit == BYTES else (f" {self.unit}", False)
        bar = tqdm(
            desc=self.what, total=self.total, initial=self.before, leave=False, unit=unit, unit_scale=scale
        )
        bar.start_t -= self._spent()
        return bar

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _Log.open -= 1
        is_last = kind is None and _Log.open == 0 and self.total != 1
        if self.bar is not None:
            self.bar.close()
        elif is_last and self._spent() >= QUIET_S and not _Log.silent:
            self._say(f" in {clock(self._spent())}")

    def _spent(self) -> float:
        return time.monotonic() - self.begun

    def _is_all(self) -> bool:
        return self.total is not None and self.done >= self.total

    def _left(self) -> str:
        """Return an estimate in words; nothing where there is none.

        There is none below a hundredth: the first unit often pays for a start that no other pays for.
        """
        here = self.done - self.before
        if self.total is None or here <= 0 or 100 * here < self.total - self.before:
            return ""
        each = self._spent() / here
        return f", {clock(each * (self.total - self.done))} left"

    def _say(self, more: str) -> None:
        _Log.last = time.monotonic()
        scale, unit = (1e6, "MB") if self.unit == BYTES else (1, self.unit)
        of = "" if self.total is None else f" of {self.total / scale:,.0f}"
        sys.stderr.write(f"{self.what}: {self.done / scale:,.0f}{of} {unit}{more}\n")
        sys.stderr.flush()


def progress(items: Iterable[T], what: str, unit: str, total: int | None = None) -> Iterator[T]:
    """Yield items, and say how far they are; `total` where they have no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(what, unit, total) as shown:
        for item in items:
            yield item
            shown.add()


@contextmanager
def silent() -> Iterator[None]:
    """Print nothing in this context: in a worker, whose parent reports the progress of all."""
    before, _Log.silent = _Log.silent, True
    try:
        yield
    finally:
        _Log.silent = before


def say(line: str) -> None:
    """Write a line to standard error, above the bars."""
    tqdm.write(printable(line), file=sys.stderr)


def clock(seconds: float) -> str:
    """Return a time in minutes and seconds, or in hours.

    >>> clock(41.2), clock(83), clock(3723)
    ('0:41', '1:23', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
