"""The documentation site: it builds without a warning, and asks the network for nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from eraser.metrics.table import METRICS
from rationale.attribution import METHODS
from rationale.training.recipes.table import RECIPES
from tests.helpers.doc_blocks import ROOT

pytest.importorskip("mkdocs", reason="needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site, warnings as errors (mkdocs.yml), with every proxy closed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    for file in pages:
        text = file.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]*\srel=\"(?:stylesheet|preload|preconnect)\"[^>]*>", text)
        assert not [x for x in loaded if "//" in x.replace("data:", "")], file
        assert 'class="mermaid"' not in text, file  # for which the theme would fetch a script
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.slow
def test_tables_are_those_of_the_code(site):
    tables = page(site, "reference/tables")
    for name in (*METHODS, *METRICS, *(f"train {name}" for name in RECIPES)):
        assert f"<code>{name}</code>" in tables, name
    assert "made:" not in tables
    commands = page(site, "reference/commands")
    for name in ("rationale evaluate", "rationale train dense", "rationale data import"):
        assert name in commands, name
    assert "<code>--max-length</code>" in commands


@pytest.mark.slow
def test_equations_are_mathml_without_tex_left(site):
    science = page(site, "science")
    equations = re.findall(r"<math.*?</math>", science, flags=re.S)
    assert len(equations) >= 14
    assert "$$" not in science
    assert not re.search(r"\\[a-zA-Z]", "".join(equations))


@pytest.mark.slow
def test_docstrings_and_the_start_of_the_readme_are_there(site):
    assert "evaluates explanations of text classifiers" in page(site, "index")
    reference = page(site, "reference/rationale")
    for name in ("explanation.explain", "attribution.attribute", "hf.load_classifier"):
        assert f'id="rationale.{name}"' in reference, name
    assert '<span class="gp">' in reference  # doctests, as code


@pytest.mark.slow
def test_search_knows_recipes_and_methods_and_the_page_can_be_dark(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["title"] for entry in index["docs"]}
    assert {"Which method should I trust?", "Find wrong predictions"} <= titles
    assert {"Debug a spurious word", "Make it faster"} <= titles
    tables = next(e["text"] for e in index["docs"] if e["location"] == "reference/tables.html#methods")
    assert all(name in tables for name in METHODS)
    separator = re.compile(index["config"]["separator"])
    assert "gradients" in separator.split("integrated_gradients")
    assert 'title="Dark mode"' in page(site, "index")


@pytest.mark.slow
def test_tables_of_results_are_those_of_their_files(site):
    shown = page(site, "results/hatexplain")
    assert "[table:" not in shown
    assert "<strong>0.515</strong> [0.505, 0.526]" in shown  # attention's token F1
