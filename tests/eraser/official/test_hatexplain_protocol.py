from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import auc, precision_recall_curve

from eraser import Ablation, Document, Example, InputError, Prediction
from eraser.data.source import Source
from eraser.load import load
from eraser.official.hatexplain_protocol import score_hatexplain
from eraser.official.scorer import score_official
from eraser.types import runs
from tests.helpers.eraser.hate_posts import dataset_of, five_of, parsed, post, said, scored_posts
from tests.helpers.paths import data, golden
from tests.oracles import spans as oracle

checked = settings(deadline=None, derandomize=True, database=None, max_examples=50)


def score(posts: list[tuple[Example, Document]], *predictions: Prediction) -> dict[str, float]:
    dataset = dataset_of(*posts)
    return score_hatexplain(dataset, dataset.splits["test"], predictions)


# Worked by hand. Eight words, gold 0 1 and 5; the five best are 0 1 2 5 7, each a span

EIGHT = post("p0", 8, (0, 2), (5, 6))
BEST = [0.9, 0.8, 0.7, 0.1, 0.0, 0.6, 0.2, 0.5]
NUMBERS = ("IOU F1", "Token F1", "AUPRC", "Comprehensiveness", "Sufficiency")


def test_five_words_are_five_spans_and_both_halves_of_a_gold_span_hit_it():
    found = score([EIGHT], said("p0", BEST))
    p, r = 3 / 5, 3 / 2  # words 0, 1 and 5; the recall of two gold spans is above 1
    assert found["IOU F1"] == pytest.approx(2 * p * r / (p + r))
    assert found["Token F1"] == pytest.approx(2 * 3 / (5 + 3))
    # precision 1, 1, 2/3, 3/4 at recall 1/3, 2/3, 2/3, 1
    assert found["AUPRC"] == pytest.approx(2 / 3 + (2 / 3 + 3 / 4) / 2 / 3)
    assert found["n"] == 1
    assert list(found) == [*NUMBERS, "n"]


def test_a_gold_span_of_three_words_is_never_hit():
    assert score([post("p0", 5, (0, 3))], said("p0", [5, 4, 3, 2, 1]))["IOU F1"] == 0


def test_macro_numbers_over_two_posts():
    found = score([EIGHT, post("p1", 6, (0, 4))], said("p0", BEST), said("p1", [1, 2, 3, 4, 5, 6]))
    p, r = (3 / 5 + 0) / 2, (3 / 2 + 0) / 2
    assert found["IOU F1"] == pytest.approx(2 * p * r / (p + r))
    assert found["Token F1"] == pytest.approx((6 / 8 + 2 * 3 / (5 + 4)) / 2)
    assert found["n"] == 2


def test_of_equal_scores_the_later_words_are_picked():
    equal = [0.5] * 7
    assert score([post("p0", 7, (2, 7))], said("p0", equal))["Token F1"] == 1
    assert score([post("p0", 7, (0, 2))], said("p0", equal))["Token F1"] == 0


def test_of_fewer_than_five_words_all_are_picked():
    assert score([post("p0", 3, (0, 3))], said("p0", [0.3, 0.1, 0.2]))["Token F1"] == 1


def test_what_the_prediction_itself_picked_does_not_matter():
    assert score([EIGHT], said("p0", BEST, picked=(3, 4))) == pytest.approx(
        score([EIGHT], said("p0", BEST)), nan_ok=True
    )


def test_normal_posts_are_left_out_whether_predicted_or_not():
    posts = [post("n", 3, label="normal"), EIGHT]
    alone = score([EIGHT], said("p0", BEST))
    assert score(posts, said("p0", BEST)) == pytest.approx(alone, nan_ok=True)
    assert score(posts, said("n", [1, 1, 1]), said("p0", BEST)) == pytest.approx(alone, nan_ok=True)


def test_a_toxic_post_that_nobody_marked_counts_as_in_the_scorer():
    found = score([EIGHT, post("p1", 6)], said("p0", BEST), said("p1", [1, 2, 3, 4, 5, 6]))
    p, r = (3 / 5 + 0) / 2, 3 / 2  # precision over both posts, recall over the one with gold
    assert found["IOU F1"] == pytest.approx(2 * p * r / (p + r))
    assert found["Token F1"] == pytest.approx((6 / 8 + 0) / 2)
    assert found["AUPRC"] == pytest.approx((2 / 3 + (2 / 3 + 3 / 4) / 2 / 3 + 1 / 2) / 2)


