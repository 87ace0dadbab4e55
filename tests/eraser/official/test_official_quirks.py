from __future__ import annotations

import gzip
import json
import shutil
from math import isnan, nan

import numpy as np
import pytest

from eraser.data.source import Source
from eraser.errors import InputError
from eraser.official.records import ScorerInputs, ScorerOptions
from eraser.official.scorer import score_official, score_records
from tests.helpers.eraser.prediction_files import (
    COMP,
    SCORES,
    SUFF,
    annotation,
    assert_same,
    evidence,
    prediction,
    rationale,
    write_lines,
    write_source,
)


def score(annotations, predictions, words=10, sentences=None, **given_settings):
    """Score in memory; every document has one sentence of `words` words unless `sentences` says otherwise."""
    doc_ids = {r["docid"] for p in predictions for r in p["rationales"]}
    doc_ids |= {e["docid"] for a in annotations for group in a["evidences"] for e in group}
    lengths = dict.fromkeys(doc_ids, sentences or (words,))
    return score_records(
        ScorerInputs(annotations, lengths, list(enumerate(predictions, start=1))),
        ScorerOptions(**given_settings),
    )


def test_two_halves_of_one_gold_span_give_recall_2_and_f1_above_1():
    found = score([annotation("a", "X", ("d", 0, 10))], [prediction("a", rationale("d", [(0, 5), (5, 10)]))])
    (iou,) = found["iou_scores"]
    assert iou["micro"] == {"p": 1.0, "r": 2.0, "f1": pytest.approx(4 / 3)}
    assert iou["macro"] == iou["micro"]
    assert found["rationale_prf"]["instance_micro"] == {"p": 0.0, "r": 0.0, "f1": 0}
    assert found["token_prf"]["instance_micro"] == {"p": 1.0, "r": 1.0, "f1": 1.0}


def test_equal_scores_with_half_of_the_words_gold_earn_three_quarters():
    found = score([annotation("a", "X", ("d", 0, 5))], [prediction("a", rationale("d", soft=[0.3] * 10))])
    assert found == {"token_soft_metrics": {"auprc": 0.75, "average_precision": 0.5, "roc_auc_score": 0.5}}


@pytest.mark.parametrize(("libraries", "auprc"), [("modern", (0.5 + 1) / 2), ("pinned", nan)])
def test_text_without_gold_earns_half_or_with_the_old_libraries_nan(libraries, auprc):
    found = score(
        [annotation("a", "X", ("d", 0, 3)), annotation("b", "X")],
        [
            prediction("a", rationale("d", soft=[0.9, 0.8, 0.7] + [0.1] * 7)),
            prediction("b", rationale("d", soft=[0.9] * 10)),
        ],
        libraries=libraries,
    )
    expected = {"auprc": auprc, "average_precision": 1.0, "roc_auc_score": 1.0}
    assert_same(found["token_soft_metrics"], expected)


def test_macro_iou_f1_is_the_f1_of_two_means_over_different_pairs():
    found = score(
        [annotation("a", "X", ("d", 0, 4)), annotation("b", "X", ("d", 0, 4), ("d", 6, 8))],
        [prediction("a", rationale("d", [(0, 4)])), prediction("c", rationale("d", [(0, 4)]))],
    )
    # predictions: a 1/1, c 0/1; gold: a 1/1, b 0/2
    assert found["iou_scores"][0]["macro"] == {"p": 0.5, "r": 0.5, "f1": 0.5}
    assert found["iou_scores"][0]["micro"] == {"p": 0.5, "r": 1 / 3, "f1": pytest.approx(0.4)}
    assert found["rationale_prf"]["instance_macro"] == {
        "p": pytest.approx(1 / 3),
        "r": pytest.approx(1 / 3),
        "f1": pytest.approx(1 / 3),
    }


