"""SIGINT and SIGTERM end a command with one line and exit code 128 + the signal's number, at any time.

Imported before any slow import, so it uses only what Python itself has imported by then. The signal becomes a
SystemExit, so that open files are closed on the way out. Where that is not safe (during an import, or while
Python starts or stops) the process ends at once, as after `kill -9`: files appear whole or not at all.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

LINE = "stopped; run the same command again to go on"
ENDLESS = frozenset(("app", "serve"))  # commands that run until they are stopped, with nothing to go on with
GRACE_S = 5.0  # after which a command that is still there ends without closing what is open
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stop:
    """The signal that this process received, and whether it can still be unwound."""

    def __init__(self) -> None:
        self.number = 0  # of the signal that came first
        self.ending = False  # nothing of the command is left to close

    @property
    def code(self) -> int:
        return 128 + self.number

    def heard(self, number: int, frame: FrameType | None) -> None:
        """Print the line, once, and exit."""
        if self.number:  # asked twice
            os._exit(self.code)
        self.number = number
        _say_last("stopped" if ENDLESS.intersection(sys.argv[1:2]) else LINE)
        if self.ending or _imports(frame):
            os._exit(self.code)
        self._leave_later()
        raise SystemExit(self.code)

    def _leave_later(self) -> None:
        from threading import Thread
        from time import sleep

        def leave() -> None:
            sleep(GRACE_S)
            os._exit(self.code)

        with suppress(RuntimeError):  # no thread can be started any more
            Thread(target=leave, daemon=True).start()


def _imports(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: compiled ones may end the process over an exception."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _say_last(line: str) -> None:
    """Write a line to standard error and close it, so that nothing more is printed during shutdown."""
    bars = getattr(getattr(sys.modules.get("tqdm.std"), "tqdm", None), "_instances", ())
    begin = "\n" if len(bars) else ""  # a progress bar leaves the cursor where it ends
    with suppress(OSError):
        os.write(2, f"{begin}{line}\n".encode())
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def end_at_once(sig: int, frame: FrameType | None) -> None:
    """Handle a signal by exiting silently, in a process whose parent reports it."""
    os._exit(128 + sig)


def _not_heard_any_more() -> None:
    """Ignore both signals: all is done, and Python is about to put its handlers away."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stops_in_one_line(entered: Callable[[], bool]) -> Iterator[None]:
    """Handle both signals meanwhile, and until the process ends where it was `entered` by this command."""
    stop = _Stop()
    try:
        usual = [signal.signal(number, stop.heard) for number in SIGNALS]
    except ValueError:  # not the main thread, which alone may set handlers
        yield
        return
    if entered():
        atexit.register(_not_heard_any_more)  # the first to be registered, the last to be called
    try:
        yield
    finally:
        if entered():
            stop.ending = True
        else:
            for number, handler in zip(SIGNALS, usual, strict=True):
                signal.signal(number, handler)
        if stop.number:  # whatever else it became on the way here
            raise SystemExit(stop.code)
