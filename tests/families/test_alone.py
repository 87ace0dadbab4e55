"""A text's answer depends on nothing but the text: not on its batch, not on what was read before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Text
from rationale.attribution import METHODS, AttributionInput, attribute
from rationale.attribution.batched import piece_scores
from rationale.hf.classifier import Classifier, load_classifier
from rationale.inference.ablate import Erasure, ablate
from rationale.inference.predict import text_probs, together, window_logits
from rationale.models.packed.alone import length_matters, settled
from rationale.settings import AttributionSettings
from rationale.text.encode import Encoder
from rationale.text.windows import Window
from tests.helpers.families.classifiers import (
    FAMILIES,
    LABELS,
    PAD,
    family_classifier,
    family_model,
    family_tokenizer,
)
from tests.helpers.families.methods import text
from tests.helpers.models.able import ENCODERS


def fresh(family, max_length=128):
    """The family's classifier that has read nothing yet, and forgets nothing."""
    encoder = Encoder(family_tokenizer(family), max_length)
    return Classifier(family_model(family), encoder, LABELS, torch.device("cpu"))


def dynamic():
    """A decoder whose rotary frequencies grow with the longest text met: from 16 tokens on."""
    scaled = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}
    family = FAMILIES["llama2"]
    changed = family.config | {"max_position_embeddings": 16, "rope_parameters": scaled}
    FAMILIES["dynamic"] = replace(family, config=changed)
    try:
        return fresh("dynamic")
    finally:
        del FAMILIES["dynamic"]


FORGETFUL = {"bigbird-sparse": (lambda: fresh("bigbird-sparse"), 40, 3), "dynamic": (dynamic, 40, 90)}


def one(classifier, n):
    (windows,) = classifier.encoder.encode([text("t", n)])
    return window_logits(classifier, windows[:1])[0]


@pytest.mark.parametrize("kind", FORGETFUL)
def test_an_answer_does_not_depend_on_what_was_read_before(kind):
    make, asked, before = FORGETFUL[kind]
    expected = one(make(), asked)
    remembering = make()
    one(remembering, before)
    assert np.abs(one(remembering, asked) - expected).max() > 1e-4  # else there would be nothing to forget
    classifier = settled(make())
    one(classifier, before)
    np.testing.assert_allclose(one(classifier, asked), expected, atol=1e-6)
    assert length_matters(classifier)


@pytest.mark.parametrize("kind", FORGETFUL)
def test_a_model_that_was_put_back_answers_alike_in_any_batch(kind):
    classifier = settled(FORGETFUL[kind][0]())
    texts = [text(str(n), n) for n in (3, 40, 12, 40, 90)]
    encoded = [windows[:1] for windows in classifier.encoder.encode(texts)]
    found = text_probs(classifier, encoded)
    for probs, windows in zip(found, encoded, strict=True):
        np.testing.assert_allclose(probs, text_probs(classifier, [windows])[0], atol=1e-6)


def test_a_loaded_model_forgets(tmp_path):
    family_model("bigbird-sparse").save_pretrained(tmp_path)
    family_tokenizer("bigbird-sparse").save_pretrained(tmp_path)
    expected = one(fresh("bigbird-sparse"), 40)
    classifier = load_classifier(tmp_path, device="cpu")
    one(classifier, 3)
    np.testing.assert_allclose(one(classifier, 40), expected, atol=1e-6)


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 12), max_size=30), st.integers(1, 40), st.sampled_from(["convbert", "bert", "t5"])
)
def test_batches_hold_every_window_once_and_only_those_that_go_together(lengths, most, family):
    classifier = family_classifier(family)
    windows = [Window(np.full(n, 3 + n % 2), *(np.zeros(n, int),) * 3) for n in lengths]
    rows = list(together(classifier, windows, most))
    assert sorted(i for batch in rows for i in batch) == list(range(len(windows)))
    for batch in rows:
        sizes = [lengths[i] for i in batch]
        assert len(batch) == 1 or max(sizes) * len(batch) <= most
        if family == "convbert":
            assert len(set(sizes)) == 1
        if family == "t5":  # whose head asks for as many end marks, id 3, in each text
            assert len({int((windows[i].ids == 3).sum()) for i in batch}) == 1


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_end_marks_in_a_text_stop_nothing(family):
    classifier = family_classifier(family, 64)
    marked = Text("m", ("warm", "[SEP]", "film"), {"m": 0}, (0,))
    encoded = classifier.encoder.encode([marked, text("t", 2)])
    assert [len(w.ids) for (w,) in encoded][0] > 3
    found = text_probs(classifier, encoded)
    for probs, windows in zip(found, encoded, strict=True):
        np.testing.assert_allclose(probs, text_probs(classifier, [windows])[0], atol=1e-6)


@pytest.mark.parametrize("family", ["qwen3", "gpt2", "bloom"])
def test_the_empty_text_of_a_model_without_special_tokens_is_a_piece_of_padding(family):
    classifier = family_classifier(family, 64)
    (windows,) = classifier.encoder.encode([text("t", 4)])
    everything = Erasure(windows, np.ones(4, dtype=bool))
    with torch.inference_mode():
        expected = classifier.model(input_ids=torch.tensor([[PAD]])).logits.softmax(-1)[0].numpy()
    alone = ablate(classifier, [everything])[0]
    beside = ablate(classifier, [Erasure(windows, np.zeros(4, dtype=bool)), everything])[1]
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    np.testing.assert_allclose(beside, expected, atol=1e-6)
    for method in ("leave_one_out", "kernel_shap"):
        (found,) = attribute(
            classifier, method, [AttributionInput(windows, 4, 1)], AttributionSettings(shap_samples=20)
        )
        assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("method", ENCODERS)
def test_a_window_without_a_piece_has_no_scores(method):
    classifier = family_classifier("qwen3", 64)
    nothing = Window(*(np.empty(0, dtype=np.int64),) * 4)
    (windows,) = classifier.encoder.encode([text("t", 4)])
    cases = [AttributionInput((nothing,), 1, 1), AttributionInput(windows, 4, 1)]
    quick = AttributionSettings(ig_steps=2, gradient_shap_samples=2, lime_samples=8, shap_samples=8)
    empty, full = attribute(classifier, method, cases, quick)
    assert np.isnan(empty.scores).all()
    assert np.isfinite(full.scores).all()
    pieces, _, _ = piece_scores(classifier, METHODS[method], cases, quick)
    assert [len(p) for p in pieces] == [0, len(windows[0])]