def test_words_that_were_not_read_rank_last_and_are_never_picked():
    found = score([post("p0", 7, (0, 4))], said("p0", [-8, -9, -7, -6, nan, nan, nan]))
    assert found["Token F1"] == 1
    assert found["AUPRC"] == 1


# Comprehensiveness and sufficiency


def ablated(prediction: Prediction, without: float, only: float) -> Prediction:
    """With the probability of its label without, and with only, its rationale."""

    def probs(p: float) -> dict[str, float]:
        rest = dict.fromkeys({"hatespeech", "normal", "offensive"} - {prediction.label}, (1 - p) / 2)
        return rest | {prediction.label: p}

    return replace(prediction, at_rationale=Ablation(0.0, probs(without), probs(only)))


FIVE = (0, 1, 2, 5, 7)


def test_both_are_those_of_the_five_words_and_the_predicted_label():
    found = score(
        [EIGHT, post("p1", 3, (0, 1))],
        ablated(said("p0", BEST, picked=FIVE), 0.1, 0.7),
        ablated(said("p1", [1, 2, 3], "hatespeech", (0, 1, 2)), 0.4, 0.6),
    )
    assert found["Comprehensiveness"] == pytest.approx((0.5 + 0.2) / 2)
    assert found["Sufficiency"] == pytest.approx((-0.1 + 0.0) / 2)


def test_five_words_are_the_best_whichever_of_equals_they_are():
    for picked in ((0, 1, 2, 3, 4), (2, 3, 4, 5, 6), (0, 1, 2, 3, 6)):
        prediction = ablated(said("p0", [0.5] * 7, picked=picked), 0.1, 0.7)
        assert score([post("p0", 7, (0, 1))], prediction)["Comprehensiveness"] == pytest.approx(0.5)


@pytest.mark.parametrize("picked", [(0, 1, 2, 5), (0, 1, 2, 5, 6), (0, 1, 2, 5, 6, 7), ()])
def test_one_rationale_of_other_words_leaves_no_number(picked):
    found = score(
        [EIGHT, post("p1", 3, (0, 1))],
        ablated(said("p0", BEST, picked=picked), 0.1, 0.7),
        ablated(said("p1", [1, 2, 3], picked=(0, 1, 2)), 0.4, 0.6),
    )
    assert isnan(found["Comprehensiveness"])
    assert isnan(found["Sufficiency"])
    assert found["Token F1"] == pytest.approx((6 / 8 + 2 / 4) / 2)


def test_one_post_without_ablation_leaves_no_number():
    found = score(
        [EIGHT, post("p1", 3, (0, 1))],
        ablated(said("p0", BEST, picked=FIVE), 0.1, 0.7),
        said("p1", [1, 2, 3], picked=(0, 1, 2)),
    )
    assert isnan(found["Comprehensiveness"])
    assert isnan(found["Sufficiency"])


def test_unread_words_are_not_of_the_best_five():
    scores = [0.3, nan, 0.2, nan]
    for picked, defined in (((0, 2), True), ((0, 1, 2), False), ((0, 1, 2, 3), False)):
        found = score([post("p0", 4, (0, 1))], ablated(said("p0", scores, picked=picked), 0.1, 0.7))
        assert isnan(found["Comprehensiveness"]) != defined


@pytest.mark.parametrize("label", ["normal", "hatespeech", "offensive"])
def test_any_of_the_three_labels_may_be_predicted_and_none_need_be(label):
    """The scorer of HateXplain fails where no prediction is normal, or one is of a label that gold lacks."""
    found = score([EIGHT], ablated(said("p0", BEST, label, FIVE), 0.5, 0.7))
    assert (found["Comprehensiveness"], found["Sufficiency"]) == pytest.approx((0.1, -0.1))


# Against the slow rewrite


@checked
@given(scored_posts())
def test_numbers_are_those_of_the_slow_rewrite(drawn):
    gold, predicted, areas = set(), set(), []
    for number, (marked, scores) in enumerate(drawn):
        gold |= {(number, s.start, s.end) for s in runs(np.array(marked))}
        best = sorted(range(len(scores)), key=lambda word, scores=scores: scores[word])[-5:]
        predicted |= {(number, word, word + 1) for word in best}
        if any(marked):
            precision, recall, _ = precision_recall_curve(marked, scores)
            areas.append(auc(recall, precision))
        else:
            areas.append(0.5)
    found = score(
        [
            post(f"p{n}", len(marked), *((s.start, s.end) for s in runs(np.array(marked))))
            for n, (marked, _) in enumerate(drawn)
        ],
        *(said(f"p{n}", scores) for n, (_, scores) in enumerate(drawn)),
    )
    assert found["IOU F1"] == pytest.approx(oracle.iou_score(predicted, gold, 0.5)["macro"]["f1"])
    tokens = oracle.prf(oracle.tokens(predicted), oracle.tokens(gold))
    assert found["Token F1"] == pytest.approx(tokens["instance_macro"]["f1"])
    assert found["AUPRC"] == pytest.approx(np.mean(areas))


