"""The official ERASER scorer's output, key for key, quirks included.

Source: `rationale_benchmark/metrics.py` of https://github.com/jayded/eraserbenchmark at commit 36467f1
(DeYoung et al. 2020), whose numbers this gives to 1e-9. Quirks that a reader of its numbers should know:

- the first prediction alone decides which blocks there are;
- the evidence of all groups is one pool; what the output calls an instance is an (annotation, document) pair;
- several predicted spans may hit one gold span, so IOU recall can exceed 1;
- macro IOU F1 is the F1 of two means over different pairs, the other macro F1 a mean of F1s;
- `auprc` joins points by straight lines (all-equal scores, half of the words gold: 0.75) and gives a text
  without gold 0.5, or NaN with the libraries the scorer was written for (`libraries="pinned"`).

What would end the official scorer is an InputError here. Sound variants of its metrics: `eraser/metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eraser.data.source import Source
from eraser.errors import InputError
from eraser.metrics.ranking import Ints, rank_texts
from eraser.official.check import find_faults
from eraser.official.classification import class_scores
from eraser.official.reading import collector_off, read_inputs
from eraser.official.records import (
    HARD,
    SENTENCES,
    TOKENS,
    Granularity,
    Record,
    ScorerInputs,
    ScorerOptions,
    evidences_of,
)
from eraser.official.skipping import LeftOut, parts_of, rest_of
from eraser.official.validation import Part
from eraser.types import Floats, Mask

COMPARED = 2**18  # pairs of spans in memory
Pair = tuple[object, str]  # annotation id, docid
Triple = tuple[int, int, int]  # number of a pair, start, end


@collector_off()
def score_official(  # noqa: PLR0913, the official command line's options
    source: Source,
    split: str,
    predictions: Path,
    *,
    iou_thresholds: Sequence[float] = (0.5,),
    aopc_thresholds: Sequence[float] = (0.01, 0.05, 0.1, 0.2, 0.5),
    strict: bool = False,
    extra_labels: tuple[str, ...] = (),
    libraries: Literal["modern", "pinned"] = "modern",
    labels: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Score a file of predictions, .jsonl or .jsonl.gz, against a split.

    Args:
        source: ERASER-format folder or archive.
        split: name of the gold file without `.jsonl`.
        predictions: file with one prediction a line.
        iou_thresholds: least IOU of a hit, each its own entry of `iou_scores`.
        aopc_thresholds: which thresholds AOPC averages, all of them in every prediction.
        strict: refuse predictions without classification.
        extra_labels: labels that may be predicted though gold lacks them; `("normal",)` is HateXplain's copy.
        libraries: whose output to reproduce where scikit-learn's versions differ.
        labels: of the numbers, where scores are lists.

    Raises:
        InputError: with every fault that would end the official scorer.
    """
    settings = ScorerOptions(iou_thresholds, aopc_thresholds, strict, extra_labels, libraries, labels)
    inputs, broken = read_inputs(source, split, predictions, labels)
    if faults := [*broken, *find_faults(inputs, settings)]:
        raise InputError(*faults)
    return _scores(parts_of(inputs), settings)


@collector_off()
def score_valid(
    source: Source, split: str, predictions: Path, settings: ScorerOptions
) -> tuple[dict[str, Any], LeftOut]:
    """Score what can be scored of a file of predictions; return the scores, and what was left out.

    Raises:
        InputError: files or gold are broken, or nothing is left to score.
    """
    inputs, broken = read_inputs(source, split, predictions, settings.labels)
    rest = rest_of(inputs, settings, broken)
    return _scores(rest.parts, rest.settings), rest.left_out


@collector_off()
def score_records(inputs: ScorerInputs, settings: ScorerOptions | None = None) -> dict[str, Any]:
    """Score what is already parsed: `score_official` without the files."""
    settings = settings or ScorerOptions()
    if faults := find_faults(inputs, settings):
        raise InputError(*faults)
    return _scores(parts_of(inputs), settings)


