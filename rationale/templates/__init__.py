"""HTML from templates that escape every text: the report, and rich display in notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from rationale.templates import palette

TEMPLATES = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals["palette"] = palette


def fragment(template: str, **values: Any) -> str:
    """Return a template of this folder, filled in."""
    return TEMPLATES.get_template(template).render(**values)
