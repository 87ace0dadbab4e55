"""The official scorer's sentence scores rewritten slowly: gold from `start_sentence` and `end_sentence`."""

from __future__ import annotations

from tests.oracles.ranking import auprc_trapezoid, average_precision, roc_auc


def gold_sentences(annotation, docid, n_sentences):
    """Return for each sentence of a document whether a piece of evidence spans it."""
    pieces = [e for group in annotation["evidences"] for e in group if e["docid"] == docid]
    return [any(e["start_sentence"] <= i < e["end_sentence"] for e in pieces) for i in range(n_sentences)]


def sentence_soft_metrics(annotations, predictions):
    """Return the means over the documents that are predicted; a text without gold has AUPRC 0.5."""
    by_id = {a["annotation_id"]: a for a in annotations}
    areas, precisions, rocs = [], [], []
    for prediction in predictions:
        for rationale in prediction["rationales"]:
            scores = rationale["soft_sentence_predictions"]
            gold = gold_sentences(by_id[prediction["annotation_id"]], rationale["docid"], len(scores))
            areas.append(auprc_trapezoid(gold, scores) if any(gold) else 0.5)
            if any(gold) and not all(gold):
                precisions.append(average_precision(gold, scores))
                rocs.append(roc_auc(gold, scores))
    found = {"auprc": areas, "average_precision": precisions, "roc_auc_score": rocs}
    return {name: sum(values) / len(values) for name, values in found.items()}