def _scores(parts: Mapping[Part, ScorerInputs], settings: ScorerOptions) -> dict[str, Any]:
    """Return the parts of the output from what each reads."""
    scores: dict[str, Any] = {}
    if "hard" in parts:
        scores |= _hard_scores(parts["hard"], settings.iou_thresholds)
    if "token" in parts:
        scores["token_soft_metrics"] = _soft_scores(parts["token"], TOKENS, settings)
    if "sentence" in parts:
        scores["sentence_soft_metrics"] = _soft_scores(parts["sentence"], SENTENCES, settings)
    if "classes" in parts:
        scores["classification_scores"] = class_scores(parts["classes"], parts.get("aopc"), settings)
    return scores


# ── hard rationales ─────────────────────────────────────────────────────────────────────────────────────


def _hard_scores(inputs: ScorerInputs, thresholds: Sequence[float]) -> dict[str, Any]:
    """Return iou_scores, rationale_prf and token_prf. Spans are sets: repeats count once."""
    pairs: dict[Pair, int] = {}
    gold: set[Triple] = set()
    for annotation in inputs.gold:
        for evidence in evidences_of(annotation):
            pair = pairs.setdefault((annotation["annotation_id"], evidence["docid"]), len(pairs))
            gold.add((pair, *TOKENS.gold(evidence)))
    predicted: set[Triple] = set()
    for _, prediction in inputs.predictions:
        for rationale in prediction["rationales"]:
            pair = pairs.setdefault((prediction["annotation_id"], rationale["docid"]), len(pairs))
            spans = rationale.get(HARD, ())
            predicted.update((pair, span["start_token"], span["end_token"]) for span in spans)
    n_pairs = len(pairs)
    g, p, both = _columns(gold), _columns(predicted), _columns(gold & predicted)
    n_gold, n_predicted = np.bincount(g[0], minlength=n_pairs), np.bincount(p[0], minlength=n_pairs)
    best = _best_ious(p, g)
    hits = [np.bincount(p[0][best >= t], minlength=n_pairs) for t in thresholds]
    n_gold_tokens, n_predicted_tokens = _covered(g, n_pairs), _covered(p, n_pairs)
    either = _covered(np.concatenate((g, p), axis=1), n_pairs)
    return {
        "iou_scores": [
            {"threshold": t, **_iou_prf(h, n_predicted, n_gold)}
            for t, h in zip(thresholds, hits, strict=True)
        ],
        "rationale_prf": _prf(np.bincount(both[0], minlength=n_pairs), n_predicted, n_gold),
        "token_prf": _prf(n_gold_tokens + n_predicted_tokens - either, n_predicted_tokens, n_gold_tokens),
    }


def _columns(spans: set[Triple]) -> Ints:
    """Return pair, start and end as the rows of an array [3, N], ordered by pair."""
    rows = np.array(sorted(spans), dtype=np.int64).reshape(-1, 3)
    return np.ascontiguousarray(rows.T)


