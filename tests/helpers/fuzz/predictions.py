"""Predictions that can be read, to be spoilt."""

from __future__ import annotations

from tests.helpers.eraser.prediction_files import COMP, HARD, SCORES, SENTENCES, SOFT, SUFF, THRESHOLDED
from tests.helpers.fuzz.tables import GOLD

CLEAN = [{**a, "query": "", "evidences": [g for g in a["evidences"] if g]} for a in GOLD]
EVEN = {"NEG": 0.25, "POS": 0.75}
ENTRIES = [{"threshold": t, COMP: EVEN, SUFF: EVEN} for t in (0.01, 0.05, 0.1, 0.2, 0.5)]


def said(id, doc_id, n_words, n_sentences):
    return {
        "annotation_id": id, "classification": "POS",
        SCORES: EVEN, COMP: EVEN, SUFF: EVEN, THRESHOLDED: ENTRIES,
        "rationales": [{
            "docid": doc_id, HARD: [{"start_token": 0, "end_token": 1}], SOFT: [0.5] * n_words,
            SENTENCES: [0.25] * n_sentences,
        }],
    }  # fmt: skip


PREDICTIONS = [said("a", "a", 6, 2), said("b", "b", 1, 1), said("bc", "c", 4, 2)]
