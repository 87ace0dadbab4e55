"""Says of which family a test is, for the table that `make test-families` makes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def of_a_family(request, record_property):
    family = getattr(request.node, "callspec", None) and request.node.callspec.params.get("family")
    if family is not None:
        record_property("family", family)
