"""HateXplain's numbers post by post: folded they are those of its scorer, and people are the ceiling."""

from __future__ import annotations

import gzip
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from eraser import Ablation, Evidence, Prediction, Span
from eraser.load import load
from eraser.metrics.annotators import human_ceiling
from eraser.metrics.bootstrap import resamples
from eraser.official.hatexplain_columns import FOLDS, protocol_columns, score_columns
from eraser.official.hatexplain_protocol import score_hatexplain, top_five
from eraser.types import runs
from tests.helpers.eraser.hate_posts import dataset_of, parsed, post, said, scored_posts
from tests.helpers.paths import data, golden

checked = settings(deadline=None, derandomize=True, database=None, max_examples=50)
THEIRS = {
    "iou_f1": "IOU F1", "token_f1": "Token F1", "auprc": "AUPRC", "comprehensiveness": "Comprehensiveness",
    "sufficiency": "Sufficiency",
}  # fmt: skip
EIGHT = post("p0", 8, (0, 2), (5, 6))
BEST = [0.9, 0.8, 0.7, 0.1, 0.0, 0.6, 0.2, 0.5]  # the five are 0 1 2 5 7


def folded(columns):
    with np.errstate(invalid="ignore"):
        return {name: float(FOLDS[name](np.nanmean(rows, axis=0))) for name, rows in columns.items()}


def compared(dataset, predictions):
    """Return the columns, whose folded means must be what the scorer says."""
    examples = dataset.splits["test"]
    columns = protocol_columns(dataset, examples, predictions)
    mine, theirs = folded(columns), score_hatexplain(dataset, examples, predictions)
    for name, key in THEIRS.items():
        assert mine.get(name, np.nan) == pytest.approx(theirs[key], abs=1e-12, nan_ok=True), name
    return columns


@checked
@given(scored_posts())
def test_folded_they_are_the_numbers_of_the_scorer(drawn):
    posts = [
        post(f"p{n}", len(marked), *((s.start, s.end) for s in runs(np.array(marked))))
        for n, (marked, _) in enumerate(drawn)
    ]
    compared(dataset_of(*posts), [said(f"p{n}", scores) for n, (_, scores) in enumerate(drawn)])


def test_by_hand_with_erasures_and_a_post_that_nobody_marked():
    rest = {"hatespeech": 0.0, "normal": 0.0}
    at = Ablation(0.0, rest | {"offensive": 0.1}, rest | {"offensive": 0.7})
    first = replace(said("p0", BEST, picked=(0, 1, 2, 5, 7)), at_rationale=at)
    second = replace(said("p1", [1, 2, 3], picked=(0, 1, 2)), at_rationale=at)
    columns = compared(dataset_of(EIGHT, post("p1", 3)), [second, first])
    assert columns["iou_f1"][0].tolist() == [3 / 5, 3 / 2]
    assert columns["iou_f1"][1, 0] == 0
    assert np.isnan(columns["iou_f1"][1, 1])
    assert columns["token_f1"][:, 0].tolist() == [6 / 8, 0]
    assert columns["comprehensiveness"][:, 0] == pytest.approx([0.5, 0.5])
    assert columns["sufficiency"][:, 0] == pytest.approx([-0.1, -0.1])
    # 0 1 2 is one run of three beside gold 0 1: IOU 2/3; 5 hits 5; 7 hits nothing
    assert columns["iou_f1_one_to_one"][0, 0] == pytest.approx(2 * 2 / (3 + 2))
    assert "token_f1_of_ceiling" not in columns


def test_without_erasures_of_the_five_there_is_no_faithfulness():
    columns = compared(dataset_of(EIGHT), [said("p0", BEST)])
    assert not {"comprehensiveness", "sufficiency"} & columns.keys()


def marked_by(example_and_document, *people):
    example, document = example_and_document
    annotators = tuple(frozenset({Evidence(example.id, Span(*span))}) for span in people)
    union = runs(np.any([np.isin(np.arange(8), range(*span)) for span in people], axis=0))
    gold = frozenset({frozenset(Evidence(example.id, span) for span in union)})
    return replace(example, annotators=annotators, gold=gold), document


