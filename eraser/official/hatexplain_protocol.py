"""HateXplain's own explainability numbers, to stand beside ours and the published ones.

Source: Explainability_Calculation_NB.ipynb (commit 2d804e2), testing_with_rational.py (2377748) and
eraserbenchmark/ (18a7c55) of https://github.com/hate-alert/HateXplain (Mathew et al. 2021). Followed:

- only posts whose majority label is hatespeech or offensive; gold is the union of the annotators' marks;
- the rationale is the five words with the highest score, ties to the later one, each a span of its own:
  neighbours are not merged, so that IOU F1 is low wherever annotators mark more than a word at a time;
- the ERASER scorer, with the one line its copy changes: `normal` may be predicted though gold lacks it.
  "IOU F1" is the F1 of two means, "Token F1" a mean of F1s, "AUPRC" is by trapezoids (see scorer.py);
- comprehensiveness and sufficiency for those five words, at no other number of words.

Different here:

- words of the post; there word pieces after another tokenization, with [CLS] and [SEP] among what is
  scored and picked (which `rationale.hatexplain` does: a data set may be one of pieces);
- where no post is predicted normal that scorer fails, and where a toxic label is predicted that the posts
  lack; here any of the three labels may be predicted, and none need be;
- words that were not read rank last and are never picked; there every piece is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from eraser.data.hatexplain import TOXIC
from eraser.data.official_records import gold_record, official_record
from eraser.errors import Fault, InputError
from eraser.official.records import HARD, Record, ScorerInputs, ScorerOptions
from eraser.official.scorer import score_records
from eraser.types import Dataset, Example, Floats, Mask, Prediction, Text

TOP = 5
LABELS = TOXIC | {"normal"}


def score_hatexplain(
    dataset: Dataset, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> dict[str, float]:
    """Return IOU F1, Token F1, AUPRC, Comprehensiveness and Sufficiency as HateXplain reports them, and n.

    Args:
        dataset: holds the documents of the examples.
        examples: of any label; only the `n` toxic ones are scored.
        predictions: one for each toxic example, others are ignored; of each the label, `probs` and `scores`
            [W] count. Comprehensiveness and Sufficiency, differences of probabilities in [-1, 1], are NaN
            unless `at_rationale` is there for all and each `rationale` is five words of highest score
            (fewer words: all), whichever of tied ones were taken.

    Raises:
        InputError: no example is toxic, or predictions cannot be scored: all faults at once.
    """
    toxic = toxic_posts(examples)
    texts = {e.id: dataset.text(e) for e in toxic}
    if not toxic:
        message = f"no examples labelled {' or '.join(sorted(TOXIC))}"
        raise InputError(Fault.of(message, dataset.source))
    pairs = [(texts[p.example_id], p) for p in predictions if p.example_id in texts]
    if faults := [fault for text, p in pairs for fault in _faults(text, p)]:
        raise InputError(*faults)
    inputs = ScorerInputs(
        [gold_record(e, {d: dataset.documents[d].words for d in e.doc_ids}) for e in toxic],
        {doc_id: (len(text.words),) for text in texts.values() for doc_id in text.doc_starts},
        list(enumerate(_records(pairs), start=1)),
    )
    extra = {p.label for _, p in pairs} & LABELS - {e.label for e in toxic}
    scores = score_records(inputs, ScorerOptions(extra_labels=sorted(extra)))
    classes = scores["classification_scores"]
    return {
        "IOU F1": float(scores["iou_scores"][0]["macro"]["f1"]),
        "Token F1": float(scores["token_prf"]["instance_macro"]["f1"]),
        "AUPRC": scores["token_soft_metrics"]["auprc"],
        "Comprehensiveness": _or_nan(classes["comprehensiveness"]),
        "Sufficiency": _or_nan(classes["sufficiency"]),
        "n": len(toxic),
    }


def toxic_posts(examples: Sequence[Example]) -> list[Example]:
    """Return the posts that are scored: those whose majority label is hatespeech or offensive."""
    return [e for e in examples if e.label in TOXIC]


def _faults(text: Text, prediction: Prediction) -> Iterator[Fault]:
    """Yield what keeps a prediction from having five words; the official rules find the rest."""
    id, n_words = prediction.example_id, len(text.words)
    if len(text.doc_starts) != 1:
        yield Fault("a post of one document", f"{len(text.doc_starts)}", id=id)
    for what in ("scores", "rationale"):
        if (found := len(getattr(prediction, what))) != n_words:
            yield Fault(f"{what} of {n_words} words", f"{found}", id=id)
    if np.isnan(prediction.scores).all():
        yield Fault.of("no word has a score", id=id)


def _records(pairs: Sequence[tuple[Text, Prediction]]) -> list[Record]:
    """Return lines of an official prediction file, with ablations if all are of the five words."""
    ablated = all(p.at_rationale is not None and _is_top(p.rationale, p.scores) for _, p in pairs)
    return [_record(text, p if ablated else replace(p, at_rationale=None)) for text, p in pairs]


def _record(text: Text, prediction: Prediction) -> Record:
    selected = top_five(prediction.scores)
    record = official_record(text, replace(prediction, rationale=selected, ablations=()))
    spans = [{"start_token": word, "end_token": word + 1} for word in np.flatnonzero(selected).tolist()]
    return record | {"rationales": [rationale | {HARD: spans} for rationale in record["rationales"]]}


def top_five(scores: Floats) -> Mask:
    """Return the mask [W] of the five words with the highest score; ties go to the last in the text."""
    order = np.argsort(np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    return np.isin(np.arange(len(scores)), order[-TOP:]) & ~np.isnan(scores)


def _is_top(rationale: Mask, scores: Floats) -> bool:
    """Return whether the rationale [W] has five of the highest scores, or all where fewer words were read."""
    read = ~np.isnan(scores)
    selected, rest = scores[rationale], scores[read & ~rationale]
    if len(selected) != min(TOP, read.sum()):
        return False
    return len(rest) == 0 or bool(selected.min() >= rest.max())


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
