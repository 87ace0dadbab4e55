from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eraser import InputError
from eraser.files.content import content_of_examples
from eraser.files.owned import made_whole
from rationale.report.several.compare import (
    COMPARED,
    READABLE,
    compare_runs,
    compared_runs,
    page,
)
from rationale.report.several.runs import common_ids, read_runs
from rationale.report.write import write_run
from tests.helpers.command_line import run
from tests.helpers.made_runs import made, run_folder

F1, FPR, IOU = (
    ("token_f1", "gold", "attention"),
    ("false_positive_rate", "gold", "attention"),
    ("iou_f1_eraser", "gold", "attention"),
)


def numbers(*values: float) -> dict[str, tuple[float, ...]]:
    return {f"e{i}": (value,) for i, value in enumerate(values)}


def compared(folders, metrics=COMPARED) -> pd.DataFrame:
    return compare_runs(read_runs(folders), metrics).set_index(["metric", "method"])


def test_difference_by_hand(tmp_path):
    one = run_folder(tmp_path / "a", {F1: numbers(0.9, 0.5, 0.4), FPR: numbers(0.3, 0.3, 0.1)})
    other = run_folder(tmp_path / "b", {F1: numbers(0.7, 0.3, 0.2), FPR: numbers(0.1, 0.4, 0.1)}, seed=1)
    table = compared([one, other])
    f1 = table.loc[("token_f1", "attention")]
    assert (f1.run, f1.other, f1.budget, f1.n) == (str(one), str(other), "gold", 3)
    assert (f1.value, f1.other_value) == pytest.approx((0.6, 0.4))
    # each example differs by 0.2, so does every resample
    assert (f1.difference, f1.difference_low, f1.difference_high) == pytest.approx((0.2, 0.2, 0.2))
    assert f1.tie  # three examples do not tell
    assert f1.low < 0.6 < f1.high
    fpr = table.loc[("false_positive_rate", "attention")]
    assert fpr.difference == pytest.approx(0.1 / 3)
    assert (fpr.difference_low, fpr.difference_high) == pytest.approx((-0.1, 0.2))  # of one example thrice
    assert fpr.tie


@pytest.mark.parametrize(("n", "tie"), [(1, True), (5, True), (6, False)])
def test_of_fewer_than_six_examples_none_tells_two_runs_apart(tmp_path, n, tie):
    """All of one sign have p = 2^(1-n): 0.06 of five, 0.03 of six."""
    folders = [run_folder(tmp_path / f"{v}", {F1: numbers(*[v] * n)}) for v in (0.9, 0.1)]
    assert compared(folders).loc[("token_f1", "attention")].tie == tie


def test_examples_are_aligned_by_id_not_by_place(tmp_path):
    values = numbers(0.1, 0.5, 0.9)
    turned = dict(reversed(values.items()))
    folders = [run_folder(tmp_path / name, {F1: of}) for name, of in (("a", values), ("b", turned))]
    row = compared(folders).loc[("token_f1", "attention")]
    assert (row.difference, row.difference_low, row.difference_high, row.tie) == (0, 0, 0, True)


def test_only_common_examples_count_and_their_number_is_said(tmp_path):
    folders = [
        run_folder(tmp_path / "a", {F1: numbers(1.0, 0.5, 0.3)}),
        run_folder(tmp_path / "b", {F1: numbers(0.0, 0.5)}),
        run_folder(tmp_path / "c", {F1: {"e9": (1.0,)} | numbers(0.2, 0.2, 0.2)}),
    ]
    runs = read_runs(folders)
    assert common_ids(runs) == ("e0", "e1")
    table = compare_runs(runs)
    assert [(Path(r.run).name, Path(r.other).name) for r in table.itertuples()] == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    assert table.value.tolist() == pytest.approx([0.75, 0.75, 0.25])
    assert table.difference.tolist() == pytest.approx([0.5, 0.55, 0.05])
    first = page(runs, table).splitlines()[0]
    a, b, c = folders
    assert first == f"made test; examples compared: 2 of 3 in {a}, 2 of 2 in {b}, 2 of 4 in {c}."


