"""Run folders → the CSV tables of the documentation."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from eraser import InputError
from rationale.report import write_run
from scripts.results_table import differences, main, results_table
from tests.helpers.doc_blocks import ROOT
from tests.helpers.made_runs import made
from tests.helpers.scripts import script

SCORES = {
    "right": [[0.9, 0.1, 0.2], [0.1, 0.8, 0.3]] * 3,
    "wrong": [[0.1, 0.9, 0.2], [0.8, 0.1, 0.3]] * 3,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    write_run(*made(SCORES, [{0}, {1}] * 3), folder)
    return folder


def test_a_table_has_the_cells_of_the_summary(run, tmp_path, capsys):
    main([str(run), "--out", str(tmp_path / "t.csv")])
    assert capsys.readouterr().out == f"written: {tmp_path / 't.csv'} (2 rows)\n"
    shown = script("docs_hooks").csv_table(tmp_path / "t.csv")
    assert shown in (run / "summary.md").read_text(encoding="utf-8")
    assert "| right | **1.000** [1.000, 1.000] | **0.000** [0.000, 0.000] |" in shown
    assert "| wrong | 0.000 [0.000, 0.000] | 0.500 [0.500, 0.500] |" in shown


def test_several_runs_are_told_apart(run, tmp_path):
    other = tmp_path / "two"
    write_run(*made(SCORES, [{1}, {0}] * 3), other)
    table = results_table([run, other], "gold")
    assert table[["run", "method"]].to_numpy().tolist() == [
        ["one", "right"], ["one", "wrong"], ["two", "right"], ["two", "wrong"],
    ]  # fmt: skip
    assert [cell.split()[0] for cell in table["token_f1 ↑"]] == ["**1.000**", "0.000", "0.000", "**1.000**"]


def test_several_runs_under_several_budgets_say_which(run, tmp_path):
    evaluation, dataset = made(SCORES, [{1}, {0}] * 3)
    of = {(method, "top=1"): found for (method, _), found in evaluation.predictions.items()}
    write_run(replace(evaluation, budgets=("top=1",), predictions=of), dataset, tmp_path / "two")
    table = results_table([run, tmp_path / "two"])
    assert list(table.columns)[:3] == ["run", "method", "budget"]
    assert table.budget.tolist() == ["gold", "gold", "top=1", "top=1"]


def test_what_is_no_run_or_has_no_such_budget_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder written by `rationale evaluate`, got none"):
        results_table([tmp_path])
    with pytest.raises(InputError, match=r"expected one of this run's budgets: gold, got top=5"):
        results_table([run], "top=5")
    with pytest.raises(SystemExit, match=r"\Aerror: .*expected one of this run's budgets: gold, got top=5"):
        main([str(run), "--out", str(tmp_path / "t.csv"), "--budget", "top=5"])


def test_differences_of_one_method_from_the_others(run, tmp_path, capsys):
    main([str(run), "--against", "wrong", "--out", str(tmp_path / "d.csv")])
    table = pd.read_csv(tmp_path / "d.csv", dtype=str)
    assert table.columns[0] == "wrong minus"
    assert table["wrong minus"].tolist() == ["right"]
    assert table.token_f1.item() == "−1.000 [−1.000, −1.000]"
    assert table.false_positive_rate.item() == "0.500 [0.500, 0.500]"
    (turned,) = differences(run, "right").token_f1
    assert turned == "1.000 [1.000, 1.000]"
    with pytest.raises(SystemExit):
        main([str(run), str(run), "--against", "wrong", "--out", str(tmp_path / "d.csv")])
    assert "--against is of one run" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected a method and a budget of this run, got none, None"):
        differences(run, "none")


def test_every_committed_table_is_shown_on_a_page_and_can_be_read():
    folder = ROOT / "docs" / "results"
    pages = "".join(page.read_text(encoding="utf-8") for page in folder.glob("*.md"))
    shown = re.findall(r"^\[table: ([\w.-]+)\]\(\1\)$", pages, flags=re.M)
    assert sorted(shown) == sorted(file.name for file in folder.glob("*.csv"))
    for name in shown:
        table = pd.read_csv(folder / name, dtype=str)
        assert len(table) > 1, name
        assert table.columns.is_unique, name
