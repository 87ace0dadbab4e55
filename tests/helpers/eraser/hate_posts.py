"""Small posts with marks, and predictions of them, as HateXplain's protocol takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from eraser import Ablation, Dataset, Document, Evidence, Example, Prediction, Span


def post(id: str, n_words: int, *gold: tuple[int, int], label: str = "offensive") -> tuple[Example, Document]:
    marked = frozenset(Evidence(id, Span(a, b)) for a, b in gold)
    groups = frozenset({marked}) if marked else frozenset()
    return Example(id, (id,), label, gold=groups), Document(id, (tuple("w" * n_words),))


def dataset_of(*posts: tuple[Example, Document]) -> Dataset:
    return Dataset("posts", {d.id: d for _, d in posts}, {"test": tuple(e for e, _ in posts)})


def said(id: str, scores: list[float], label: str = "offensive", picked: tuple[int, ...] = ()) -> Prediction:
    probs = {"hatespeech": 0.2, "normal": 0.2, "offensive": 0.2} | {label: 0.6}
    return Prediction(id, label, probs, np.array(scores, float), np.isin(np.arange(len(scores)), picked))


@st.composite
def scored_posts(draw: st.DrawFn) -> list[tuple[list[bool], list[float]]]:
    """Gold and scores of each word, at least one word marked."""
    words = st.tuples(st.booleans(), st.sampled_from([-1.0, 0.0, 0.5, 0.75, 2.0, 3.0]))
    posts = draw(st.lists(st.lists(words, min_size=1, max_size=12), min_size=1, max_size=5))
    drawn = [([gold for gold, _ in p], [score for _, score in p]) for p in posts]
    return drawn if any(drawn[0][0]) else [([True, *drawn[0][0][1:]], drawn[0][1]), *drawn[1:]]


def five_of(record: dict[str, Any]) -> list[int]:
    scores = record["rationales"][0]["soft_rationale_predictions"]
    return sorted(sorted(range(len(scores)), key=lambda word: scores[word])[-5:])


def parsed(record: dict[str, Any]) -> Prediction:
    scores = np.array(record["rationales"][0]["soft_rationale_predictions"], dtype=float)
    changes = (record[f"{name}_classification_scores"] for name in ("comprehensiveness", "sufficiency"))
    return Prediction(
        record["annotation_id"],
        record["classification"],
        record["classification_scores"],
        scores,
        np.isin(np.arange(len(scores)), five_of(record)),
        Ablation(0.0, *changes),
    )
