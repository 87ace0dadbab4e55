"""Doctests as code on the documentation site: a docstring's paragraphs that begin with `>>>` are fenced."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", flags=re.M)


class Doctests(Extension):
    """Fences the doctests of every docstring that is shown."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Fence those of one module, class or function."""
        if obj.docstring is not None:
            obj.docstring.value = DOCTEST.sub(lambda m: f"```pycon\n{m[0]}\n```", obj.docstring.value)
