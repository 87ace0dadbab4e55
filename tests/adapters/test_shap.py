"""shap's own objects: the planted word has the highest score, and scores sum to what shap says they do."""

from __future__ import annotations

import numpy as np
import pytest

import rationale
from tests.helpers.planted import LABELS, TEXTS, said, tokenizer

shap = pytest.importorskip("shap", reason="shap is not installed: make test-adapters")
pytestmark = pytest.mark.adapters


@pytest.fixture(scope="module", params=["words", "pieces"])
def values(request, tmp_path_factory):
    of = r"\W+" if request.param == "words" else tokenizer(tmp_path_factory.mktemp("t"))
    explainer = shap.Explainer(said, shap.maskers.Text(of), output_names=list(LABELS), silent=True)
    return explainer(list(TEXTS))


def test_the_planted_word_has_the_highest_score(values):
    found = rationale.from_scores(values, TEXTS)
    assert (found.name, found.tool) == ("shap", f"shap {shap.__version__}")
    assert [one.label for one in found] == ["NEG", "POS", "NEG"]
    assert [found[i].top(1)[0][0] for i in (0, 2)] == ["dull", "DULL"]
    assert not found.counts["tokens not in the text"]
    for i, (one, text) in enumerate(zip(found, TEXTS, strict=True)):
        column = LABELS.index(one.label)
        total = said([text])[0, column] - values.base_values[i][column]
        assert np.nansum(one.scores) == pytest.approx(total, abs=1e-6)


def test_a_class_can_be_chosen_by_slice_by_name_or_one_text_at_a_time(values):
    by_slice = rationale.from_scores(values[:, :, "NEG"], TEXTS)
    by_name = rationale.from_scores(values, TEXTS, target="NEG")
    for one, other in zip(by_slice, by_name, strict=True):
        assert np.array_equal(one.scores, other.scores, equal_nan=True)
        assert one.target == other.target == "NEG"
    alone = rationale.from_scores([values[0]], TEXTS[:1])
    assert np.array_equal(alone[0].scores, rationale.from_scores(values, TEXTS)[0].scores, equal_nan=True)
