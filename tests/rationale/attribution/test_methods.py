"""What every attribution method must find, and what each is by its definition."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import permutations
from math import factorial

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from eraser import InputError
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute, unfit
from rationale.heads import explained
from rationale.pass_cache import PassCache
from rationale.settings import BASELINES
from tests.conftest import dropping
from tests.helpers.models.able import UNTAUGHT, able
from tests.helpers.models.linear import WORDS, case_of, per_word

QUICK = AttributionSettings(ig_steps=4, gradient_shap_samples=3, lime_samples=12, shap_samples=20)
THOROUGH = AttributionSettings(ig_steps=20, lime_samples=600, shap_samples=300)
EXPLAINING = [name for name, method in METHODS.items() if "explain" in method.uses]
TAKING = [name for name, method in METHODS.items() if "replace" in method.uses]


EXACT = {  # name → what a piece of embedding e is worth on the linear model with weight w, padding p
    "gradient_x_input": lambda e, w, p: e @ w,
    "integrated_gradients": lambda e, w, p: (e - p) @ w,
    "gradient_shap": lambda e, w, p: (e - p) @ w,
    "deeplift": lambda e, w, p: (e - p) @ w,
    "leave_one_out": lambda e, w, p: e @ w,
    "kernel_shap": lambda e, w, p: e @ w,
    "lime": lambda e, w, p: e @ w,
}


@pytest.mark.parametrize("method", EXACT)
def test_on_a_linear_model_the_closed_form(bag, method):
    case = case_of(bag, WORDS)
    (found,) = attribute(bag, method, [case], THOROUGH)
    pad = bag.model.table.weight[bag.encoder.pad_id]
    expected = per_word(bag, case, lambda e: EXACT[method](e, bag.model.weight[:, 1], pad))
    near = 0.1 if method == "lime" else 1e-2 if method == "kernel_shap" else 1e-4  # ridge and regression
    assert found.scores == pytest.approx(expected, abs=near)


@pytest.mark.parametrize(
    ("method", "of_piece"),
    [
        ("saliency", lambda e, w: w.norm()),
        ("gradient_x_input_l1", lambda e, w: (e * w).abs().sum()),
        ("gradient_x_input_l2", lambda e, w: (e * w).norm()),
    ],
)
def test_on_a_linear_model_the_unsigned_ones_too(bag, method, of_piece):
    case = case_of(bag, WORDS)
    (found,) = attribute(bag, method, [case])
    weight = bag.model.weight[:, 1]
    expected = np.zeros(case.n_words)
    for piece, word in zip(case.windows[0].ids, case.windows[0].word, strict=True):
        if word >= 0:
            expected[word] = max(expected[word], float(of_piece(bag.model.table.weight[piece], weight)))
    assert found.scores == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["saliency", *(f"gradient_x_input{of}" for of in ("", "_l1", "_l2"))])
def test_of_weights_in_bf16_sums_and_norms_are_taken_in_float32(bag, method):
    model, found = bag.model, []
    rounded = model.table.weight.bfloat16(), model.weight.bfloat16()  # the same values in both
    for dtype in (torch.float32, torch.bfloat16):
        model.table.weight.data, model.weight = (held.to(dtype) for held in rounded)
        found += attribute(bag, method, [case_of(bag, WORDS)])
    assert found[1].scores == pytest.approx(found[0].scores, abs=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 50])
def test_occlusion_is_the_mean_over_phrases_that_cover_the_word(bag, width):
    case = case_of(bag, WORDS)
    (found,) = attribute(bag, "occlusion", [case], AttributionSettings(occlusion_words=width))
    worth = per_word(bag, case, lambda e: e @ bag.model.weight[:, 1])
    width = min(width, len(WORDS))
    phrases = [range(i, i + width) for i in range(len(WORDS) - width + 1)]
    expected = [np.mean([worth[list(p)].sum() for p in phrases if word in p]) for word in range(len(WORDS))]
    assert found.scores == pytest.approx(expected, abs=1e-4)


def attentive(tokenizer):
    """A one-layer BERT whose [CLS] looks at one dimension of the words, which is its answer too."""
    width, heads = 32, 4
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=heads,
        intermediate_size=8,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).eval().requires_grad_(False)
    table = model.bert.embeddings.word_embeddings.weight
    table.data[:, -1] = 0
    table.data[tokenizer("boring", add_special_tokens=False)["input_ids"], -1] = 1
    attend = model.bert.encoder.layer[0].attention
    attend.self.query.weight.data.zero_()
    attend.self.query.bias.data.fill_(1)
    attend.self.key.weight.data.zero_()
    attend.self.key.weight.data[:, -1] = 0.3
    for linear in (attend.self.value, attend.output.dense, model.bert.pooler.dense):
        linear.weight.data.copy_(torch.eye(width))
    model.classifier.weight.data.zero_()
    model.classifier.weight.data[1, -1] = 3
    return model


@pytest.mark.parametrize("replaced", ["delete", "mask"])
@pytest.mark.parametrize("method", [m for m in UNTAUGHT if m not in BASELINES])
def test_a_planted_decisive_word_is_found_first(classifier, tokenizer, method, replaced):
    assert len(tokenizer("boring", add_special_tokens=False)["input_ids"]) == 1
    model = attentive(tokenizer)
    if METHODS[method].adaptive:
        model = dropping(model, eta=0.9)
        for predictor in model.contribution_predictors:
            predictor.dense.weight.data.zero_()
            predictor.dense.weight.data[:, -1] = 1
            predictor.scorer.weight.data.fill_(1)
    planted = replace(classifier, model=model)
    case = case_of(planted, WORDS)
    settings = AttributionSettings(lime_samples=200, shap_samples=200, occlusion_words=1, replace=replaced)
    (found,) = attribute(planted, method, [case], settings)
    assert WORDS[int(np.argmax(found.scores))] == "boring"
    assert (found.scores == found.scores.max()).sum() == 1


@pytest.mark.parametrize("explain", ["logit", "probability", "margin"])
def test_leave_one_out_is_the_fall_of_what_is_explained(classifier, explain):
    case = case_of(classifier, WORDS)
    (window,) = case.windows

    def value(w):
        ids, types = torch.tensor(w.ids)[None], torch.tensor(w.types)[None]
        negative, positive = classifier.model(input_ids=ids, token_type_ids=types).logits[0].tolist()
        by_hand = {"logit": positive, "margin": positive - negative}
        return by_hand.get(explain, 1 / (1 + np.exp(negative - positive)))

    (found,) = attribute(classifier, "leave_one_out", [case], AttributionSettings(explain=explain))
    for word in range(len(WORDS)):
        left = window.word != word
        without = window.at(left)
        assert found.scores[word] == pytest.approx(value(window) - value(without), abs=1e-5)


def test_margin_is_over_the_best_other_class():
    logits = torch.tensor([[1.0, 4.0, 2.5], [1.0, 4.0, 2.5]])
    assert explained(logits, torch.tensor([1, 0]), "margin", "softmax").tolist() == [1.5, -3.0]


@pytest.mark.parametrize("method", EXPLAINING)
def test_what_is_explained_matters(classifier, method):
    case = case_of(classifier, WORDS)
    found = [
        attribute(classifier, method, [case], replace(QUICK, explain=explain))[0].scores
        for explain in ("logit", "probability", "margin")
    ]
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[0], found[2])


@pytest.mark.parametrize("method", METHODS)
def test_a_method_depends_on_the_settings_it_names_and_on_no_others(classifier, method):
    one = able(classifier, method)
    case = case_of(one, WORDS)
    words = {"explain": "probability", "replace": "mask"}
    plain = attribute(one, method, [case], QUICK)[0].scores
    for field in fields(AttributionSettings):
        value = words[field.name] if field.name in words else getattr(QUICK, field.name) + 2
        changed = replace(QUICK, **{field.name: value})
        same = np.array_equal(attribute(one, method, [case], changed)[0].scores, plain)
        assert same == (field.name not in METHODS[method].uses), field.name
    reseeded = attribute(one, method, [replace(case, seed=7)], QUICK)[0].scores
    assert np.array_equal(reseeded, plain) == ("seed" not in METHODS[method].uses)


def slow_span(classifier, method, window, explain):
    """The answer less that of the empty text, one pass each; for path methods from the word embeddings."""
    real = torch.tensor(window.word) >= 0
    ids, types = torch.tensor(window.ids), torch.tensor(window.types)
    if method == "kernel_shap":
        inputs = [{"input_ids": ids[None]}, {"input_ids": ids[~real][None]}]
        kinds = [types[None], types[~real][None]]
    else:
        table = classifier.model.get_input_embeddings()
        blank = torch.where(real, classifier.encoder.pad_id, ids)
        inputs = [{"inputs_embeds": table(i)[None]} for i in (ids, blank)]
        kinds = [types[None]] * 2
    extra = [{"token_type_ids": k} if classifier.model.config.type_vocab_size > 1 else {} for k in kinds]
    values = [
        float(explained(classifier.model(**i, **e).logits, torch.tensor([1]), explain, "softmax"))
        for i, e in zip(inputs, extra, strict=True)
    ]
    return values[0] - values[1]


@pytest.mark.parametrize(
    ("family", "explain"),
    [("bert", "logit"), ("bert", "probability"), ("roberta", "probability"), ("electra", "logit")],
)
@pytest.mark.parametrize(
    "method", [m for m in METHODS if METHODS[m].expected_sum is not None and m != "attn_lrp"]
)  # whose sum is over special tokens too: see backward/test_relevance.py
def test_delta_is_what_the_scores_of_each_window_miss(
    make_classifier, encoder_texts, method, explain, family
):
    one, settings = make_classifier(family), replace(QUICK, explain=explain)
    for case in encoder_texts:
        (found,) = attribute(one, method, [case], settings)
        expected = 0.0
        for window in case.windows:
            (alone,) = attribute(one, method, [replace(case, windows=(window,))], settings)
            expected += abs(np.nansum(alone.scores) - slow_span(one, method, window, explain))
        assert found.convergence_delta == pytest.approx(expected, abs=2e-3)


@pytest.fixture(scope="module")
def encoder_texts(sample, classifier):
    texts = [sample.text(e) for e in sample.splits["test"][:2]]
    encoded = classifier.encoder.encode(texts)
    return [
        AttributionInput(w, len(t.words), 1, seed=n)
        for n, (t, w) in enumerate(zip(texts, encoded, strict=True))
    ]


@pytest.mark.parametrize("method", ["integrated_gradients", "kernel_shap"])
def test_complete_methods_add_up(classifier, encoder_texts, method):
    settings = AttributionSettings(ig_steps=150, shap_samples=400)
    for found in attribute(classifier, method, encoder_texts, settings):
        assert found.convergence_delta < 0.02 * np.nansum(np.abs(found.scores))


def test_methods_without_a_promise_have_no_delta(classifier):
    assert attribute(classifier, "saliency", [case_of(classifier, WORDS)])[0].convergence_delta is None


@pytest.mark.parametrize("method", TAKING)
@pytest.mark.parametrize("words", [("boring",), ("boring", "talk")])
def test_one_and_two_words(classifier, method, words):
    case = case_of(classifier, words)
    (found,) = attribute(classifier, method, [case], QUICK)
    assert np.isfinite(found.scores).all()
    assert (found.scores != 0).any()


def test_shapley_value_of_two_words_by_hand(classifier):
    case = case_of(classifier, ("boring", "talk"))
    (window,) = case.windows

    def value(*kept):
        left = [w < 0 or w in kept for w in window.word]
        ids, types = torch.tensor(window.ids[left])[None], torch.tensor(window.types[left])[None]
        return float(classifier.model(input_ids=ids, token_type_ids=types).logits[0, 1])

    first = (value(0) - value() + value(0, 1) - value(1)) / 2
    second = (value(1) - value() + value(0, 1) - value(0)) / 2
    together = value(0, 1) - value(0) - value(1) + value()  # what uneven draws of the two words are wrong by
    (found,) = attribute(classifier, "kernel_shap", [case], replace(QUICK, shap_samples=1500))
    assert found.scores == pytest.approx([first, second], abs=0.05 * abs(together))
    assert found.scores.sum() == pytest.approx(first + second, abs=1e-3)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_shapley_values_of_a_short_text_are_exact_and_owe_nothing_to_the_seed(make_classifier, n):
    """Against the mean over all orders of the words of what each word adds (Shapley, 1953)."""
    classifier = make_classifier()
    case = case_of(classifier, WORDS[:n])
    (window,) = case.windows

    def value(*kept):
        left = [w < 0 or w in kept for w in window.word]
        ids, types = torch.tensor(window.ids[left])[None], torch.tensor(window.types[left])[None]
        with torch.no_grad():
            return float(classifier.model(input_ids=ids, token_type_ids=types).logits[0, case.target])

    slow = np.zeros(n)
    for order in permutations(range(n)):
        for i, word in enumerate(order):
            slow[word] += value(*order[: i + 1]) - value(*order[:i])
    slow /= factorial(n)
    settings = replace(QUICK, shap_samples=16)
    for seed in (0, 1):
        (found,) = attribute(classifier, "kernel_shap", [replace(case, seed=seed)], settings)
        assert found.scores == pytest.approx(slow, abs=1e-5)


def test_passes_are_shared_between_methods_and_still_paid_for(make_classifier):
    plain, read = make_classifier(), []
    names = ("saliency", "gradient_x_input", "attention", "rollout")
    assert not any(unfit(plain, m) for m in names)  # which is tried once, by passes of its own
    plain.model.register_forward_hook(lambda *found: read.append(len(found[-1].logits)))
    case = case_of(plain, WORDS)
    one = replace(plain, passes=PassCache())
    shared = [attribute(one, m, [case])[0] for m in names]
    assert sum(read) == 2
    for method, found in zip(names, shared, strict=True):
        assert np.allclose(found.scores, attribute(plain, method, [case])[0].scores)
    named = {key: value for key, value in one.passes.answers.items() if isinstance(key, tuple)}
    computed = {key[0]: seconds for key, (_, seconds) in named.items()}
    assert shared[1].milliseconds >= 1000 * computed["gradient"]
    assert shared[3].milliseconds >= 1000 * computed["attention"]


def test_another_class_is_not_taken_for_the_same(classifier):
    one = replace(classifier, passes=PassCache())
    found = [attribute(one, "gradient_x_input", [case_of(one, WORDS, target=t)])[0].scores for t in (0, 1)]
    assert not np.allclose(*found)


def test_settings_that_cannot_be_carried_out_are_all_named(classifier):
    bad = AttributionSettings(explain="odds", ig_steps=0, lime_samples=0)  # type: ignore[arg-type]
    with pytest.raises(InputError) as error:
        attribute(classifier, "attention", [case_of(classifier, WORDS)], bad)
    assert str(error.value).splitlines() == [
        "expected at least 1 for integrated gradients, steps, got 0",
        "expected at least 1 for LIME, samples, got 0",
        "expected explain as one of logit, probability, margin, got 'odds'",
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_text_whose_words_have_no_pieces_has_no_scores(classifier, method):
    one = able(classifier, method)
    case = case_of(one, ("\ufffd",))
    assert not case.windows[0].has_words
    (found,) = attribute(one, method, [case], QUICK)
    assert np.isnan(found.scores).all()