def test_examples_that_one_run_does_not_define_leave_both(tmp_path):
    accuracy = ("accuracy", "-", "model")
    folders = [
        run_folder(tmp_path / "a", {F1: numbers(1.0, 0.5), accuracy: numbers(1, 1, 1)}),
        run_folder(tmp_path / "b", {F1: {"e1": (0.1,), "e2": (0.9,)}, accuracy: numbers(1, 0, 0)}),
    ]
    table = compared(folders)
    f1 = table.loc[("token_f1", "attention")]
    assert (f1.value, f1.other_value, f1.n) == (0.5, 0.1, 1)
    assert table.loc[("accuracy", "model")].difference == pytest.approx(2 / 3)


def test_metrics_are_folded_as_everywhere(tmp_path):
    """Official IOU F1: F1 of the mean precision, where known, and the mean recall."""
    nan = float("nan")
    folders = [
        run_folder(tmp_path / "a", {IOU: {"e0": (1.0, 0.5), "e1": (nan, 0.0)}}),
        run_folder(tmp_path / "b", {IOU: {"e0": (0.5, 0.5), "e1": (0.5, 0.5)}}),
    ]
    row = compared(folders).loc[("iou_f1_eraser", "attention")]
    assert (row.value, row.other_value) == pytest.approx((2 * 1 * 0.25 / 1.25, 0.5))
    assert row.difference == pytest.approx(-0.1)


def test_what_one_run_alone_measured_stands_alone(tmp_path):
    rollout = ("token_f1", "gold", "rollout")
    folders = [
        run_folder(tmp_path / "a", {rollout: numbers(0.2, 0.4), F1: numbers(1, 1)}),
        run_folder(tmp_path / "b", {F1: numbers(1, 1)}),
    ]
    row = compared(folders).loc[("token_f1", "rollout")]
    assert row.value == pytest.approx(0.3)
    assert np.isnan([row.other_value, row.difference]).all()
    assert row.tie is None
    lines = page(runs := read_runs(folders), compare_runs(runs)).splitlines()
    rows = [line for line in lines if line.startswith("| token_f1")]
    assert "attention" in rows[0]  # what both have stands first
    assert rows[1].endswith("| – | – | 2 |  |")


def test_page_names_the_better_run_whichever_way_is_better(tmp_path):
    ours = {F1: numbers(*[0.9] * 6), FPR: numbers(*[0.5] * 6)}
    theirs = {F1: numbers(*[0.1] * 6), FPR: numbers(*[0.1] * 6)}
    folders = [
        run_folder(tmp_path / "a", ours, budgets=["gold"]),
        run_folder(tmp_path / "b", theirs, budgets=["gold", "own"]),
    ]
    text = page(runs := read_runs(folders), compare_runs(runs))
    a, b = folders
    assert f"| 0.800 [0.800, 0.800] | 6 | {a} better |" in text
    assert f"| 0.400 [0.400, 0.400] | 6 | {b} better |" in text
    assert "| run | budgets |" in text
    assert f"| {b} | gold, own |" in text


def refused(folders, message, metrics=COMPARED):
    with pytest.raises(InputError) as error:
        compared(folders, metrics)
    assert str(error.value) == message


def test_bad_runs_are_refused_in_one_line(tmp_path):
    good = run_folder(tmp_path / "good", {F1: numbers(1, 1)})
    refused([good], "expected at least two runs to compare, got 1")
    refused([good, tmp_path / "good/"], f"expected each run once, got {good}, {good}")
    nowhere = tmp_path / "nowhere"
    a_run = "expected a folder written by `rationale evaluate`, got"
    refused([good, nowhere], f"this run cannot be read: {nowhere}: {a_run} no scores.json there")
    odd = tmp_path / "odd"
    odd.mkdir()
    for text in ("{oops", "[]", '{"run": {}}', '{"run": {"settings": {"dataset": "made"}}}'):
        (odd / "scores.json").write_text(text)
        with pytest.raises(InputError, match=f"^this run cannot be read: {odd}/scores.json: ") as error:
            read_runs([good, odd])
        assert len(str(error.value).splitlines()) == 1


