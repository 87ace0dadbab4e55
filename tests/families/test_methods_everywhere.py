"""Every method on every family: right alone, in a batch and in windows, or refused for a reason given here.

A few families are tried by `make test`, all of them by `make test-families`.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute, fitting, unfit
from rationale.hf.classifier import load_classifier, quiet
from rationale.inference.predict import text_probs
from rationale.models.packed.alone import length_matters
from rationale.models.packed.reads import reads_of
from rationale.text.windows import OUTSIDE
from tests.helpers.families.classifiers import FAMILIES, family_classifier, family_model, family_tokenizer
from tests.helpers.families.methods import (
    COPIES,
    EXPLAINING,
    READS,
    REFUSED,
    cases_of,
    request_of,
    surely_refused,
    text,
)

QUICK = AttributionSettings(ig_steps=4, gradient_shap_samples=3, lime_samples=8, shap_samples=8)
FEW = ("modernbert", "deberta-v3", "qwen3", "t5", "convbert")  # BERT's: tests/rationale/attribution
NEAR = 1e-5  # of the largest score, or of 1 where that is smaller
AMPLIFIES = {"mobilebert": 100, "umt5": 10}  # states grow from layer to layer, and rounding with them


BY_LENGTH = {"bigbird-sparse", "convbert", "xlnet"}

every_family = pytest.mark.parametrize(
    "family",
    [
        name if name in FEW else pytest.param(name, marks=pytest.mark.families)
        for name in FAMILIES
        if name != "funnel"  # is refused when it is loaded
    ],
)


def scores(classifier, method, cases):
    return [found.scores for found in attribute(classifier, method, cases, QUICK)]


@every_family
@pytest.mark.parametrize("method", EXPLAINING)
def test_scores_are_the_same_alone_in_a_batch_and_in_windows(family, method):
    classifier, (short, long) = family_classifier(family), cases_of(family)
    if method in REFUSED.get(family, ()):
        pytest.skip("is refused, see below")
    together = scores(classifier, method, [short, long])
    (alone,) = scores(classifier, method, [short])
    windows = [
        scores(classifier, method, [AttributionInput((w,), long.n_words, 1, long.seed)])[0]
        for w in long.windows
    ]
    pieced = np.where(np.isnan(windows).all(0), np.nan, np.nansum(windows, axis=0))
    for found, expected in zip(together, (alone, pieced), strict=True):
        assert np.isfinite(found).all()
        near = NEAR * AMPLIFIES.get(family, 1) * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, atol=near, rtol=0)
    assert (together[0] != 0).any()


@every_family
def test_what_does_not_fit_is_told_before_anything_is_computed(family, record_property):
    classifier, cases = family_classifier(family), cases_of(family)
    expected = REFUSED.get(family, {})
    found = {m: reason for m in EXPLAINING if (reason := unfit(classifier, m)) is not None}
    assert surely_refused(family) <= found.keys() <= expected.keys()
    for method, reason in found.items():
        assert reason.startswith(expected[method]), method
    calls = []
    handle = classifier.model.register_forward_hook(lambda *_: calls.append(1))
    try:
        for method, reason in found.items():
            with pytest.raises(InputError) as error:
                attribute(classifier, method, cases, QUICK)
            name = type(classifier.model).__name__
            assert str(error.value) == f"expected a method that fits {name}, got {method}: {reason}"
    finally:
        handle.remove()
    assert not calls
    fit, left_out = fitting(classifier, EXPLAINING)
    assert {*fit} == {*EXPLAINING} - {*found}
    assert left_out == tuple(f"{method} is left out: {reason}" for method, reason in found.items())
    record_property("refused", json.dumps(found))


@every_family
def test_the_last_words_of_a_refusal_are_methods_that_work(family):
    for reason in REFUSED.get(family, {}).values():
        named = [m for m in EXPLAINING if f" {m} " in f"{reason.rpartition(';')[2]} "]
        assert named or reason == COPIES
        assert not any(m in REFUSED[family] for m in named)


def test_a_model_that_cannot_read_the_empty_text_is_refused_when_it_is_loaded(tmp_path, record_property):
    """Funnel pools to fewer places than its positions are for, in plain Hugging Face too."""
    quiet()
    family_model("funnel").save_pretrained(tmp_path)
    family_tokenizer("funnel").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="^expected a model that can read the empty text, got Runtime"):
        load_classifier(tmp_path, device="cpu")
    record_property("family", "funnel")
    record_property("refused", json.dumps({"loading": "the empty text cannot be read"}))


@every_family
def test_special_tokens_are_no_words(family):
    classifier = family_classifier(family)
    specials = classifier.encoder.tokenizer.all_special_ids
    for window in [w for case in cases_of(family) for w in case.windows]:
        special = np.isin(window.ids, [i for i in specials if i != classifier.encoder.tokenizer.unk_token_id])
        assert ((window.word == OUTSIDE) == special).all()


@every_family
def test_probabilities_are_those_of_plain_hugging_face(family):
    classifier = family_classifier(family)
    texts = [text("short", 3), text("middle", 5), text("a", 6), text("b", 2)]
    encoded = classifier.encoder.encode(texts)
    found = text_probs(classifier, encoded)
    for probs, one, (window,) in zip(found, texts, encoded, strict=True):
        inputs = classifier.encoder.tokenizer(" ".join(one.words), return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == window.ids.tolist()
        with torch.inference_mode():
            plain = classifier.model(**inputs).logits.softmax(-1)[0].numpy()
        np.testing.assert_allclose(probs, plain, atol=1e-6)
    assert np.ptp(found[:, 0]) > 1e-3


@every_family
def test_what_the_head_reads_and_whether_length_matters(family):
    classifier = family_classifier(family)
    assert reads_of(classifier.model) == READS.get(family, "first")
    assert length_matters(classifier) == (family in BY_LENGTH)


@every_family
def test_gradient_is_that_of_the_words_own_rows(family):
    """Of a piece that stands once in a text, e · gradient is its row of the table × the row's gradient."""
    classifier, case = family_classifier(family), cases_of(family)[0]
    (window,) = case.windows
    once = [i for i, n in zip(*np.unique(window.ids, return_counts=True), strict=True) if n == 1]
    ids = torch.tensor(window.ids)[None]
    table = classifier.model.get_input_embeddings().weight.requires_grad_()
    try:
        with torch.enable_grad():
            inputs = classifier.inputs(classifier.encoder.collate([window]))
            (gradient,) = torch.autograd.grad(classifier.model(input_ids=ids, **inputs).logits[0, 1], table)
    finally:
        table.requires_grad_(False)
    product = (table * gradient)[window.ids]
    request = request_of(classifier, cases_of(family))
    norms = METHODS["gradient_x_input_l2"].scores(classifier, request)[0]
    sums = METHODS["gradient_x_input"].scores(classifier, request)[0]
    checked = [n for n, i in enumerate(window.ids) if i in once and window.word[n] != OUTSIDE]
    assert checked
    for n in checked:
        size = max(1.0, float(product[n].norm()))
        assert float(norms[n]) == pytest.approx(float(product[n].norm()), abs=2e-5 * size)
        assert float(sums[n]) == pytest.approx(float(product[n].sum()), abs=2e-5 * size)
