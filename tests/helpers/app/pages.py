"""Pages of the viewer, opened without a browser."""

from __future__ import annotations

import json
from pathlib import Path

import rationale_viewer.pages

SCRIPT = str(Path(rationale_viewer.pages.__file__).parent / "viewer.py")
TEXT = "a warm , moving film . never dull , and the cast is a joy"


def checked(at):
    assert not at.exception, at.exception[0].message
    return at


def keyed(elements, key):
    return next(e for e in elements if e.key == key)


def markup(at):
    return " ".join(e.proto.body for e in at.get("html"))


def component(at, key="words"):
    """What the component of that key was given."""
    found = next(c for c in at.get("bidi_component") if key in c.proto.id)
    return json.loads(found.proto.json)
