from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute
from rationale.attribution.request import AttributionBatch
from rationale.attribution.survivors import contribution, survivors
from rationale.hf.classifier import without_removal
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE
from tests.conftest import FAMILIES, dropping
from tests.helpers.models.able import UNTAUGHT
from tests.oracles.survivors import alone, slow_contribution, slow_survivors

QUICK = AttributionSettings(ig_steps=1, lime_samples=5, shap_samples=5, gradient_shap_samples=1)
RANKING = [name for name in UNTAUGHT if METHODS[name].selection_threshold is None]


@pytest.fixture(scope="module")
def encoded(sample, classifier):
    texts = [sample.text(e) for e in sample.splits["test"][:6]]
    return texts, classifier.encoder.encode(texts)


@pytest.fixture(scope="module", params=FAMILIES)
def one(request, make_classifier):
    dense = make_classifier(request.param)
    return replace(dense, model=dropping(dense.model))


def cases(encoded):
    texts, windows = encoded
    return [
        AttributionInput(w, len(t.words), 1, seed=n)
        for n, (t, w) in enumerate(zip(texts, windows, strict=True))
    ]


@pytest.mark.parametrize(("fast", "slow"), [(survivors, slow_survivors), (contribution, slow_contribution)])
def test_pieces_in_a_padded_batch_equal_the_oracle(one, encoded, fast, slow):
    windows = [w for ws in encoded[1] for w in ws]
    assert len({len(w) for w in windows}) > 3
    found = fast(one, one.encoder.collate(windows))
    for row, window in zip(found, windows, strict=True):
        assert row[: len(window)].tolist() == pytest.approx(slow(one, window), abs=1e-5)
        assert (row[len(window) :] == 0).all()


def test_survivors_are_told_apart_within_a_layer_but_never_across_two(one, encoded):
    window = max((w for ws in encoded[1] for w in ws), key=len)
    found = np.array(slow_survivors(one, window))
    assert METHODS["survivors"].scores(one, request(one, window))[0].tolist() == pytest.approx(
        found, abs=1e-5
    )
    layers = np.array([kept for kept, _ in alone(one, window)]).sum(0).tolist()
    assert np.floor(found).tolist() == layers
    assert {0, 3} <= set(layers)
    assert len(set(found)) > len(set(layers))


def test_survivor_with_the_whole_contribution_stays_below_the_next_layer(adaptive, encoded):
    """A predictor that gives the first token everything: a tie-break of 1 would be a layer too many."""

    def all_to_the_first(states):
        return torch.zeros(states.shape[:-1]).index_fill(-1, torch.tensor(0), 1e4)

    for predictor in adaptive.model.contribution_predictors:
        predictor.forward = all_to_the_first
    (row,) = survivors(adaptive, adaptive.encoder.collate([encoded[1][0][0]]))
    assert 3 < row[0] < 4
    assert not row[1:].any()


def request(classifier, *windows):
    batch = classifier.encoder.collate(windows)
    return AttributionBatch(batch, torch.ones(len(windows), dtype=torch.long), (0,) * len(windows))


def test_own_words_are_those_with_a_piece_in_the_last_layer(one, encoded):
    sizes = []
    for case, found in zip(cases(encoded), attribute(one, "survivors", cases(encoded)), strict=True):
        last = [(window, alone(one, window)[-1][0]) for window in case.windows]
        expected = {
            int(word)
            for window, kept in last
            for word, stays in zip(window.word, kept, strict=True)
            if stays and word != OUTSIDE
        }
        assert set(found.selected.nonzero()[0].tolist()) == expected
        sizes.append(len(expected))
    assert 0 < sum(sizes) < sum(c.n_words for c in cases(encoded)) / 2


def test_word_counts_as_its_strongest_piece_and_an_unread_one_is_not_chosen(adaptive, encoded):
    texts, windows = encoded
    first = windows[0][:1]
    (found,) = attribute(adaptive, "survivors", [AttributionInput(first, len(texts[0].words) + 3, 1)])
    assert np.isnan(found.scores[-3:]).all()
    assert not found.selected[-3:].any()
    of_pieces = np.array(slow_survivors(adaptive, first[0]))
    for word in set(first[0].word.tolist()) - {OUTSIDE}:
        assert found.scores[word] == pytest.approx(of_pieces[first[0].word == word].max(), abs=1e-5)
    assert max(np.bincount(first[0].word[first[0].word != OUTSIDE])) > 1


@pytest.mark.parametrize("method", RANKING)
def test_methods_that_rank_choose_nothing(adaptive, encoded, method):
    assert all(found.selected is None for found in attribute(adaptive, method, cases(encoded)[:2], QUICK))


@pytest.mark.parametrize("method", ["survivors", "contribution"])
def test_model_that_drops_nothing_is_refused(classifier, encoded, method):
    with pytest.raises(InputError) as error:
        attribute(classifier, method, cases(encoded))
    expected = (
        "expected a method that fits BertForSequenceClassification, got {}: {}; every other method works"
    )
    assert str(error.value) == expected.format(method, "the model drops no tokens")