def test_older_and_broken_runs_are_refused(tmp_path):
    good = run_folder(tmp_path / "good", {F1: numbers(1, 1)})
    old = run_folder(tmp_path / "old", {F1: numbers(1, 1)})
    (old / "per_example.parquet").unlink()
    refused(
        [good, old],
        f"{old}: the run is older and has no per_example.parquet; evaluate again into a new folder",
    )
    for content in (b"PAR1", (good / "per_example.parquet").read_bytes()[:-30]):
        (old / "per_example.parquet").write_bytes(content)
        with pytest.raises(InputError, match="expected the per_example.parquet of a run, got"):
            read_runs([good, old])
    pd.DataFrame({"example": ["e0"]}).to_parquet(old / "per_example.parquet")
    with pytest.raises(InputError, match="expected the per_example.parquet of a run, got"):
        read_runs([good, old])


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    one = run_folder(tmp_path / "a", {F1: numbers(1, 1)})
    data = run_folder(tmp_path / "data", {F1: numbers(1, 1)}, dataset="other")
    start, end = f"cannot be compared with {one}: its", "give runs of one data set, split and unit"
    refused([one, data], f"{data}: {start} dataset is 'other', there it is 'made'; {end}")
    split = run_folder(tmp_path / "split", {F1: numbers(1, 1)}, split="val")
    refused([one, split], f"{split}: {start} split is 'val', there it is 'test'; {end}")
    ids = run_folder(tmp_path / "ids", {F1: {"x": (1.0,)}})
    remedy = "evaluate them on the same examples (--split, --limit, --sample, --seed)"
    refused([one, ids], f"no example is in all runs: {one}, {ids}; {remedy}")
    same = run_folder(tmp_path / "same", {F1: numbers(1, 1)})
    refused([one, same], "no run measured sufficiency", ["sufficiency"])
    with pytest.raises(InputError, match="^expected a metric of accuracy, token_f1, .*, got 'token_f2'$"):
        compared([one, same], ["token_f2"])


def test_runs_of_two_models_say_what_can_be_held_against_each_other(tmp_path):
    folders = [run_folder(tmp_path / name, {F1: numbers(1, 0)}, model=name) for name in ("a", "b")]
    runs = read_runs(folders)
    assert "The models differ" in page(runs, compare_runs(runs))
    assert "evaluate each again with leave_one_out" in page(runs, compare_runs(runs))
    assert "The models differ" not in page(runs[:1] * 2, compare_runs(runs))
    key = ("normalised_aopc_sufficiency", "-", "attention")
    with_bounds = [run_folder(tmp_path / f"{n}2", {key: numbers(1, 0)}, model=n) for n in ("a", "b")]
    text = page(runs := read_runs(with_bounds), compare_runs(runs, [key[0]]))
    assert text.endswith("(--metrics normalised_aopc_comprehensiveness,normalised_aopc_sufficiency).\n")


def test_equal_ids_of_other_texts_are_refused(tmp_path):
    evaluations = {"a": [[3.0, 2.0], [1.0, 3.0]], "b": [[3.0, 2.0], [1.0, 3.0]]}
    for name, scores in evaluations.items():
        words = [["fine", "film"], ["dull", "plot"]][:: 1 if name == "a" else -1]
        evaluation, dataset = made({"random": scores}, [{0}, {1}], words=words)
        write_run(evaluation, dataset, tmp_path / name)
        (tmp_path / name / "made.json").unlink()
        of = {"content_of_data": content_of_examples(dataset, dataset.splits["test"])}
        made_whole(tmp_path / name, "evaluate", of)
    a, b = tmp_path / "a", tmp_path / "b"
    told = f"{b}: its ids are those of {a}, but not its texts, labels or rationales: "
    refused([a, b], f"{told}give the data a column of ids, and evaluate again")
    shutil.copytree(a, tmp_path / "c")
    assert len(read_runs([a, tmp_path / "c"])) == 2


def test_rows_that_moved_up_are_refused_as_their_numbers_are_not_ids(tmp_path):
    """films.csv and the same without its first row: 39 of the 40 numbers are shared, each of another text."""
    for name, content in (("a", "one"), ("b", "other")):
        for form, ids in (("rows", "test-00001 test-00002"), ("ids", "x y")):
            of = dict.fromkeys(ids.split()[: 2 if name == "a" else 1], (1.0,))
            facts = json.loads((run_folder(tmp_path / name / form, {F1: of}) / "scores.json").read_text())
            facts["run"]["content_of_split"] = content
            (tmp_path / name / form / "scores.json").write_text(json.dumps(facts))
    a, b = tmp_path / "a" / "rows", tmp_path / "b" / "rows"
    told = f"{b}: its ids are those of {a}, but not its texts, labels or rationales: "
    refused([a, b], f"{told}give the data a column of ids, and evaluate again")
    assert len(read_runs([tmp_path / "a" / "ids", tmp_path / "b" / "ids"])) == 2  # the data's own ids


