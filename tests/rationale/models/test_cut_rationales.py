"""Rationales of cut models, whose layers differ in their number of heads, or have none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import AttributionInput, AttributionSettings, attribute
from rationale.attribution.attention import eager_attention
from rationale.models.gates import GateValues
from rationale.models.pruning import cut
from tests.helpers.models.able import ENCODERS

QUICK = AttributionSettings(ig_steps=2, gradient_shap_samples=2, lime_samples=8, shap_samples=8)


def with_heads(classifier, counts):
    """The classifier with so many heads left in each layer, and every other unit."""
    ones = [torch.ones(s) for s in ((3, 4), (3, 48), (32,), (3,), (3,))]
    for layer, count in enumerate(counts):
        ones[0][layer, count:] = 0
    ones[1][:, ::2] = 0
    return replace(classifier, model=cut(classifier.model, GateValues(*ones)).eval(), passes=None)


def cases_of(classifier, sample):
    first, second = map(sample.text, sample.splits["test"][:2])
    texts = [replace(first, words=first.words[:9]), replace(second, words=second.words[:5])]
    encoded = classifier.encoder.encode(texts)
    return [
        AttributionInput(w, len(t.words), 1, seed=n)
        for n, (t, w) in enumerate(zip(texts, encoded, strict=True))
    ]


@pytest.mark.parametrize(
    "counts", [(0, 3, 1), *(pytest.param(c, marks=pytest.mark.slow) for c in ((4, 1, 2), (2, 0, 4)))]
)
@pytest.mark.parametrize("method", ENCODERS)
def test_every_method_scores_every_word(classifier, sample, counts, method):
    small = with_heads(classifier, counts)
    cases = cases_of(classifier, sample)
    together = attribute(small, method, cases, QUICK)
    for case, found in zip(cases, together, strict=True):
        (alone,) = attribute(small, method, [case], QUICK)
        assert np.isfinite(found.scores).all()
        assert found.scores.shape == (case.n_words,)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)


@pytest.mark.parametrize("counts", [(4, 1, 2), (0, 3, 1), (2, 0, 4)])
def test_the_mean_is_over_all_heads_there_are(classifier, sample, counts):
    small = with_heads(classifier, counts)
    case = cases_of(classifier, sample)[1]
    (window,) = case.windows
    batch = small.encoder.collate([window])
    with torch.inference_mode(), eager_attention(small):
        maps = small.model(input_ids=batch.ids, **small.inputs(batch), output_attentions=True).attentions
    assert [m.shape[1] for m in maps] == [n for n in counts if n]
    heads = [m[0, h, 0] for m in maps for h in range(m.shape[1])]
    expected = np.zeros(case.n_words)
    np.add.at(expected, window.word[window.word >= 0], torch.stack(heads).mean(0).numpy()[window.word >= 0])
    (found,) = attribute(small, "attention_layers", [case])
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)


def test_a_model_without_any_head_has_no_attention(classifier, sample):
    small = with_heads(classifier, (0, 0, 0))
    for method in ("attention", "rollout", "attention_x_gradient", "value_norm"):
        with pytest.raises(
            InputError, match=f"got {method}: it needs an attention map .* this model gives none;"
        ):
            attribute(small, method, cases_of(classifier, sample))