def test_groups_are_one_pool_and_repeated_spans_count_once():
    gold = annotation("a", "X", ("d", 0, 2))
    gold["evidences"] = [[evidence("d", 0, 2)], [evidence("d", 0, 2), evidence("d", 4, 6)]]
    found = score([gold], [prediction("a", rationale("d", [(0, 2), (0, 2)]))])
    assert found["rationale_prf"]["instance_micro"] == {"p": 1.0, "r": 0.5, "f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize("libraries", ["modern", "pinned"])
def test_classification_block(libraries):
    def instance(id, label, before, after, **more):
        fields = {"classification": label, SCORES: {"X": before, "Y": 1 - before}}
        return prediction(id, **fields, **{COMP: {"X": after, "Y": 1 - after}}, **more)

    found = score(
        [annotation("a", "X", ("d", 0, 1)), annotation("b", "Y", ("d", 0, 1)), annotation("c", "Y")],
        [instance("a", "X", 0.75, 0.5), instance("b", "X", 0.5, 0.5), instance("c", "Y", 0.25, 0.25)],
        libraries=libraries,
    )["classification_scores"]
    number = float if libraries == "modern" else int
    x = {"precision": 0.5, "recall": 1.0, "f1-score": 2 / 3, "support": 1}
    y = {"precision": 1.0, "recall": 0.5, "f1-score": 2 / 3, "support": 2}
    overall = {"accuracy": 2 / 3} if libraries == "modern" else {}
    micro = {} if overall else {"micro avg": {**dict.fromkeys(x, 2 / 3), "support": 3}}
    assert_same(
        found["prf"],
        {
            "X": x,
            "Y": y,
            "macro avg": {"precision": 0.75, "recall": 0.75, "f1-score": 2 / 3, "support": 3},
            "weighted avg": {"precision": 5 / 6, "recall": 2 / 3, "f1-score": 2 / 3, "support": 3},
            **overall,
            **micro,
        },
    )
    assert {type(row["support"]) for key, row in found["prf"].items() if key != "accuracy"} == {number}
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) - np.log(2)
    kl = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert found["comprehensiveness"] == pytest.approx(0.25 / 3)
    assert found["comprehensiveness_entropy"] == pytest.approx(entropy / 3)
    assert found["comprehensiveness_kl"] == pytest.approx(kl / 3)
    rest = ("sufficiency", "sufficiency_entropy", "sufficiency_kl", "aopc_thresholds")
    assert [found[key] for key in rest] == [None] * 4


def thresholded(*drops, label="X", scores=0.9):
    """A prediction of label X with score 0.9 that each threshold lowers by a drop (comp) or half of it."""
    return {
        "classification": label,
        SCORES: {label: scores},
        COMP: {label: 0.5},
        SUFF: {label: 0.5},
        "thresholded_scores": [
            {"threshold": t, COMP: {label: scores - d}, SUFF: {label: scores - d / 2}} for t, d in drops
        ],
    }


def test_aopc_points_ascend_while_thresholds_stay_as_given():
    found = score(
        [annotation("a", "X"), annotation("b", "X")],
        [
            prediction("a", **thresholded((0.9, 0.4), (0.1, 0.2), (0.7, 9))),
            prediction("b", **thresholded((0.1, 0.0), (0.7, 9), (0.9, 0.2))),
        ],
        aopc_thresholds=(0.9, 0.1),
    )["classification_scores"]
    assert found["aopc_thresholds"] == [0.9, 0.1]
    assert found["comprehensiveness_aopc_points"] == pytest.approx([0.1, 0.3])
    assert found["comprehensiveness_aopc"] == pytest.approx(0.2)
    assert found["sufficiency_aopc_points"] == pytest.approx([0.05, 0.15])


def test_odd_distributions_give_infinity_and_nan_without_a_warning():
    fields = {"classification": "X", SCORES: {"X": 1, "Y": 0}, COMP: {"X": 0, "Y": 2, "Z": -1}}
    found = score([annotation("a", "X")], [prediction("a", **fields, **{SUFF: {"X": 0, "Y": nan}})])
    found = found["classification_scores"]
    assert found["comprehensiveness"] == 1
    assert found["comprehensiveness_entropy"] == np.inf  # 0 - -inf
    assert found["comprehensiveness_kl"] == np.inf
    assert isnan(found["sufficiency_entropy"])
    assert isnan(found["sufficiency_kl"])


def test_extra_label_lowers_the_macro_average_only():
    gold = [annotation("a", "X"), annotation("b", "X")]
    said = [
        prediction("a", classification="X", **{SCORES: {}}),
        prediction("b", classification="normal", **{SCORES: {}}),
    ]
    with pytest.raises(
        InputError, match=r"predictions:2: b: expected one of the labels \['X'\], got 'normal'"
    ):
        score(gold, said)
    found = score(gold, said, extra_labels=("normal",))["classification_scores"]["prf"]
    assert found["normal"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0.0}
    assert found["macro avg"]["recall"] == pytest.approx(0.25)
    assert found["weighted avg"]["recall"] == pytest.approx(0.5)


def test_extra_label_must_be_predicted_and_foreign_to_gold():
    gold, said = [annotation("a", "X")], [prediction("a", classification="X", **{SCORES: {}})]
    with pytest.raises(InputError, match="extra label 'normal' is never predicted"):
        score(gold, said, extra_labels=("normal",))
    with pytest.raises(
        InputError, match=r"gold: expected an extra label, not one of gold's \['X'\], got 'X'"
    ):
        score(gold, said, extra_labels=("X",))


def test_sentence_evidence_minus_one_marks_nothing_and_other_negatives_count_from_the_end():
    gold = [annotation("a", "X", evidence("d", 0, 1, -1, -1), evidence("d", 0, 1, -1, 1))]
    said = [prediction("a", rationale("d", sentences=[0.9, 0.1, 0.8]))]
    found = score(gold, said, sentences=(1, 1, 1))["sentence_soft_metrics"]
    assert found["roc_auc_score"] == 1.0  # gold: the last and the first


