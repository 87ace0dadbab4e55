"""Texts that stop early: and their rationales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import AttributionInput, AttributionSettings, attribute
from rationale.attribution.survivors import contribution, survivors
from rationale.hf.classifier import Classifier, without_removal
from rationale.models.dact import DactForSequenceClassification, FullDepth
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.models import able
from tests.helpers.models.exits import exiting, never

ENCODERS = [m for m in able.ENCODERS if m != "attn_lrp"]  # refused, see below
QUICK = AttributionSettings(ig_steps=2, gradient_shap_samples=2, lime_samples=8, shap_samples=8)


@pytest.fixture(scope="module")
def classifier(tokenizer):
    return classifier_of("bert", tokenizer)


def classifier_of(family, tokenizer):
    model = tiny_model(family, tokenizer, ("NEG", "POS")).requires_grad_(False)
    return Classifier(model, Encoder(tokenizer, 128), ("NEG", "POS"), torch.device("cpu"))


def cases_of(classifier, texts):
    encoded = classifier.encoder.encode(texts)
    return [
        AttributionInput(w, len(t.words), 1, seed=n)
        for n, (t, w) in enumerate(zip(texts, encoded, strict=True))
    ]


@pytest.fixture(scope="module")
def brief(sample):
    """Texts cut short, of different lengths."""
    texts = [sample.text(e) for e in sample.splits["test"][:3]]
    return [replace(t, words=t.words[:n]) for t, n in zip(texts, (9, 14, 5), strict=True)]


@pytest.mark.parametrize(("family", "shared"), [*((f, False) for f in FAMILIES), ("bert", True)])
def test_methods_explain_the_last_layer_where_all_before_matter_not(tokenizer, brief, family, shared):
    """h = 1: the answer is the dense model's, and so is every method's explanation."""
    dense = classifier_of(family, tokenizer)
    model = never(DactForSequenceClassification.wrap(dense.model, shared_head=shared)).eval()
    adaptive = replace(dense, model=model.requires_grad_(False))
    assert isinstance(without_removal(adaptive).model, FullDepth)
    settings = replace(QUICK, explain="margin")
    every = [m for m in ENCODERS if m != "gim"]  # whose rules reach the softmax and products of exits, too
    for method in every if (family, shared) == ("bert", False) else ("attention", "gradient_x_input"):
        expected = attribute(dense, method, cases_of(dense, brief), settings)
        found = attribute(adaptive, method, cases_of(dense, brief), settings)
        for a, b in zip(found, expected, strict=True):
            assert a.scores.tolist() == pytest.approx(b.scores.tolist(), abs=1e-4), method


def test_relevance_is_refused_where_halting_would_lose_it(classifier, brief):
    one = replace(classifier, model=exiting(classifier.model))
    with pytest.raises(InputError, match="no rule for log_sigmoid, where relevance would be lost"):
        attribute(one, "attn_lrp", cases_of(one, brief), QUICK)


@pytest.mark.parametrize("method", ENCODERS)
def test_methods_explain_full_depth_alike_alone_and_together(classifier, brief, method):
    one = replace(classifier, model=exiting(dropping(classifier.model)))
    together = attribute(one, method, cases_of(one, brief), QUICK)
    for found, case in zip(together, cases_of(one, brief), strict=True):
        (alone,) = attribute(one, method, [case], QUICK)
        assert np.isfinite(found.scores).all()
        assert found.scores.tolist() == pytest.approx(alone.scores.tolist(), rel=1e-3, abs=1e-5)


def slow_scores(classifier, window):
    """Return how many layers a window ran by itself, its survivors and its contributions."""
    ids, types = torch.tensor(window.ids)[None], torch.tensor(window.types)[None]
    output = classifier.model(ids, None, types)
    ran = int(output.exit_layer[0])
    layers = [(t.kept[0].tolist(), t.contribution[0].tolist()) for t in output.trace[:ran]]
    lasting, mean = [], []
    for piece in range(len(window)):
        survived = sum(kept[piece] for kept, _ in layers)
        decisive = layers[min(survived, ran - 1)][1][piece]
        lasting.append((3 if survived == ran else survived) + decisive)
        mean.append(sum(scores[piece] for _, scores in layers) / ran)
    return ran, lasting, mean


@pytest.fixture(scope="module")
def both(classifier):
    """A classifier that drops tokens and stops."""
    return replace(classifier, model=exiting(dropping(classifier.model)))


def test_survivors_of_a_text_that_stopped_survived_all_layers(both, sample):
    texts = [sample.text(e) for e in sample.splits["test"][:12]]
    windows = [w for ws in both.encoder.encode(texts) for w in ws]
    b = both.encoder.collate(windows)
    lasting, mean, ran = survivors(both, b), contribution(both, b), []
    for row, window in enumerate(windows):
        n, slow, slow_mean = slow_scores(both, window)
        assert lasting[row][: len(window)].tolist() == pytest.approx(slow, abs=1e-5)
        assert mean[row][: len(window)].tolist() == pytest.approx(slow_mean, abs=1e-5)
        assert not lasting[row][len(window) :].any()
        assert not mean[row][len(window) :].any()
        ran.append(n)
    assert len(set(ran)) > 1


def test_own_words_are_those_with_a_piece_in_the_last_layer_their_text_ran(both, sample):
    texts = [sample.text(e) for e in sample.splits["test"][:12]]
    cases, ran = cases_of(both, texts), set()
    levels = {k: attribute(both, f"survivors@{k}", cases) for k in (1, 2, 3)}
    for n, case in enumerate(cases):
        reached = {k: np.zeros(case.n_words, dtype=bool) for k in levels}
        for window in case.windows:
            output = both.model(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None])
            last = int(output.exit_layer[0])
            ran.add(last)
            for k in levels:
                words = window.word[output.trace[min(k, last) - 1].kept[0].numpy()]
                reached[k][words[words != OUTSIDE]] = True
        for k, found in levels.items():
            assert (found[n].selected == reached[k]).all()
        assert (attribute(both, "survivors", [case])[0].selected == reached[3]).all()
    assert len(ran) > 1


@pytest.mark.parametrize("method", ["survivors", "contribution"])
def test_model_that_only_stops_has_no_survivors(classifier, brief, method):
    one = replace(classifier, model=exiting(classifier.model))
    expected = f"^expected a method that fits DactForSequenceClassification, got {method}: the model drops no"
    with pytest.raises(InputError, match=expected):
        attribute(one, method, cases_of(one, brief))