def _best_ious(predicted: Ints, gold: Ints) -> Floats:
    """Return for each predicted span [P] its best IOU with a gold span of the same pair, 0 without any.

    Compared are only the gold spans around those that share a word with it, `COMPARED` at a time.
    """
    best = np.zeros(predicted.shape[1])
    real = np.flatnonzero(predicted[1] < predicted[2])  # the others have no word in common with anything
    both = np.concatenate((predicted[:, real], gold[:, gold[1] < gold[2]]), axis=1)
    start, end = _on_one_line(both)
    (start, gold_start), (end, gold_end) = (np.split(ends, [len(real)]) for ends in (start, end))
    first = np.searchsorted(np.maximum.accumulate(gold_end), start, side="right")
    n_gold = np.maximum(0, np.searchsorted(gold_start, end, side="left") - first)
    cuts = np.flatnonzero(np.diff(np.cumsum(n_gold) // COMPARED)) + 1
    for own in np.split(np.arange(len(real)), cuts):
        mine = np.repeat(own, n_gold[own])
        counted = np.cumsum(n_gold[own]) - n_gold[own]
        theirs = np.arange(len(mine)) + np.repeat(first[own] - counted, n_gold[own])
        shared = np.minimum(end[mine], gold_end[theirs]) - np.maximum(start[mine], gold_start[theirs])
        either = (end - start)[mine] + (gold_end - gold_start)[theirs] - np.maximum(0, shared)
        np.maximum.at(best, real[mine], np.maximum(0, shared) / either)
    return best


def _on_one_line(spans: Ints) -> tuple[Ints, Ints]:
    """Return starts and ends on one number line for all pairs, each pair on a stretch of its own."""
    pair, start, end = spans
    offset = pair * (end.max() - start.min()) - start.min()
    return start + offset, end + offset


def _covered(spans: Ints, n_pairs: int) -> Ints:
    """Return how many tokens the spans of each pair cover, overlaps counted once; one span must have any."""
    spans = spans[:, spans[1] < spans[2]]
    (start, end), pair = _on_one_line(spans), spans[0]
    order = np.argsort(start, kind="stable")
    start, end, pair = start[order], end[order], pair[order]
    reached = np.concatenate(([0], np.maximum.accumulate(end)[:-1]))
    new = np.maximum(0, end - np.maximum(start, reached))
    return np.bincount(pair, new, minlength=n_pairs).astype(np.int64)


def _f1(p: float, r: float) -> float:
    return 0 if p == 0 or r == 0 else 2 * p * r / (p + r)


def _ratio(part: Ints, whole: Ints) -> Floats:
    """Return part / whole, 0 where there is no whole."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def _triple(p: float, r: float) -> dict[str, float]:
    return {"p": float(p), "r": float(r), "f1": _f1(float(p), float(r))}


def _iou_prf(hits: Ints, predicted: Ints, gold: Ints) -> dict[str, dict[str, float]]:
    """Return micro and macro for hits per pair; the macro means run over different pairs."""
    return {
        "micro": _triple(hits.sum() / predicted.sum(), hits.sum() / gold.sum()),
        "macro": _triple(_ratio(hits, predicted)[predicted > 0].mean(), _ratio(hits, gold)[gold > 0].mean()),
    }


def _prf(hits: Ints, predicted: Ints, gold: Ints) -> dict[str, dict[str, float]]:
    """Return micro and macro for hits per pair; the macro means run over pairs with either."""
    there = (predicted > 0) | (gold > 0)
    p, r = _ratio(hits, predicted)[there], _ratio(hits, gold)[there]
    f1 = np.where(p + r > 0, 2 * p * r / np.where(p + r > 0, p + r, 1), 0.0)
    return {
        "instance_micro": _triple(hits.sum() / predicted.sum(), hits.sum() / gold.sum()),
        "instance_macro": {"p": float(p.mean()), "r": float(r.mean()), "f1": float(f1.mean())},
    }


# ── soft rationales ─────────────────────────────────────────────────────────────────────────────────────


def _soft_scores(inputs: ScorerInputs, unit: Granularity, settings: ScorerOptions) -> dict[str, float]:
    """Return the mean over predicted pairs of the three ranking metrics."""
    scores: dict[Pair, Floats] = {}
    for _, prediction in inputs.predictions:
        for rationale in prediction["rationales"]:  # of a document given twice, the last
            pair = (prediction["annotation_id"], rationale["docid"])
            scores[pair] = np.asarray(rationale[unit.field], dtype=np.float64)
    gold = {pair: np.zeros(len(own), dtype=bool) for pair, own in scores.items()}
    _mark(gold, inputs.gold, unit)
    found = rank_texts(list(gold.values()), list(scores.values()))
    no_gold = 0.5 if settings.libraries == "modern" else np.nan
    both = (found.n_gold > 0) & (found.n_gold < found.n_words)
    return {
        "auprc": float(np.where(found.n_gold == 0, no_gold, found.auprc_trapezoid).mean()),
        "average_precision": _mean(found.average_precision[both]),
        "roc_auc_score": _mean(found.roc_auc[both]),
    }


def _mark(gold: Mapping[Pair, Mask], annotations: Sequence[Record], unit: Granularity) -> None:
    """Set each mask [W] to True in evidence."""
    for annotation in annotations:
        for evidence in evidences_of(annotation):
            mask = gold.get((annotation["annotation_id"], evidence["docid"]))
            start, end = unit.gold(evidence)
            if mask is not None and start < end:
                # places as of a list, where -1 is the last
                mask[np.arange(start, end) if start < 0 else slice(start, end)] = True


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