def test_without_removal_is_the_encoder_inside_or_the_classifier_itself(adaptive, classifier):
    assert isinstance(adaptive.model, AdaplerForSequenceClassification)
    assert without_removal(adaptive) == replace(adaptive, model=adaptive.model.model)
    assert without_removal(classifier) is classifier


def after_last_attention(model, batch):
    """Return the last layer's attention [B,H,T,T] in double precision, and the logits as a function of it."""
    with torch.no_grad():
        inputs = {"attention_mask": batch.real.long(), "token_type_ids": batch.types}
        states = model(input_ids=batch.ids, output_hidden_states=True, **inputs).hidden_states[-2]
    layer = model.bert.encoder.layer[-1]
    own = layer.attention.self

    def heads(linear):
        return linear(states).unflatten(-1, (own.num_attention_heads, -1)).transpose(1, 2)

    products = heads(own.query) @ heads(own.key).mT / 8**0.5
    weights = products.masked_fill(~batch.real[:, None, None], -torch.inf).softmax(-1)

    def logits(weights):
        mixed = (weights @ heads(own.value)).transpose(1, 2).flatten(2)
        attended = layer.attention.output(mixed, states)
        return model.classifier(model.bert.pooler(layer.output(layer.intermediate(attended), attended)))

    return weights, logits


def test_attention_x_gradient_equals_finite_differences(classifier, sample):
    """Nudge each weight of [CLS]'s row by itself and watch the logit, in double precision."""
    short = [replace(sample.text(e), words=sample.text(e).words[:n]) for e, n in
             zip(sample.splits["test"][:2], (9, 4), strict=True)]  # fmt: skip
    windows = [w for ws in Encoder(classifier.encoder.tokenizer, 128).encode(short) for w in ws]
    asked = request(classifier, *windows)
    found = METHODS["attention_x_gradient"].scores(classifier, asked)
    model, nudge = deepcopy(classifier.model).double(), 1e-4
    with torch.no_grad():
        weights, logits = after_last_attention(model, asked.batch)
        plain = model(
            input_ids=asked.batch.ids,
            attention_mask=asked.batch.real.long(),
            token_type_ids=asked.batch.types,
        )
        assert torch.allclose(logits(weights), plain.logits, atol=1e-9)
        for row, window in enumerate(windows):
            for piece in range(len(window)):
                total = 0.0
                for head in range(4):
                    up, down = weights.clone(), weights.clone()
                    up[row, head, 0, piece] += nudge
                    down[row, head, 0, piece] -= nudge
                    slope = float((logits(up) - logits(down))[row, 1]) / (2 * nudge)
                    total += max(0.0, float(weights[row, head, 0, piece]) * slope)
                assert float(found[row, piece]) == pytest.approx(total / 4, rel=1e-3, abs=1e-6)
    assert (found > 0).any(1).all()


def test_attention_x_gradient_needs_no_trainable_weights_and_leaves_none(classifier, encoded):
    asked = request(classifier, *encoded[1][0])
    assert not any(p.requires_grad for p in classifier.model.parameters())
    frozen = METHODS["attention_x_gradient"].scores(classifier, asked)
    assert not any(p.requires_grad or p.grad is not None for p in classifier.model.parameters())
    assert classifier.model.config._attn_implementation == "sdpa"
    free = replace(classifier, model=deepcopy(classifier.model).requires_grad_(True))
    assert torch.equal(METHODS["attention_x_gradient"].scores(free, asked), frozen)
    assert all(p.grad is None for p in free.model.parameters())


def test_survivors_at_a_layer_choose_what_reached_it(adaptive, sample):
    texts = [sample.text(e) for e in sample.splits["test"][:4]]
    cases = [
        AttributionInput(windows, len(text.words), 0)
        for windows, text in zip(adaptive.encoder.encode(texts), texts, strict=True)
    ]
    layers = len(adaptive.model.contribution_predictors)
    by_layer = [attribute(adaptive, f"survivors@{k}", cases) for k in range(1, layers + 1)]
    last = attribute(adaptive, "survivors", cases)
    for n, case in enumerate(cases):
        assert (by_layer[-1][n].selected == last[n].selected).all()
        for found, k in zip(by_layer, range(layers), strict=True):
            reached = np.zeros(case.n_words, dtype=bool)
            for window in case.windows:
                batch = adaptive.encoder.collate([window])
                kept = adaptive.model(input_ids=batch.ids, **adaptive.inputs(batch)).trace[k].kept[0]
                words = window.word[kept.numpy()]
                reached[words[words >= 0]] = True
            assert (found[n].selected == reached).all()
    with pytest.raises(InputError, match=r"^expected a layer of 1 to 3 after survivors@, got 9$"):
        attribute(adaptive, "survivors@9", cases)
    with pytest.raises(InputError, match="expected a method of attention, .* got 'survivors@x'"):
        attribute(adaptive, "survivors@x", cases)
