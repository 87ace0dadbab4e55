"""Trainings with and without people's marks: what the table says of them, and what is kept on disk."""

from __future__ import annotations

from dataclasses import replace
from shutil import rmtree

import numpy as np
import pytest

from eraser import InputError
from eraser.load import load
from eraser.metrics.bootstrap import difference_over_trainings, estimate_over_trainings
from eraser.metrics.table import f1_of_means
from rationale.hatexplain.settings import ProtocolSettings
from rationale.hf.classifier import save_classifier
from rationale.report.trade_figure import AGAINST, trade_figure
from rationale.reproduce import hatexplain
from rationale.reproduce.hatexplain import Trainings, facts, marks_of, named_models, read_result, results
from rationale.reproduce.hatexplain_table import as_markdown, as_table
from rationale.training.settings import TrainSettings
from tests.conftest import tiny_model
from tests.helpers.eraser.raw_hatexplain import LABELS, write_raw

SETTINGS = TrainSettings(epochs=1, lr=1e-3, batch_size=8, max_length=64, precision="float32", device="cpu")
PROTOCOL = ProtocolSettings(methods=("attention",), units=("words",), device="cpu")
NAMES = ("plain", "both")


@pytest.fixture(scope="module")
def trainings(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hatexplain")
    posts = load("hatexplain", write_raw(folder / "raw", 36))
    (folder / "backbone").mkdir()
    save_classifier(tiny_model("bert", tokenizer, LABELS), tokenizer, folder / "backbone")
    return Trainings(posts, posts, str(folder / "backbone"), folder / "out", (0, 1), PROTOCOL, SETTINGS)


@pytest.fixture(scope="module")
def found(trainings):
    return results(trainings, NAMES)


def row(table, model, method, metric):
    (found,) = table[(table.model == model) & (table.method == method) & (table.metric == metric)].to_dict(
        "records"
    )
    return found


def test_a_row_is_the_mean_over_trainings_with_an_interval_over_both(found):
    table = as_table(found)
    key = ("words", "attention", "iou_f1")
    columns = {name: [r.columns[key] for r in found[name]] for name in NAMES}
    values = [r.scores.set_index(["method", "metric"]).value["attention", "iou_f1"] for r in found["both"]]
    told = row(table, "both", "attention", "iou_f1")
    expected = estimate_over_trainings(columns["both"], f1_of_means)
    apart = difference_over_trainings(columns["both"], columns["plain"], f1_of_means)
    assert told["value"] == pytest.approx(np.mean(values)) == pytest.approx(expected.value)
    assert (told["lowest"], told["highest"]) == (min(values), max(values))
    assert (told["low"], told["high"]) == pytest.approx((expected.low, expected.high))
    assert (told["against_plain"], told["against_plain_low"]) == pytest.approx((apart.value, apart.low))
    assert np.isnan(row(table, "plain", "attention", "iou_f1")["against_plain"])


def test_only_a_model_with_a_head_has_learned_scores_and_auroc_has_extremes_alone(found):
    table = as_table(found)
    assert set(table[table.method == "learned"].model) == {"both"}
    auroc = row(table, "both", "-", "auroc")
    assert auroc["lowest"] <= auroc["value"] <= auroc["highest"]
    assert np.isnan(auroc["low"])


def test_the_table_says_what_it_stands_on(found, trainings):
    shown = as_markdown(as_table(found), facts(trainings, found))
    sizes = {s: len(trainings.test.examples(s)) for s in ("train", "val", "test")}
    assert "train {train}, val {val}, test {test} posts; seeds 0, 1.".format(**sizes) in shown
    assert "| both | learned |" in shown
    assert "Answers: of posts read in words." in shown


def test_numbers_on_disk_need_no_model_and_are_the_same(found, trainings, monkeypatch):
    rmtree(trainings.out / "plain" / "seed-1" / "model")
    monkeypatch.setattr(hatexplain, "train_dense", None)  # whoever calls it fails
    again = results(trainings, ("plain",))["plain"][1]
    before = found["plain"][1]
    assert again.ids == before.ids
    for key, columns in before.columns.items():
        np.testing.assert_array_equal(again.columns[key], columns)
    with pytest.raises(TypeError):  # another training is another work
        results(replace(trainings, settings=replace(SETTINGS, lr=2e-3), out=trainings.out / "x"), ("plain",))


def test_a_trial_says_so_and_makes_room_for_the_whole(found, trainings, monkeypatch):
    """No trial may be taken for the protocol's own row, nor an earlier version's result for one now."""
    one = replace(trainings, seeds=(0,))
    trial = replace(one, protocol=replace(PROTOCOL, limit=9))
    made = results(trial, ("plain",))
    shown = as_markdown(as_table(made), facts(trial, made))
    assert ", test 9 posts;" in shown
    assert "Note: the first 9 posts of test only: not the protocol.\n" in shown
    whole = results(one, ("plain",))["plain"][0]
    assert whole.ids == found["plain"][0].ids
    assert whole.notes == found["plain"][0].notes
    assert results(one, ("plain",))["plain"][0].notes == whole.notes  # as read from disk
    monkeypatch.setattr(hatexplain, "PARTS_VERSION", -1)
    monkeypatch.setattr(hatexplain, "score_protocol", None)  # whoever scores again fails
    with pytest.raises(TypeError):
        results(one, ("plain",))


def test_what_is_no_result_is_refused(found, tmp_path):
    (tmp_path / "scores.csv").write_text("a,b\n1,2\n")
    (tmp_path / "columns.npz").write_bytes(b"no")
    with pytest.raises(InputError, match="not a result of HateXplain's protocol"):
        read_result(tmp_path)
    with pytest.raises(InputError, match="models of plain, attention, both; .*, got 'bert'"):
        named_models("plain,bert")


def test_a_model_may_name_the_weight_of_its_marks():
    assert named_models("plain, both@0.5,attention,plain") == ("plain", "both@0.5", "attention")
    assert marks_of("both@0.5") == replace(marks_of("both"), align_weight=0.5)
    for name in ("plain@1", "bert@1"):
        with pytest.raises(InputError, match=f"after those with marks perhaps a weight.*, got '{name}'"):
            marks_of(name)
    for name in ("both@", "both@much", "both@0", "both@-1", "both@nan", "both@inf"):
        with pytest.raises(InputError, match=f"a weight above 0 and below 1e\\+06 after @, got '{name}'"):
            marks_of(name)


def test_the_figure_has_a_mark_for_each_model_with_its_interval(found):
    table = as_table(found)
    figure = trade_figure(table)
    assert len(figure.axes) == len(AGAINST)
    marks = {mark.get_label(): mark for mark in figure.axes[0].containers}
    assert set(marks) == set(NAMES)
    f1, falls = (row(table, "both", "attention", name) for name in ("token_f1", "comprehensiveness"))
    assert marks["both"].lines[0].get_xydata()[0] == pytest.approx((f1["value"], falls["value"]))
    (across, upward) = (bar.get_segments()[0] for bar in marks["both"].lines[2])
    assert across[:, 0] == pytest.approx((f1["low"], f1["high"]))
    assert upward[:, 1] == pytest.approx((falls["low"], falls["high"]))
    bias = figure.axes[AGAINST.index("gmb_bpsn")].containers
    assert {mark.get_label() for mark in bias} <= set(NAMES)  # without communities there is no bias
