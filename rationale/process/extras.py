"""How the libraries that only some commands need are installed."""

from __future__ import annotations


def installs(extra: str) -> str:
    """Return what installs an extra's libraries.

    >>> installs("app")
    "pip install 'rationale-suite[app]' (in a checkout: '.[app]')"
    """
    return f"pip install 'rationale-suite[{extra}]' (in a checkout: '.[{extra}]')"
