"""Make docs/families.json, what the docs say of model families, from what `make test-families` found.

    python -m scripts.model_families REPORT.xml docs/families.json

The report is pytest's JUnit XML; a test says there of which family it is, and what it saw refused and why.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from tests.helpers.families.classifiers import FAMILIES

LIBRARIES = ("torch", "transformers", "tokenizers", "captum")


def table(report: Path) -> dict[str, object]:
    """Return versions and, for each family, its model type, how many tests passed, and what is refused."""
    passed: Counter[str] = Counter()
    refused: dict[str, dict[str, str]] = {name: {} for name in FAMILIES}
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            raise SystemExit(f"{report}: {case.get('name')} failed; no table is made")
        found = {p.get("name"): str(p.get("value")) for p in case.iter("property")}
        if (family := found.get("family")) is not None and case.find("skipped") is None:
            passed[family] += 1
            refused[family] |= json.loads(found.get("refused", "{}"))
    if untried := [name for name in FAMILIES if not passed[name]]:
        raise SystemExit(f"{report}: no test of {', '.join(untried)}; no table is made")
    families = {
        name: {"model_type": family.kind, "tests": passed[name], "refused": refused[name]}
        for name, family in FAMILIES.items()
    }
    return {"versions": {name: version(name) for name in LIBRARIES}, "families": families}


if __name__ == "__main__":
    made = table(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
