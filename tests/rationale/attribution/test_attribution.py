from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute, batched, halving
from rationale.attribution.batched import _remedy, piece_scores
from rationale.attribution.request import AttributionBatch
from rationale.text.windows import OUTSIDE, Window
from rationale.text.word_scores import word_scores
from tests.helpers.models.able import able
from tests.helpers.models.linear import case_of
from tests.oracles import attribution as oracle

QUICK = AttributionSettings(ig_steps=4, gradient_shap_samples=3, lime_samples=12, shap_samples=20)
FAMILIES = ("bert", "roberta", "electra")


@pytest.fixture(scope="module")
def fit(make_classifier):
    """Return a classifier of the family that the method can explain."""

    def make(method, family="bert"):
        return able(make_classifier(family), method)

    return make


@pytest.fixture(scope="module")
def encoded(sample, classifier):
    texts = [sample.text(e) for e in sample.splits["test"][:6]]
    return texts, classifier.encoder.encode(texts)


def cases(encoded, target=1):
    texts, windows = encoded
    return [
        AttributionInput(w, len(t.words), target, seed=n)
        for n, (t, w) in enumerate(zip(texts, windows, strict=True))
    ]


@pytest.mark.parametrize("family", ["roberta"])  # others, and all families: tests/families
@pytest.mark.parametrize("method", METHODS)
def test_alone_in_a_batch_and_padded_are_the_same(fit, encoded, method, family):
    one_family = fit(method, family)
    some = cases(encoded)[:3]
    together = attribute(one_family, method, some, QUICK)
    for case, found in zip(some, together, strict=True):
        (alone,) = attribute(one_family, method, [case], QUICK)
        near = 5e-5 if method == "deeplift" else 1e-5  # its rule divides by differences that may be small
        assert found.scores == pytest.approx(alone.scores, rel=1e-5, abs=near, nan_ok=True)


@pytest.mark.parametrize("method", METHODS)
def test_every_read_word_has_a_score(fit, encoded, method):
    for found, text in zip(attribute(fit(method), method, cases(encoded), QUICK), encoded[0], strict=True):
        assert found.scores.shape == (len(text.words),)
        assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("method", METHODS)
def test_unread_words_are_nan(fit, encoded, method):
    texts, windows = encoded
    (found,) = attribute(
        fit(method), method, [AttributionInput(windows[0][:1], len(texts[0].words) + 3, 1)], QUICK
    )
    assert np.isnan(found.scores[-3:]).all()


def window_of(encoded):
    """A window, not the longest of its batch, so that padding is there to go wrong."""
    return min((w for ws in encoded[1] for w in ws), key=len)


def request_for(classifier, encoded, target=1, **options):
    batch = classifier.encoder.collate([w for ws in encoded[1] for w in ws])
    row = [len(w) for ws in encoded[1] for w in ws].index(len(window_of(encoded)))
    return AttributionBatch(
        batch, torch.full((len(batch.ids),), target), (0,) * len(batch.ids), **options
    ), row


def test_attention_equals_the_oracle(classifier, encoded):
    window = window_of(encoded)
    request, row = request_for(classifier, encoded)
    found = METHODS["attention"].scores(classifier, request)[row, : len(window)]
    expected = oracle.attention_row(classifier.model, torch.tensor(window.ids), torch.tensor(window.types))
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_rollout_equals_the_oracle(classifier, encoded):
    window = window_of(encoded)
    request, row = request_for(classifier, encoded)
    found = METHODS["rollout"].scores(classifier, request)[row, : len(window)]
    expected = oracle.rollout_row(classifier.model, torch.tensor(window.ids), torch.tensor(window.types))
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert sum(expected) == pytest.approx(1, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("target", [0, 1])
def test_gradient_x_input_equals_the_oracle(classifier, encoded, target):
    window = window_of(encoded)
    request, row = request_for(classifier, encoded, target)
    e, gradient = oracle.gradient(
        classifier.model, torch.tensor(window.ids), torch.tensor(window.types), target
    )
    signed = METHODS["gradient_x_input"].scores(classifier, request)[row, : len(window)]
    norm = METHODS["gradient_x_input_l2"].scores(classifier, request)[row, : len(window)]
    assert signed.tolist() == pytest.approx((e * gradient).sum(-1).tolist(), rel=1e-5, abs=1e-5)
    assert norm.tolist() == pytest.approx((e * gradient).pow(2).sum(-1).sqrt().tolist(), rel=1e-5, abs=1e-5)


def test_integrated_gradients_converge_to_the_oracle_and_are_complete(classifier, encoded):
    window = window_of(encoded)
    ids, types = torch.tensor(window.ids), torch.tensor(window.types)
    blank = torch.where(torch.tensor(window.word) == OUTSIDE, ids, classifier.encoder.pad_id)
    request, row = request_for(classifier, encoded, settings=AttributionSettings(ig_steps=60), step_rows=7)
    found = METHODS["integrated_gradients"].scores(classifier, request)[row, : len(window)]
    expected = oracle.integrated(classifier.model, ids, types, 1, blank, steps=120)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=5e-3)
    table = classifier.model.get_input_embeddings()
    with torch.no_grad():
        full, base = (
            classifier.model(inputs_embeds=table(i)[None], token_type_ids=types[None]).logits[0, 1]
            for i in (ids, blank)
        )
    assert float(found.sum()) == pytest.approx(float(full - base), abs=2e-2)


