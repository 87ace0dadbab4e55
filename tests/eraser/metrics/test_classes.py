"""Accuracy, macro F1 and AUROC of one class of several, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from eraser import Example, InputError, Prediction
from eraser.metrics.classes import CLASS_FOLDS, class_columns, one_against_one, score_classes

LABELS = ("A", "B", "C")
checked = settings(deadline=None, derandomize=True, database=None, max_examples=25)


def said(id, probs):
    named = dict(zip(LABELS, probs, strict=True))
    nothing = np.zeros(0)
    return Prediction(id, max(named, key=named.get), named, nothing, nothing > 0)


def drawn(seed, n=40):
    """Examples of which each label has some, and answers with equal probabilities among them."""
    random = np.random.default_rng(seed)
    human = [*LABELS, *random.choice(LABELS, n - 3).tolist()]
    raw = random.integers(1, 6, (n, 3)).astype(float)
    examples = [Example(str(i), (str(i),), label) for i, label in enumerate(human)]
    return examples, [said(str(i), p) for i, p in enumerate(raw / raw.sum(1, keepdims=True))]


@checked
@given(st.integers(0, 10**6))
def test_values_are_those_of_scikit_learn(seed):
    examples, answers = drawn(seed)
    human, mine = [e.label for e in examples], [p.label for p in answers]
    probs = np.array([[p.probs[x] for x in LABELS] for p in answers])
    found = {s.metric: s for s in score_classes(examples, answers, LABELS)}
    assert list(found) == ["accuracy", "macro_f1", "auroc"]
    assert found["accuracy"].value == pytest.approx(accuracy_score(human, mine))
    assert found["macro_f1"].value == pytest.approx(f1_score(human, mine, average="macro"))
    theirs = roc_auc_score(human, probs, multi_class="ovo", average="macro", labels=LABELS)
    assert found["auroc"].value == pytest.approx(theirs)
    for score in found.values():
        assert score.low <= score.value <= score.high
        assert (score.n, score.left_out) == (40, 0)


def test_an_example_that_is_drawn_twice_counts_twice():
    examples, answers = drawn(1)
    human = np.array([e.label for e in examples])
    probs = np.array([[p.probs[x] for x in LABELS] for p in answers])
    counts = np.random.default_rng(2).integers(0, 3, (4, 40)).astype(float)
    counts[:, :3] = 1  # each label stays
    for weights, auroc in zip(counts, one_against_one(human, probs, LABELS)(counts), strict=True):
        rows = np.repeat(np.arange(40), weights.astype(int))
        theirs = roc_auc_score(human[rows], probs[rows], multi_class="ovo", labels=LABELS)
        assert auroc == pytest.approx(theirs)


def test_by_hand():
    """Of A, A, B, C one A is called B: F1 of A 2/3, of B 2/3, of C 1."""
    examples = [Example(str(i), (str(i),), x) for i, x in enumerate("AABC")]
    answers = [said(str(i), p) for i, p in enumerate([(1, 0, 0), (0.4, 0.6, 0), (0, 1, 0), (0, 0, 1)])]
    columns = class_columns(examples, answers, LABELS)
    values = {name: float(CLASS_FOLDS[name](rows.mean(0))) for name, rows in columns.items()}
    assert values == pytest.approx({"accuracy": 3 / 4, "macro_f1": (2 / 3 + 2 / 3 + 1) / 3})


def test_where_a_class_is_missing_there_is_no_auroc():
    examples, answers = drawn(3)
    two = [(e, p) for e, p in zip(examples, answers, strict=True) if e.label != "C"]
    found = score_classes([e for e, _ in two], [p for _, p in two], LABELS)[2]
    assert np.isnan([found.value, found.low, found.high]).all()


def test_a_prediction_without_all_probabilities_is_refused():
    examples, answers = drawn(4)
    with pytest.raises(InputError) as error:
        score_classes(examples, answers, (*LABELS, "D"))
    assert str(error.value).splitlines()[0] == "0: expected probabilities of A, B, C, D, got A, B, C"
