"""Print the lowest versions that pyproject.toml allows, as a constraints file for pip.

python scripts/lowest.py            of what the core needs
python scripts/lowest.py models     and of an extra
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    """Return the requirements of the core and of extras, other packages' only."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    found = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    return [line for line in found if not line.startswith(project["name"])]


def lowest(requirement: str) -> str:
    """Return a requirement at its lowest version.

    Raises:
        ValueError: it has none.
    """
    found = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?\s*>=\s*([\d.]+)(?:\s*,.*)?", requirement)
    if found is None:
        raise ValueError(f"expected NAME>=VERSION, got {requirement!r}")
    return f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{lowest(line)}\n" for line in requirements(sys.argv[1:]))
