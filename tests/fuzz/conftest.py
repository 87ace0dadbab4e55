from __future__ import annotations

import pytest

from tests.fuzz.spoil import Tried


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all inputs of a module: a new one for each would take longer than they do."""
    return tmp_path_factory.mktemp("fuzz")


def pytest_terminal_summary(terminalreporter):
    if Tried.inputs:
        refused = Tried.inputs - Tried.answers
        terminalreporter.write_line(f"fuzz: {Tried.inputs} inputs, {refused} of them refused")
