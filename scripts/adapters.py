"""Tests how objects of other libraries are read, each in an environment of its own beside `.venv`.

`python -m scripts.adapters [NAME …]` makes `.venv-adapters/NAME`, which sees what `.venv` has (torch is not
installed again), installs the library there, and runs its tests. One that cannot be installed is told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-adapters"
LIBRARIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # what is installed; what without its pins
    "captum": ((), ()),  # one of the models' own libraries
    "shap": (("shap",), ()),
    "lime": (("lime",), ()),
    "inseq": (("inseq",), ()),
    "interpreto": (("interpreto",), ()),
    # its pins (transformers below 5, numpy below 2, …) fit nothing of today; it runs with newer ones
    "ferret": (
        ("shap", "lime", "datasets", "joblib", "seaborn", "spacy", "overrides", "jsonnet"),
        ("ferret-xai", "thermostat-datasets", "opencv-python-headless", "pytreebank"),
    ),
}


def main(names: list[str]) -> int:
    """Test these libraries, all by default; return how many did not pass."""
    failed = [name for name in names or LIBRARIES if not passes(name)]
    for name in failed:
        sys.stderr.write(f"{name}: not passed\n")
    return len(failed)


def passes(name: str) -> bool:
    """Install a library in its own environment and run its tests there."""
    folder = HOME / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        shared = folder / "lib" / version / "site-packages" / "shared.pth"
        shared.write_text(sysconfig.get_paths()["purelib"] + "\n")
        with_pins, without = LIBRARIES[name]
        installs = [with_pins] * bool(with_pins) + [("--no-deps", *without)] * bool(without)
        if not all(installed(python, packages) for packages in installs):
            return False
    command = [str(python), "-m", "pytest", "-q", "-o", "addopts=", "-o", "filterwarnings=", "-m", "adapters"]
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "app")))}
    test = f"tests/adapters/test_{name}.py"
    return subprocess.run([*command, test], cwd=ROOT, env=os.environ | paths).returncode == 0


def installed(python: Path, packages: tuple[str, ...]) -> bool:
    """Install packages; return whether that was possible."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    return subprocess.run(command, cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