def test_the_time_of_a_batch_is_shared_by_the_pieces_of_its_texts(classifier, monkeypatch):
    some = [case_of(classifier, ("film",) * n) for n in (1, 7)]  # 3 and 9 pieces
    clock = iter((0.0, 0.012))
    monkeypatch.setattr(batched, "now", lambda device: next(clock))
    _, milliseconds, _ = piece_scores(classifier, METHODS["random"], some, QUICK)
    assert milliseconds.tolist() == pytest.approx([3, 9])


def test_random_depends_on_seed_and_word_only(classifier, encoded):
    one, other = cases(encoded)[:2]
    (a,) = attribute(classifier, "random", [one])
    (b,) = attribute(classifier, "random", [replace(one, target=0)])
    (c,) = attribute(classifier, "random", [replace(one, seed=99)])
    assert (a.scores == b.scores).all()
    assert (a.scores != c.scores).all()
    assert (a.scores == np.random.default_rng(0).random(one.n_words)).all()


def test_attention_leaves_the_model_as_it_was(classifier, encoded):
    attribute(classifier, "attention", cases(encoded)[:1])
    assert classifier.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "gradient_shap", "deeplift"])
def test_gradients_in_bf16_take_the_other_attention_and_are_nearly_the_same(classifier, encoded, method):
    exact = attribute(classifier, method, cases(encoded)[:1], QUICK)[0].scores
    rounded = attribute(replace(classifier, bf16=True), method, cases(encoded)[:1], QUICK)[0].scores
    assert np.corrcoef(exact, rounded)[0, 1] > 0.99
    assert classifier.model.config._attn_implementation == "sdpa"


def test_out_of_memory_halves_rows_then_steps(classifier, encoded):
    seen = []

    def greedy(one, request):
        seen.append((len(request.target), request.step_rows))
        if len(request.target) * request.step_rows > 2:
            raise torch.OutOfMemoryError
        return request.batch.ids.double()

    request, _ = request_for(classifier, encoded, step_rows=8)
    method = replace(METHODS["random"], scores=greedy)
    found = halving(classifier, method, request)
    assert (found == request.batch.ids).all()
    assert max(rows * steps for rows, steps in seen) == len(request.target) * 8


def test_no_memory_for_one_window_says_so(classifier, encoded):
    def hungry(one, request):
        raise torch.OutOfMemoryError

    request, _ = request_for(classifier, encoded)
    expected = "^out of memory on cpu for a single window: shorten windows with --max-length$"
    with pytest.raises(InputError, match=expected):
        halving(classifier, replace(METHODS["random"], scores=hungry), request)
    assert _remedy("cuda").endswith("--max-length, or use --precision bf16 or --device cpu")


def test_scores_that_are_not_numbers_are_refused(make_classifier, encoded):
    broken = make_classifier()
    broken.model.classifier.weight.data[:] = float("nan")
    with pytest.raises(InputError, match="^expected finite scores from gradient_x_input, got NaN"):
        attribute(broken, "gradient_x_input", cases(encoded))


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("sum", [1.0, -4.0]), ("max", [3.0, -4.0]), ("max_magnitude", [3.0, -4.0]), ("first", [-2.0, -4.0])],
)
def test_reducers_by_hand(reduce, expected):
    word = np.array([OUTSIDE, 0, 0, 1, OUTSIDE])
    window = Window(np.arange(5), word, np.zeros(5, dtype=int), np.where(word < 0, OUTSIDE, word + 1))
    scores = np.array([100.0, -2.0, 3.0, -4.0, 100.0])
    assert word_scores([window], [scores], 2, reduce).tolist() == expected


def test_max_magnitude_keeps_the_sign():
    window = Window(np.arange(2), np.array([0, 0]), np.zeros(2, dtype=int), np.array([1, 1]))
    assert word_scores([window], [np.array([-5.0, 3.0])], 1, "max_magnitude").tolist() == [-5.0]


def test_every_method_names_its_source():
    for name, method in METHODS.items():
        assert method.source, name
        assert method.scores.__doc__, name
