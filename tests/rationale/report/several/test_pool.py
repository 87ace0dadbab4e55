"""Trainings of one recipe pooled: means, paired differences and refusals, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eraser import InputError
from rationale.report.several.pool import pooled
from tests.helpers.command_line import run
from tests.helpers.made_runs import run_folder

OURS, THEIRS = (("token_f1", "gold", name) for name in ("survivors", "attention"))
ACCURACY = ("accuracy", "-", "model")


def numbers(*values: float) -> dict[str, tuple[float, ...]]:
    return {f"e{i}": (value,) for i, value in enumerate(values)}


@pytest.fixture
def trainings(tmp_path):
    """Two trainings of three texts: the first ahead by 0.2 on each, the second by 0.4."""
    first = {OURS: numbers(0.4, 0.5, 0.6), THEIRS: numbers(0.2, 0.3, 0.4), ACCURACY: numbers(1, 1, 0)}
    second = {OURS: numbers(0.8, 0.9, 1.0), THEIRS: numbers(0.4, 0.5, 0.6), ACCURACY: numbers(1, 1, 1)}
    return [run_folder(tmp_path / f"s{seed}", of, seed=seed) for seed, of in enumerate((first, second))]


def row(table: pd.DataFrame, method: str, metric: str = "token_f1") -> pd.Series:
    (found,) = [r for _, r in table.iterrows() if (r.method, r.metric) == (method, metric)]
    return found


def test_means_and_differences_by_hand(trainings):
    found = pooled(trainings)
    ours, theirs = (row(found.table, name) for name in ("survivors", "attention"))
    assert (ours.value, ours.lowest, ours.highest, ours.n, ours.trainings) == pytest.approx(
        (0.7, 0.5, 0.9, 3, 2)
    )
    assert theirs.value == pytest.approx(0.4)
    # within the first training every text differs by 0.2, within the second by 0.4: only they can vary
    assert theirs.difference == pytest.approx(0.3)
    assert (theirs.difference_low, theirs.difference_high) == pytest.approx((0.2, 0.4))
    assert np.isnan(ours.difference)
    assert row(found.table, "model", "accuracy").value == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(row(found.table, "model", "accuracy").difference)


def test_a_text_counts_where_all_trainings_define_it(tmp_path):
    first = run_folder(tmp_path / "a", {OURS: numbers(0.4, np.nan, 0.6)})
    second = run_folder(tmp_path / "b", {OURS: numbers(0.8, 0.9, 1.0)}, seed=1)
    found = row(pooled([first, second]).table, "survivors")
    assert (found.value, found.n) == pytest.approx((0.7, 2))


def test_a_difference_has_its_own_n_where_the_other_method_is_undefined(tmp_path):
    of = {THEIRS: numbers(0.2, 0.3, 0.4), OURS: numbers(0.4, np.nan, 0.6)}
    found = pooled([run_folder(tmp_path / f"s{seed}", of, seed=seed) for seed in (0, 1)], against="survivors")
    theirs = row(found.table, "attention")
    assert (theirs.n, theirs.difference_n) == (3, 2)
    assert "The column survivors − method: paired, in the same training." in str(found)
    assert "+0.200 [+0.200, +0.200], n = 2 | 3 |" in str(found)


def test_any_method_may_be_compared_with_the_others(trainings):
    table = pooled(trainings, against="attention").table
    assert row(table, "survivors").difference == pytest.approx(-0.3)
    with pytest.raises(InputError, match="a method of survivors, attention, got 'rollout'"):
        pooled(trainings, against="rollout")


def test_runs_of_other_settings_are_no_trainings_of_one_recipe(trainings, tmp_path):
    other = run_folder(tmp_path / "other", {OURS: numbers(0.1, 0.2, 0.3)}, explain_query=True)
    with pytest.raises(InputError, match="trainings of one recipe need the same explain_query"):
        pooled([trainings[0], other])
    with pytest.raises(InputError, match=f"^{other}: trainings of one recipe"):  # not the last
        pooled([trainings[0], other, trainings[1]])


def test_what_is_in_no_or_not_in_all_runs_is_said(trainings, tmp_path):
    with pytest.raises(InputError, match="no metric of iou_f1_eraser is in all runs"):
        pooled(trainings, metrics=("iou_f1_eraser",))
    with pytest.raises(InputError, match="a metric of .*, got 'f2'"):
        pooled(trainings, metrics=("f2",))


def test_the_command_prints_what_it_writes(trainings, tmp_path, capsys, monkeypatch):
    out = tmp_path / "pool"
    code, printed, _ = run(capsys, monkeypatch, "pool", *trainings, "--metrics", "token_f1", "--out", out)
    text = (out / "pool.md").read_text(encoding="utf-8")
    assert code == 0
    assert text.rstrip() in printed
    assert "made test; 2 trainings, 3 examples in all." in text
    assert "survivors − method" in text
    assert "+0.300 [+0.200, +0.400]" in text
    assert len(pd.read_csv(out / "pool.csv")) == 2
    code, _, err = run(capsys, monkeypatch, "pool", trainings[0], "--out", out)
    assert code == 2
    assert err == "error: expected at least two runs to compare, got 1\n"
