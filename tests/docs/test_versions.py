"""The versions that pyproject.toml allows, and those that constraints.txt pins, fit each other."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from rationale import __version__
from tests.helpers.paths import ROOT
from tests.helpers.scripts import script

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def all_requirements():
    return script("lowest").requirements(list(PROJECT["optional-dependencies"]))


def test_every_requirement_says_its_lowest_version():
    lowest = script("lowest")
    assert lowest.lowest("ray[data]>=2.59") == "ray==2.59"
    assert lowest.lowest("torch>=2.11,<2.16") == "torch==2.11"
    assert all("==" in lowest.lowest(line) for line in all_requirements())
    with pytest.raises(ValueError, match=r"\Aexpected NAME>=VERSION, got 'numpy'\Z"):
        lowest.lowest("numpy")


def test_the_lowest_version_is_one_that_is_allowed():
    for line in all_requirements():
        low = script("lowest").lowest(line).split("==")[1]
        assert Requirement(line).specifier.contains(low, prereleases=True), line


def test_a_package_named_twice_has_one_lowest_version():
    found = {}
    for line in all_requirements():
        found.setdefault(plain(Requirement(line).name), set()).add(script("lowest").lowest(line))
    assert {name: lows for name, lows in found.items() if len(lows) > 1} == {}


def test_what_is_pinned_is_allowed():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {plain(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    pinned = [(r, pins[plain(r.name)]) for r in map(Requirement, all_requirements()) if plain(r.name) in pins]
    assert [f"{r} but {version}" for r, version in pinned if version not in r.specifier] == []


def test_the_core_needs_no_model_libraries():
    names = {plain(Requirement(line).name) for line in script("lowest").requirements([])}
    data = {"numpy", "openpyxl", "pandas", "scikit-learn", "scipy"}
    assert names == data | {"msgspec", "platformdirs", "regex", "tqdm", "typer"}


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ({"License-Expression": "MIT", "License": "long"}, "MIT"),
        ({"License": "Apache-2.0\nand more"}, "Apache-2.0"),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, "BSD License"),
        ({}, "not told"),
    ],
)
def test_licences_are_read_wherever_a_package_tells_them(told, licence):
    from email.message import Message

    class Package:
        metadata = Message()

    Package.metadata = Message()
    for key, value in told.items():
        Package.metadata[key] = value
    assert script("audit").licence(Package) == licence


CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN, UNKNOWN], 0, "vulnerabilities: 0 in 1 packages; 1 the service does not know"),
        ([CLEAN, BAD], 1, "b 2: CVE-1\nb 2: CVE-2\nvulnerabilities: 2 in 2 packages; 0 the service"),
        ([UNKNOWN], 3, "vulnerabilities: 0 in 0 packages; 1 the service does not know"),
        (None, 3, "vulnerabilities: not known, since the service did not answer (ConnectionError: x)"),
    ],
)
def test_an_audit_without_an_answer_is_not_a_clean_one(packages, code, said, monkeypatch, capsys):
    audit = script("audit")
    out = "" if packages is None else json.dumps({"dependencies": packages})
    done = subprocess.CompletedProcess([], 1, out, "Traceback\nConnectionError: x")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    assert audit.vulnerabilities() == code
    assert said in capsys.readouterr().out


def test_what_is_installed_is_written_down(monkeypatch, tmp_path, capsys):
    audit = script("audit")
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(audit.subprocess, "run", lambda command, **how: asked.append((command[1:3], how)))
    audit.write_bill()
    assert asked == [(["-m", "cyclonedx_py"], {"check": True})]
    assert capsys.readouterr().out == "written: runs/sbom.json\n"


def test_what_is_checked_elsewhere_is_what_is_checked_here():
    """The hosted checks call the project's own script, on the versions that it says it allows."""
    import yaml

    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert job["steps"][-1]["run"].startswith(".ci/run")
    rows = job["strategy"]["matrix"]["include"]
    assert {row["versions"] for row in rows} == {"pinned", "browser", "lowest", "newest"}
    lowest = Requirement(f"python{PROJECT['requires-python']}")
    assert all(lowest.specifier.contains(row["python"]) for row in rows)
    assert min(row["python"] for row in rows) == PROJECT["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("file", [".github/workflows/check.yml", "CONTRIBUTING.md"])
def test_the_lowest_versions_are_of_everything_that_the_tests_need(file):
    (named,) = re.findall(r"scripts/lowest\.py ([\w ]+) > lowest\.txt", (ROOT / file).read_text())
    (own,) = (r for r in map(Requirement, PROJECT["optional-dependencies"]["dev"]) if r.extras)
    assert {*named.split()} == own.extras | {"models"}


def test_the_version_has_its_notes_and_its_citation():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    heading = f"## {__version__} ({cited['date-released']})"
    assert cited["version"] == __version__
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
