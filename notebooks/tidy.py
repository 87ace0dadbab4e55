"""Take out of executed notebooks what is only of the moment: progress bars, times, names made by chance.

Usage: python tidy.py NOTEBOOK...
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat

PROGRESS = "application/vnd.jupyter.widget-view+json"
TABLE = re.compile(r"\bT_[0-9a-f]{5}(?=_|\b)")  # the id that pandas draws for a styled table
LOGGED = re.compile(
    r"^[^\n]+: [\d,.]+( of [\d,.]+)? \w[^\n]*( in|,) [\d:]+( left)?\n?", re.M
)  # how far work is


def tidy(path: Path) -> None:
    """Rewrite a notebook without progress bars and times; cells and tables are numbered."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in map(_quiet, cell.outputs) if o is not None]
    text = nbformat.writes(notebook)
    tables = list(dict.fromkeys(TABLE.findall(text)))
    path.write_text(TABLE.sub(lambda found: f"T_{tables.index(found[0])}", text) + "\n", encoding="utf-8")


def _quiet(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Return an output without progress; None where nothing else is left."""
    if PROGRESS in output.get("data", {}):
        return None
    if output.get("name") == "stderr":
        output.text = LOGGED.sub("", output.text)
        return output if output.text else None
    return output


if __name__ == "__main__":
    for name in sys.argv[1:]:
        tidy(Path(name))
