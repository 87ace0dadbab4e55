"""Say which installed packages have known vulnerabilities, and under which licences they all are.

What is installed is also written down as a software bill of materials (CycloneDX), runs/sbom.json.

Exit code 1: there are vulnerabilities. 3: the service that knows of them did not answer, or knows none of the
packages, so nothing is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import Distribution, distributions
from pathlib import Path

UNREACHED = 3
BILL = Path("runs/sbom.json")


def licence(package: Distribution) -> str:
    """Return what a package says its licence is, in a few words."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return expression
    classes = [c.split(" :: ")[-1] for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    first = next(iter((told.get("License") or "").strip().splitlines()), "")
    return ", ".join(classes) or first[:60] or "not told"


def print_licences() -> None:
    """Print each licence with the packages that are under it."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in distributions():
        found[licence(package)].add(f"{package.metadata['Name']} {package.version}")
    for name, packages in sorted(found.items()):
        print(f"{name} ({len(packages)}): {', '.join(sorted(packages, key=str.lower))}")


def write_bill() -> None:
    """Write down what is installed, as other tools read it."""
    BILL.parent.mkdir(exist_ok=True)
    options = ("environment", "--output-format", "JSON", "--output-file", str(BILL))
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *options], check=True)
    print(f"written: {BILL}")


def vulnerabilities() -> int:
    """Print what the service knows of the installed packages; return the exit code."""
    options = ("--skip-editable", "--progress-spinner", "off", "--timeout", "20", "--format", "json")
    command = [sys.executable, "-m", "pip_audit", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "no answer")
        print(f"vulnerabilities: not known, since the service did not answer ({last[:200]})")
        return UNREACHED
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    bad = [(p["name"], p["version"], v["id"]) for p in packages for v in p.get("vulns", ())]
    for name, version, vulnerability in bad:
        print(f"{name} {version}: {vulnerability}")
    audited = len(packages) - len(skipped)
    print(f"vulnerabilities: {len(bad)} in {audited} packages; {len(skipped)} the service does not know")
    if not audited:  # a mirror that is asked in the service's place knows none
        return UNREACHED
    return int(bool(bad))


if __name__ == "__main__":
    print_licences()
    write_bill()
    sys.exit(vulnerabilities())
