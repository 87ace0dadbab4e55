from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.helpers.paths import ROOT


def run(*command, cwd, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | environment
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT))
    done = run(*build, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("*.whl")
    return found


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"eraser", "rationale", "rationale_viewer"}
    for needed in (
        "rationale_viewer/view/words.css", "rationale_viewer/view/frame.css", "rationale_viewer/py.typed",
        "rationale_viewer/pages/viewer.py", "rationale/py.typed", "rationale/templates/report.html",
        "eraser/py.typed", "eraser/sample/test.jsonl", "eraser/sample/docs/a001.txt",
        "eraser/sample/README.md", "rationale/movies_model/model.safetensors",
    ):  # fmt: skip
        assert needed in names
    assert any(n.endswith("LICENSE") for n in names)


def test_the_source_holds_what_a_wheel_is_made_of_and_no_tests(tmp_path):
    """Tests read the checkout: docs, notebooks, benchmarks, scripts, and what git lists."""
    build = (sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    done = run(*build, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(found) as source:
        tops = {name.split("/")[1] for name in source.getnames()}
    assert tops - {".gitignore", "PKG-INFO"} == {
        "app", "eraser", "rationale", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"
    }  # fmt: skip


@pytest.mark.slow
def test_two_builds_are_the_same_to_the_byte(wheel, tmp_path):
    builds = []
    for name in ("one", "other"):
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / name))
        done = run(*build, str(ROOT), cwd=tmp_path, SOURCE_DATE_EPOCH="1700000000")
        assert done.returncode == 0, done.stdout + done.stderr
        builds.append((tmp_path / name / wheel.name).read_bytes())
    assert builds[0] == builds[1]
    dates = {info.date_time for info in zipfile.ZipFile(tmp_path / "one" / wheel.name).infolist()}
    assert dates == {(2023, 11, 14, 22, 13, 20)}


@pytest.mark.slow
def test_installed_wheel_scores_without_torch(wheel, tmp_path):
    assert run(sys.executable, "-m", "venv", "env", cwd=tmp_path).returncode == 0
    python = str(tmp_path / "env/bin/python")
    constraints = str(ROOT / "constraints.txt")
    done = run(python, "-m", "pip", "install", "-q", "-c", constraints, str(wheel), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rationale = str(tmp_path / "env/bin/rationale")
    described = run(rationale, "data", "describe", cwd=tmp_path)
    assert described.returncode == 0, described.stderr
    assert "sample: labels NEG, POS" in described.stdout
    missing = run(rationale, "evaluate", cwd=tmp_path, RATIONALE_CACHE=str(tmp_path / "cache"))
    assert missing.returncode == 2
    expected = (
        "error: torch is not installed: pip install 'rationale-suite[models]' (in a checkout: '.[models]')"
    )
    assert missing.stderr.strip() == expected
    one = (
        '{"annotation_id": "a001.txt", "rationales": [{"docid": "a001.txt", '
        '"hard_rationale_predictions": [{"start_token": 31, "end_token": 37}]}]}\n'
    )
    (tmp_path / "p.jsonl").write_text(one)
    where = run(python, "-c", "import eraser.load as l; print(l.SAMPLE)", cwd=tmp_path).stdout.strip()
    assert where.startswith(str(tmp_path / "env"))
    scored = run(rationale, "score", "--data", where, "--predictions", "p.jsonl", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert '"token_prf"' in scored.stdout
