"""A p value beside comprehensiveness and sufficiency: in a table, and in a run's report and files."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import rationale
from rationale.cli import app
from rationale.report.page import inside_words
from rationale.trusting.contract import Finding, TestResult
from rationale.trusting.inside import inside_table, notes_of


def found(method, p_without, p_only, outcome="told"):
    sides = {
        side: {"p": p, "rejected": {"value": 0.25}}
        for side, p in zip(("without", "only"), (p_without, p_only), strict=True)
    }
    return Finding("distribution", method, 0.25, 0.1, 0.5, 12, outcome, "Cannot tell: no luck.", sides)


def result(*findings):
    return TestResult("distribution", findings, 1.0, 2, 0)


def test_a_row_for_each_method_and_measure_and_a_warning_where_it_rejects():
    asked = result(found("a", 0.5, 0.04), found("b", 0.01, 1e-6))
    table = inside_table(asked.findings)
    assert table.to_dict("records") == [
        {"method": m, "metric": metric, "p": p, "rejected": 0.25, "n": 12, "outside": p < 0.05}
        for m, metric, p in (
            ("a", "comprehensiveness", 0.5),
            ("a", "sufficiency", 0.04),
            ("b", "comprehensiveness", 0.01),
            ("b", "sufficiency", 1e-6),
        )
    ]
    assert inside_words(table) == {
        ("a", "comprehensiveness"): "p = 0.5",
        ("a", "sufficiency"): "p = 0.04 ⚠",
        ("b", "comprehensiveness"): "p = 0.01 ⚠",
        ("b", "sufficiency"): "p = 1e-06 ⚠",
    }
    where = "it is asked about texts outside the model's distribution (p below 0.05 of the first 12 texts)"
    assert notes_of(table, asked) == (f"sufficiency of a, b: {where}", f"comprehensiveness of b: {where}")


def test_no_warning_where_none_is_rejected():
    asked = result(found("a", 0.5, 0.05))
    assert notes_of(inside_table(asked.findings), asked) == (
        "texts with words taken out are not told from whole ones (of the first 12 texts)",
    )


def test_what_cannot_be_told_has_no_row_and_says_why():
    asked = result(found("a", 0.5, 0.01, "cannot tell"))
    table = inside_table(asked.findings)
    assert table.empty
    assert notes_of(table, asked) == (
        "whether the model knows texts with words taken out cannot be told: no luck",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    chosen = ["--methods", "position,random", "--limit", "12", "--inside", "--out", str(folder)]
    asked = CliRunner().invoke(app, ["evaluate", *chosen], catch_exceptions=False)
    assert asked.exit_code == 0, asked.output
    return folder, asked.output


def test_a_run_tells_it_in_its_report_its_tables_and_its_summary(run):
    folder, output = run
    table = pd.read_csv(folder / "inside.csv")
    alone = table[table.metric == "sufficiency"]
    assert len(table) == 4
    assert list(table.n) == [12] * 4
    assert alone.outside.all()  # a few words are unlike a review: see test_distribution
    page = (folder / "report.html").read_text()
    for row in alone.itertuples():
        assert f"<small>p = {row.p:.2g} ⚠</small>" in page
    warning = "sufficiency of position, random: it is asked about texts outside the model's distribution"
    told = json.loads((folder / "scores.json").read_text())["run"]["notes"]
    for where in (output, (folder / "summary.md").read_text(), page.replace("&#39;", "'"), "".join(told)):
        assert warning in where


def test_a_run_that_was_not_asked_says_so(run):
    folder, _ = run
    again = ["--methods", "position,random", "--limit", "12", "--overwrite", "--out", str(folder)]
    assert CliRunner().invoke(app, ["evaluate", *again]).exit_code == 0
    page = (folder / "report.html").read_text()
    assert "was not tested; <code>rationale evaluate --inside</code> tests it" in page
    assert not (folder / "inside.csv").exists()


def test_from_python(classifier):
    few = rationale.evaluate(classifier, "sample", ["position"], budget="ratio", limit=4)
    assert few.inside.empty  # fewer than eight texts
    run = rationale.evaluate(classifier, "sample", ["position"], budget="ratio", limit=8)
    assert list(run.inside.metric) == ["comprehensiveness", "sufficiency"]
    assert list(run.inside.outside) == list(run.inside.p < 0.05)