def test_a_number_undefined_in_both_runs_is_not_of_one_alone(tmp_path):
    undefined = {("token_f1", "top=1", "lime"): numbers(*[np.nan] * 6)}
    shared = {("token_f1", "gold", f"m{i}"): numbers(*[0.5] * 6) for i in range(READABLE)}
    folders = [run_folder(tmp_path / name, undefined | shared) for name in ("a", "b")]
    found = compared_runs(read_runs(folders))
    assert not any("alone" in sentence for sentence in found.summary())
    assert (
        f"Left out: {READABLE} rows that tie, 0 that only one run has, 1 without a number." in found.brief()
    )
    none = [run_folder(tmp_path / f"{name}2", undefined) for name in ("a", "b")]
    (told,) = compared_runs(read_runs(none)).summary()
    assert told == f"{none[0]} and {none[1]} measured nothing of a method that is defined in both."


def test_command_compares_what_evaluate_wrote(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    gold = [{0}, {1, 2}, {0}]
    good = [[3, 2, 1, 0.5], [1, 3, 2, 0.5], [3, 2, 1, 0.5]]
    for name, scores in (("one", good), ("other", [row[::-1] for row in good])):
        evaluation, dataset = made({"attention": scores, "random": good}, gold)
        write_run(evaluation, dataset, Path(name))
    code, out, err = run(capsys, monkeypatch, "compare", "one", "other", "--metrics", "token_f1,accuracy")
    assert (code, err) == (0, "")
    assert "examples compared: 3 of 3 in one, 3 of 3 in other." in out
    assert "| token_f1 ↑ | gold | random | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] | 0.000" in out
    assert Path("runs/compare/compare.md").read_text() in out
    assert out.splitlines()[-2:] == [
        "Of 2 paired differences of methods, 0 clearly favour one, 0 other; 2 are ties.",
        "next: rationale app --run one --run other",
    ]
    table = pd.read_csv("runs/compare/compare.csv").set_index(["metric", "method"])
    row = table.loc[("token_f1", "attention")]
    # turned round, the second example keeps its two words, the others lose their one
    assert (row.value, row.other_value) == pytest.approx((1, 1 / 3))
    assert set(table.index) == {("token_f1", "attention"), ("token_f1", "random"), ("accuracy", "model")}


def test_of_many_rows_a_terminal_shows_answers_and_what_differs(tmp_path):
    of_ties = {("token_f1", "gold", f"m{i}"): numbers(*[0.5, 0.9] * 3) for i in range(READABLE)}
    alone = {("token_f1", "top=1", "only"): numbers(*[1] * 6)}
    answers = {("accuracy", "-", "model"): numbers(*[1, 0] * 3)}
    one = run_folder(tmp_path / "a", of_ties | alone | {F1: numbers(*[1] * 6)} | answers)
    other = run_folder(tmp_path / "b", of_ties | {F1: numbers(*[0] * 6)} | answers)
    found = compared_runs(read_runs([one, other]))
    lines = found.brief().splitlines()
    assert [line.split(" | ")[2] for line in lines if line.startswith(("| token_f1", "| accuracy"))] == [
        "model", "attention"
    ]  # fmt: skip
    assert lines[-1] == f"Left out: {READABLE} rows that tie, 1 that only one run has."
    few = compared_runs(read_runs([one, other]), ["accuracy"])
    assert few.brief() == str(few)
    (only,) = few.summary()  # of methods, which were not asked about, nothing is said
    assert only.startswith("accuracy: ")


def test_command_says_in_one_line_what_is_wrong(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run_folder(Path("a"), {F1: numbers(1, 1)})
    shutil.copytree("a", "b")
    facts = json.loads(Path("b/scores.json").read_text())
    facts["run"]["settings"]["dataset"] = "movies"
    Path("b/scores.json").write_text(json.dumps(facts))
    code, _, err = run(capsys, monkeypatch, "compare", "a", "b", "--out", "c")
    expected = "error: b: cannot be compared with a: its dataset is 'movies', there it is 'made'; give runs "
    assert (code, err) == (2, expected + "of one data set, split and unit\n")
    assert not Path("c").exists()
    assert (
        run(capsys, monkeypatch, "compare", "a")[2] == "error: expected at least two runs to compare, got 1\n"
    )