# What is refused


def refused(message: str, posts: list[tuple[Example, Document]], *predictions: Prediction) -> None:
    with pytest.raises(InputError, match=rf"^{re.escape(message)}\Z"):
        score(posts, *predictions)


def test_posts_of_which_none_is_toxic():
    message = "no examples labelled hatespeech or offensive"
    refused(message, [post("n", 3, label="normal")], said("n", [1, 2, 3]))


def test_toxic_posts_without_a_prediction():
    message = "predictions: p1: no prediction for this annotation of gold (--skip-invalid scores the rest)"
    refused(message, [EIGHT, post("p1", 3, (0, 1))], said("p0", BEST))
    refused("predictions: no predictions", [EIGHT])


def test_a_post_predicted_twice():
    message = "predictions:2: p0: duplicate annotation_id, first on line 1"
    refused(message, [EIGHT], said("p0", BEST), said("p0", BEST))


def test_scores_and_rationales_of_another_length_and_posts_without_a_score_all_at_once():
    message = "\n".join(
        [
            "p0: expected scores of 8 words, got 9",
            "p0: expected rationale of 8 words, got 9",
            "p1: expected rationale of 3 words, got 2",
            "p2: no word has a score",
        ]
    )
    short = replace(said("p1", [1, 2, 3]), rationale=np.zeros(2, dtype=bool))
    posts = [EIGHT, post("p1", 3, (0, 1)), post("p2", 2, (0, 1))]
    refused(message, posts, said("p0", [*BEST, 1.0]), short, said("p2", [nan, nan]))


def test_posts_of_two_documents():
    example, document = EIGHT
    second = replace(example, doc_ids=("p0", "p1"))
    message = "p0: expected a post of one document, got 2"
    refused(message, [(second, document), post("p1", 1)], said("p0", [*BEST, 1.0]), said("p1", [1]))


def test_labels_that_gold_does_not_know():
    message = "predictions:1: p0: expected one of the labels ['offensive'], got 'rude'"
    refused(message, [EIGHT], said("p0", BEST, "rude"))


# The real data


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    with gzip.open(golden() / "scorer" / "hatexplain3_visible_predictions.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def test_real_predictions_score_as_a_file_of_five_spans_each_does_officially(records, tmp_path):
    """Gold, documents and spans come by another way: the ERASER form of the data, and a file."""
    for record in records:
        spans = [{"start_token": word, "end_token": word + 1} for word in five_of(record)]
        record["rationales"][0]["hard_rationale_predictions"] = spans
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    source = Source(data("hatexplain_eraser"))
    theirs = score_official(source, "test", path, extra_labels=("normal",))
    expected = {
        "IOU F1": theirs["iou_scores"][0]["macro"]["f1"],
        "Token F1": theirs["token_prf"]["instance_macro"]["f1"],
        "AUPRC": theirs["token_soft_metrics"]["auprc"],
        "Comprehensiveness": theirs["classification_scores"]["comprehensiveness"],
        "Sufficiency": theirs["classification_scores"]["sufficiency"],
        "n": 1142,
    }
    dataset = load("hatexplain", data("hatexplain"), ["test"])
    found = score_hatexplain(dataset, dataset.splits["test"], [parsed(r) for r in records])
    assert found == pytest.approx(expected, abs=1e-12)


def test_what_does_not_hang_on_the_five_spans_is_what_their_scorer_said(records):
    path = golden() / "scorer" / "hatexplain3_visible_official_scores.json"
    theirs = json.loads(path.read_text())
    dataset = load("hatexplain", data("hatexplain"), ["test"])
    found = score_hatexplain(dataset, dataset.splits["test"], [parsed(r) for r in records])
    assert found["AUPRC"] == pytest.approx(theirs["token_soft_metrics"]["auprc"], abs=1e-9)
    for name in ("Comprehensiveness", "Sufficiency"):
        assert found[name] == pytest.approx(theirs["classification_scores"][name.lower()], abs=1e-9)