def test_the_share_of_the_ceiling_is_a_ratio_of_means():
    """One marked 0 1, the other 0 1 2: each against the other, token F1 is 4/5."""
    dataset = dataset_of(marked_by(post("p0", 8), (0, 2), (0, 3)))
    columns = compared(dataset, [said("p0", BEST)])
    assert human_ceiling(dataset, dataset.splits["test"])[0].value == pytest.approx(4 / 5)
    mine = 2 * 3 / (5 + 3)  # gold, the union, is 0 1 2
    assert folded(columns)["token_f1_of_ceiling"] == pytest.approx(mine / (4 / 5))
    assert folded(columns)["iou_f1_one_to_one_of_ceiling"] == pytest.approx((2 * 1 / (3 + 1)) / 1.0)


def test_intervals_are_those_of_drawn_posts():
    posts = [post(f"p{n}", 8, (n, n + 2)) for n in range(6)]
    dataset = dataset_of(*posts)
    columns = compared(dataset, [said(f"p{n}", BEST) for n in range(6)])
    found = {s.metric: s for s in score_columns(columns, seed=3)}
    weights = resamples(6, 3)
    means = np.einsum("rn,nk->rk", weights, columns["iou_f1"]) / weights.sum(1, keepdims=True)
    p, r = means.T
    f1 = np.where(p + r > 0, 2 * p * r / np.where(p + r > 0, p + r, 1), 0)
    expected = np.quantile(f1, [0.025, 0.975])
    assert (found["iou_f1"].low, found["iou_f1"].high) == pytest.approx(tuple(expected))
    assert found["iou_f1"].n == 6


# --- real predictions


@pytest.mark.slow
def test_real_predictions_fold_to_what_the_scorer_says():
    with gzip.open(golden() / "scorer" / "hatexplain3_visible_predictions.jsonl.gz", "rt") as lines:
        predictions = [parsed(json.loads(line)) for line in lines]
    dataset = load("hatexplain", data("hatexplain"), ["test"])
    columns = compared(dataset, predictions)
    n = {s.metric: (s.n, s.left_out) for s in score_columns(columns)}
    assert n["token_f1_of_ceiling"][0] + n["token_f1_of_ceiling"][1] == 1142


def of_record(record, n_tokens):
    """Return a published prediction; of a soft list that does not fit its document the five alone count."""
    (rationale,) = record["rationales"]
    five = [span["start_token"] for span in rationale["hard_rationale_predictions"]]
    picked = np.isin(np.arange(n_tokens), five)
    soft = np.array(rationale["soft_rationale_predictions"], float)
    fits = len(soft) == n_tokens
    scores = soft if fits else picked.astype(float)
    assert not fits or top_five(scores).tolist() == picked.tolist()
    without, only = (record[f"{x}_classification_scores"] for x in ("comprehensiveness", "sufficiency"))
    at = Ablation(0.0, without, only)
    label, probs = record["classification"], record["classification_scores"]
    return Prediction(record["annotation_id"], label, probs, scores, top_five(scores), at)


@pytest.mark.slow
@pytest.mark.parametrize("weight", ["0point001", "1", "10", "100"])
def test_predictions_in_word_pieces_have_the_numbers_their_authors_report(tmp_path, weight):
    """Of 5 of 1,142 posts the soft list is another one: AUPRC may differ by theirs."""
    with tarfile.open(data("predictions_hatexplain_bert", ".tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "predictions_hatexplain_bert"
    dataset = load("posts", folder / "gold")
    lengths = {e.id: len(dataset.text(e).words) for e in dataset.splits["test"]}
    lines = (folder / f"sayani_bert_{weight}" / "predictions.jsonl").read_text().splitlines()
    predictions = [of_record(r, lengths[r["annotation_id"]]) for r in map(json.loads, lines)]
    reported = json.loads((folder / f"sayani_bert_{weight}" / "reported_scores.json").read_text())
    columns = protocol_columns(dataset, dataset.splits["test"], predictions)
    mine, classes = folded(columns), reported["classification_scores"]
    assert mine["iou_f1"] == pytest.approx(reported["iou_scores"][0]["macro"]["f1"], abs=1e-9)
    assert mine["token_f1"] == pytest.approx(reported["token_prf"]["instance_macro"]["f1"], abs=1e-9)
    assert mine["auprc"] == pytest.approx(reported["token_soft_metrics"]["auprc"], abs=5 / 1142)
    for name in ("comprehensiveness", "sufficiency"):
        assert mine[name] == pytest.approx(classes[name], abs=1e-9)
