"""Prediction files and gold, spoilt: whatever `check` finds no fault with is scored, and nothing else is."""

from __future__ import annotations

import gzip
import json
from itertools import zip_longest
from math import isclose

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eraser.data.source import Source
from eraser.official.check import check_predictions, check_records
from eraser.official.records import ScorerInputs, ScorerOptions
from eraser.official.scorer import score_official, score_records, score_valid
from tests.fuzz.spoil import answer_of, check_message, damaged, file_of, fuzz, lines_of
from tests.helpers.eraser.prediction_files import COMP, HARD, SCORES, SOFT, SUFF
from tests.helpers.fuzz.predictions import CLEAN, PREDICTIONS
from tests.helpers.fuzz.tables import TEXTS, filled


def check_and_score(folder, predictions, settings):
    """Both commands agree: scores where there are no faults."""
    source = Source(folder)
    found = check_predictions(source, "test", predictions, settings)
    for warning in found.warnings:
        assert len(str(warning).splitlines()) == 1
    options = {"aopc_thresholds": settings.aopc_thresholds, "strict": settings.strict,
               "extra_labels": settings.extra_labels, "libraries": settings.libraries}  # fmt: skip
    try:
        scores = score_official(source, "test", predictions, **options)
    except ValueError as error:
        check_message(error)
        assert found.faults == error.faults  # noqa: PT017
        raise
    assert not found.faults
    json.dumps(scores)
    valid, left_out = score_valid(source, "test", predictions, settings)
    assert repr(valid) == repr(scores)  # NaN is not NaN
    assert (left_out.why, left_out.wrong, left_out.counts) == ((), (), [])
    return scores


SETTINGS = st.builds(
    ScorerOptions,
    aopc_thresholds=st.sampled_from(((0.01, 0.05, 0.1, 0.2, 0.5), (0.5,))),
    strict=st.booleans(),
    extra_labels=st.sampled_from(((), (), ("normal",), ("POS",))),
    libraries=st.sampled_from(("modern", "pinned")),
)


def written(folder):
    data = folder / "gold"
    if not data.exists():
        filled(data, {f"docs/{id}": text.encode() for id, text in TEXTS.items()})
    return data


def test_what_is_not_spoilt_is_scored(folder):
    data = written(folder)
    (data / "test.jsonl").write_bytes(lines_of(CLEAN))
    (folder / "p.jsonl").write_bytes(lines_of(PREDICTIONS))
    assert "token_prf" in check_and_score(data, folder / "p.jsonl", ScorerOptions())


@fuzz(500)
@given(file_of(PREDICTIONS, 2), SETTINGS)
def test_predictions(folder, predictions, settings):
    data = written(folder)
    (data / "test.jsonl").write_bytes(lines_of(CLEAN))
    (folder / "p.jsonl").write_bytes(predictions)
    answer_of(check_and_score, data, folder / "p.jsonl", settings)


@fuzz(300)
@given(file_of(PREDICTIONS, 2), SETTINGS)
def test_the_rest_of_predictions_is_scored_or_refused(folder, predictions, settings):
    data = written(folder)
    (data / "test.jsonl").write_bytes(lines_of(CLEAN))
    (folder / "p.jsonl").write_bytes(predictions)
    found = answer_of(score_valid, Source(data), "test", folder / "p.jsonl", settings)
    if found is not None:
        scores, left_out = found
        json.dumps(scores)
        assert all(len(line.splitlines()) == 1 for line in left_out.counts)


@fuzz(200)
@given(file_of(CLEAN, 2), file_of(PREDICTIONS, 1))
def test_predictions_and_gold(folder, gold, predictions):
    data = written(folder)
    (data / "test.jsonl").write_bytes(gold)
    (folder / "p.jsonl").write_bytes(predictions)
    answer_of(check_and_score, data, folder / "p.jsonl", ScorerOptions())


@fuzz(60)
@given(damaged(gzip.compress(lines_of(PREDICTIONS), mtime=0)))
def test_packed_predictions(folder, predictions):
    data = written(folder)
    (data / "test.jsonl").write_bytes(lines_of(CLEAN))
    (folder / "p.jsonl.gz").write_bytes(predictions)
    answer_of(check_and_score, data, folder / "p.jsonl.gz", ScorerOptions())


# Right data: what the scores must satisfy

SHARES = st.integers(1, 9).map(lambda n: {"NEG": n / 10, "POS": 1 - n / 10})


