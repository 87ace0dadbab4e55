"""captum's attributions with a tokenizer's tokens: those of the planted word's pieces end on the word."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rationale
from tests.helpers.planted import TEXTS, bert, tokenizer

captum_attr = pytest.importorskip("captum.attr", reason="captum is not installed: make test-adapters")
pytestmark = pytest.mark.adapters


@pytest.fixture(scope="module")
def attributed(tmp_path_factory):
    """(tokens, attributions [T,D], delta) of each text, for NEG."""
    cut, model = tokenizer(tmp_path_factory.mktemp("t")), bert()
    ig = captum_attr.LayerIntegratedGradients(
        lambda ids: model(input_ids=ids).logits, model.bert.embeddings.word_embeddings
    )
    found = []
    for text in TEXTS:
        ids = torch.tensor([cut(text)["input_ids"]])
        values, delta = ig.attribute(ids, torch.zeros_like(ids), target=1, return_convergence_delta=True)
        found.append((cut.convert_ids_to_tokens(ids[0]), values[0], float(delta)))
    return found


def test_the_planted_word_has_all_of_the_score(attributed):
    given = [(tokens, values) for tokens, values, _ in attributed]
    found = rationale.from_scores(given, TEXTS, name="captum", target="NEG")
    for i, word in ((0, "dull"), (2, "DULL")):
        tokens, values, _ = attributed[i]
        assert tokens[tokens.index("du") + 1] == "##ll"
        assert found[i].top(1) == [(word, pytest.approx(float(values.sum()), rel=1e-5))]
        assert np.count_nonzero(np.nan_to_num(found[i].scores)) == 1
    assert found.counts["special tokens"] == 2 * len(TEXTS)
    assert found.counts["tokens not in the text"] == 0


def test_a_record_for_captums_page_is_read_with_its_classes(attributed):
    records = [
        captum_attr.visualization.VisualizationDataRecord(
            values.sum(-1), 0.9, "NEG", "NEG", "NEG", values.sum(), tokens, delta
        )
        for tokens, values, delta in attributed
    ]
    found = rationale.from_scores(records, TEXTS)
    plain = rationale.from_scores([(t, v) for t, v, _ in attributed], TEXTS, name="x", target="NEG")
    assert found.name == "captum"
    for one, other in zip(found, plain, strict=True):
        assert np.allclose(one.scores, other.scores, equal_nan=True)
        assert (one.label, one.target) == ("NEG", "NEG")
