"""Take out of executed notebooks what is only of the moment: progress bars and times of day.

Usage: python tidy.py NOTEBOOK...
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

PROGRESS = "application/vnd.jupyter.widget-view+json"


def tidy(path: Path) -> None:
    """Rewrite a notebook without progress bars and times."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if PROGRESS not in o.get("data", {})]
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        tidy(Path(name))