@st.composite
def spans(draw, n):
    """Spans in n words that do not touch, so that sets of spans and of words tell the same."""
    cuts = sorted(draw(st.sets(st.integers(0, n), max_size=6)))
    return [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


@st.composite
def worlds(draw):
    """Lengths of documents, gold spans, predicted spans, soft scores and classes, of which gold has both."""
    sizes = draw(st.lists(st.integers(2, 9), min_size=2, max_size=4))
    labels, soft = st.sampled_from(("NEG", "POS")), st.integers(0, 4)
    return [
        (n, draw(spans(n)), draw(spans(n)), draw(st.lists(soft, min_size=n, max_size=n)),
         label or draw(labels), draw(SHARES), draw(SHARES), draw(SHARES))
        for n, label in zip_longest(sizes, ("NEG", "POS"))
    ]  # fmt: skip


def inputs_of(world, swapped=False, perfect=False):
    gold, predictions = [], []
    for i, (size, marked, picked, soft, label, before, without, only) in enumerate(world):
        marked, picked = (picked, marked) if swapped else (marked, marked if perfect else picked)
        group = [{"docid": f"d{i}", "start_token": a, "end_token": b, "text": ""} for a, b in marked]
        record = {"annotation_id": f"e{i}", "classification": label, "query": "", "evidences": [group]}
        gold.append(record)
        soft = [float(any(a <= w < b for a, b in marked)) for w in range(size)] if perfect else soft
        hard = [{"start_token": a, "end_token": b} for a, b in picked]
        predictions.append((i + 1, {
            "annotation_id": f"e{i}", "classification": label if perfect else max(before, key=before.get),
            SCORES: before, COMP: without, SUFF: only,
            "rationales": [{"docid": f"d{i}", HARD: hard, SOFT: [float(x) for x in soft]}],
        }))  # fmt: skip
    return ScorerInputs(gold, {f"d{i}": (w[0],) for i, w in enumerate(world)}, predictions)


def numbers(value):
    if isinstance(value, dict):
        return [x for k, v in value.items() if k not in ("support", "threshold") for x in numbers(v)]
    if isinstance(value, list):
        return [x for v in value for x in numbers(v)]
    return [] if value is None else [float(value)]


@fuzz(250)
@given(worlds())
def test_scores_stay_in_their_ranges(world):
    found = answer_of(score_records, inputs_of(world))
    assert (found is None) == bool(check_records(inputs_of(world)).faults)
    if found is None:
        return
    for block in ("rationale_prf", "token_prf", "token_soft_metrics"):
        assert all(-1e-12 <= x <= 1 + 1e-12 or np.isnan(x) for x in numbers(found.get(block, {})))
    classes = found["classification_scores"]
    assert 0 <= classes["accuracy"] <= 1
    assert all(0 <= x <= 1 for x in numbers(classes["prf"]))
    for name in ("comprehensiveness", "sufficiency"):
        assert -1 <= classes[name] <= 1
        assert classes[f"{name}_kl"] >= -1e-12
    for iou in found.get("iou_scores", []):
        assert all(0 <= iou[fold]["p"] <= 1 for fold in ("micro", "macro"))


@fuzz(150)
@given(worlds())
def test_gold_itself_is_perfect(world):
    found = answer_of(score_records, inputs_of(world, perfect=True))
    if found is None or "token_prf" not in found:
        return
    assert found["classification_scores"]["accuracy"] == 1
    for block in (found["token_prf"], found["rationale_prf"]):
        assert all(isclose(x, 1) for x in numbers(block["instance_micro"]))
    assert all(isclose(x, 1) for x in numbers(found["iou_scores"][0]["micro"]))
    precision = found["token_soft_metrics"]["average_precision"]
    assert np.isnan(precision) or isclose(precision, 1)


@fuzz(150)
@given(worlds())
def test_precision_and_recall_change_places_with_gold_and_predictions(world):
    one = answer_of(score_records, inputs_of(world))
    other = answer_of(score_records, inputs_of(world, swapped=True))
    if one is None or other is None or "token_prf" not in one or "token_prf" not in other:
        return
    for block in ("token_prf", "rationale_prf"):
        for fold in ("instance_micro", "instance_macro"):
            a, b = one[block][fold], other[block][fold]
            assert np.allclose((a["p"], a["r"], a["f1"]), (b["r"], b["p"], b["f1"]), rtol=0, atol=1e-12)


@fuzz(150)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_predictions_does_not_matter(world, random):
    inputs = inputs_of(world)
    mixed = list(inputs.predictions)
    random.shuffle(mixed)
    if not inputs.predictions[0][1]["rationales"][0][HARD] or not mixed[0][1]["rationales"][0][HARD]:
        return  # the first one decides which blocks there are
    one = answer_of(score_records, inputs)
    other = answer_of(score_records, ScorerInputs(inputs.gold, inputs.lengths, mixed))
    assert (one is None) == (other is None)
    if one is not None:
        assert np.allclose(numbers(one), numbers(other), equal_nan=True, rtol=0, atol=1e-9)


@fuzz(100)
@given(worlds())
def test_a_higher_threshold_has_no_more_hits(world):
    found = answer_of(score_records, inputs_of(world), ScorerOptions(iou_thresholds=(0.1, 0.5, 1.0)))
    if found is not None:
        precisions = [iou["micro"]["p"] for iou in found.get("iou_scores", [])]
        assert precisions == sorted(precisions, reverse=True)
