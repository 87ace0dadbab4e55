"""lime's own objects: the planted word has the highest score, at each of its places."""

from __future__ import annotations

import numpy as np
import pytest

import rationale
from tests.helpers.planted import LABELS, TEXTS, said

lime_text = pytest.importorskip("lime.lime_text", reason="lime is not installed: make test-adapters")
pytestmark = pytest.mark.adapters
TWICE = "Dull, so dull; a film so dull."


def explained(text, bow=True, **how):
    explainer = lime_text.LimeTextExplainer(class_names=list(LABELS), random_state=0, bow=bow)
    return explainer.explain_instance(text, said, num_samples=200, **how)


@pytest.mark.parametrize("bow", [True, False])
def test_the_planted_word_has_the_highest_score(bow):
    found = rationale.from_scores([explained(text, bow, num_features=20) for text in TEXTS], TEXTS)
    assert found.name == "lime"
    assert [one.label for one in found] == ["NEG", "POS", "NEG"]
    assert [found[i].top(1)[0][0] for i in (0, 2)] == ["dull", "DULL"]
    assert found.counts["tokens not in the text"] == 0


def test_of_a_bag_of_words_each_place_has_the_words_weight():
    explanation = explained(TWICE)
    found = rationale.from_scores(explanation, [TWICE])[0]
    weight = dict(explanation.as_list())["dull"]
    assert [s for w, s in zip(found.words, found.scores, strict=True) if w == "dull"] == [weight, weight]
    listed = rationale.from_scores([explanation.as_list()], [TWICE])[0]
    assert np.array_equal(found.scores, listed.scores, equal_nan=True)


def test_of_two_classes_one_is_the_other_turned_round():
    text = TEXTS[1]  # POS, where lime explains NEG if nobody says otherwise
    explanation = explained(text, num_features=20)
    assert explanation.available_labels() == [1]
    found = rationale.from_scores(explanation, [text])[0]
    assert found.target == "POS"
    of_neg = rationale.from_scores(explanation, [text], target="NEG")[0]
    assert np.array_equal(found.scores, -of_neg.scores, equal_nan=True)
    both = rationale.from_scores(explained(text, num_features=20, labels=(0, 1)), [text])[0]
    assert np.allclose(both.scores, found.scores, equal_nan=True)
