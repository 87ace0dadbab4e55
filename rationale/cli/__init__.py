"""The entry point of the command `rationale`: signals are handled before any slow import.

The commands are in commands.py; its names, such as `app`, can be imported from here.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from rationale.process.stopping import stops_in_one_line

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Run the command line; bad input gives one line per fault on standard error, and exit code 2."""
    _fill_closed_streams()
    with stops_in_one_line(_is_entry):
        here = sys.modules[__name__]
        import_module("rationale.cli.commands").run(here.app)


def _fill_closed_streams() -> None:
    """Give a process that was started with a closed stream a null one: else its number is a file's, soon."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # as the least number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (as long as the process)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _is_entry() -> bool:
    """Return whether this process was started for the command."""
    return getattr(sys.modules["__main__"], "main", None) is main


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # Python itself asks for these when a module is imported
        raise AttributeError(name)
    return getattr(import_module("rationale.cli.commands"), name)