def test_of_a_document_given_twice_the_last_soft_scores_count_and_all_spans():
    gold = [annotation("a", "X", ("d", 0, 2), ("d", 4, 6))]
    right, wrong = [1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]
    said = [prediction("a", rationale("d", [(0, 2)], wrong), rationale("d", [(4, 6)], right))]
    found = score(gold, said, words=6)
    assert found["token_soft_metrics"]["roc_auc_score"] == 1.0
    assert found["rationale_prf"]["instance_micro"]["r"] == 1.0


def test_first_prediction_decides_the_blocks():
    gold = [annotation("a", "X", ("d", 0, 2)), annotation("b", "X", ("d", 0, 2))]
    with_spans, without = rationale("d", [(0, 2)]), rationale("d", [])
    assert score(gold, [prediction("a", with_spans), prediction("b", without)]).keys() >= {"token_prf"}
    assert score(gold, [prediction("a", without), prediction("b", with_spans)]) == {}
    assert score(gold, [prediction("a"), prediction("b", with_spans)]) == {}


def test_lists_and_arrays_of_soft_scores_are_the_same():
    gold, soft = [annotation("a", "X", ("d", 0, 2))], [3, 1, 2, True]
    as_list = score(gold, [prediction("a", rationale("d", soft=soft))], words=4)
    array = np.array(soft, dtype=np.float64)
    assert as_list == score(gold, [prediction("a", rationale("d", soft=array))], words=4)


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────

GOLD = [annotation("a", "X", ("d", 0, 2))]
SAID = [prediction("a", rationale("d", [(0, 2)], [0.9, 0.8, 1e-05, -0.25]))]


def test_packed_and_plain_files_and_archives_are_the_same(tmp_path):
    source = write_source(tmp_path / "set", GOLD, {"d": "one  two\n\n three four \n"})
    plain = write_lines(tmp_path / "p.jsonl", SAID)
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    expected = score(GOLD, SAID, words=4)
    assert score_official(source, "test", plain) == expected
    assert score_official(source, "test", packed) == expected
    packed_set = shutil.make_archive(str(tmp_path / "set"), "gztar", tmp_path, "set")
    assert score_official(Source(tmp_path / packed_set), "test", plain) == expected


def test_documents_of_one_file_are_cut_differently(tmp_path):
    """Blank lines and double spaces are empty words there, so the same text is longer."""
    folder = tmp_path / "set"
    folder.mkdir()
    write_lines(folder / "docs.jsonl", [{"docid": "d", "document": "one  two\n\n three"}])
    write_lines(folder / "test.jsonl", GOLD)
    said = [prediction("a", rationale("d", soft=[1, 1, 0, 0, 0], sentences=[0.5, 0.5, 0.5]))]
    found = score_official(Source(folder), "test", write_lines(tmp_path / "p.jsonl", said))
    assert found["token_soft_metrics"]["auprc"] == 1.0


def test_output_is_json_and_the_command_lines_options_pass(tmp_path):
    source = write_source(tmp_path, GOLD, {"d": "one two three four"})
    path = write_lines(tmp_path / "p.jsonl", SAID)
    found = score_official(source, "test", path, iou_thresholds=(0.1, 0.9))
    assert [entry["threshold"] for entry in json.loads(json.dumps(found))["iou_scores"]] == [0.1, 0.9]
    with pytest.raises(InputError, match=r"p.jsonl:1: a: strict scoring needs a classification"):
        score_official(source, "test", path, strict=True)
    with pytest.raises(InputError, match=r"at least one IOU and one AOPC threshold is needed"):
        score_official(source, "test", path, iou_thresholds=())
    with pytest.raises(InputError, match=r"expected libraries modern or pinned, got 'newest'"):
        score_official(source, "test", path, libraries="newest")


def test_ten_thousand_spans_of_one_text():
    """Each of 2 words, half of it gold: IOU 1/3. All pairs of them at once would take gigabytes."""
    spans = [("d", 3 * n, 3 * n + 2) for n in range(10_000)]
    picked = [(start + 1, end + 1) for _, start, end in spans]
    found = score(
        [annotation("a", "X", *spans)],
        [prediction("a", rationale("d", picked))],
        words=30_000,
        iou_thresholds=(0.33, 0.34),
    )
    assert [iou["micro"] for iou in found["iou_scores"]] == [
        {"p": 1.0, "r": 1.0, "f1": 1.0},
        {"p": 0.0, "r": 0.0, "f1": 0},
    ]
    assert found["token_prf"]["instance_micro"] == {"p": 0.5, "r": 0.5, "f1": 0.5}


def test_a_gold_span_around_others_is_compared_with_spans_after_them():
    gold = annotation("a", "X", ("d", 0, 9), ("d", 1, 2), ("d", 3, 4))
    found = score([gold], [prediction("a", rationale("d", [(5, 10)]))], iou_thresholds=(0.4, 0.41))
    assert [iou["micro"]["p"] for iou in found["iou_scores"]] == [1.0, 0.0]  # 4 of 10 words
