"""What a model's logits are, for every kind of head: plain Hugging Face says the same numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import pipeline

from eraser import InputError
from rationale.attribution import AttributionInput, AttributionSettings, attribute
from rationale.explanation import explain
from rationale.heads import HEADS, check_explain, explained, predicted_label
from rationale.hf.classifier import load_classifier, new_classifier
from tests.conftest import dropping
from tests.helpers.models.able import ENCODERS
from tests.helpers.models.made_heads import LABELS, MULTI_LABEL, REGRESSION, head_model, save

TEXTS = (
    "a warm , moving film .",
    "never dull , and the cast is a joy",
    "dull , flat and far too long . not one good scene , and not one good line",
)


@pytest.fixture(scope="module")
def folder_of(tokenizer, tmp_path_factory):
    """Make a folder with n logits of a problem type."""
    made = {}

    def make(n, problem=None, family="bert", labels=None):
        key = (n, problem, family, labels)
        if key not in made:
            model = head_model(tokenizer, *key)
            made[key] = save(model, tokenizer, tmp_path_factory.mktemp("head"))
        return made[key]

    return make


def plain(folder, text, **how):
    """What `pipeline("text-classification")` says, by label."""
    (rows,) = pipeline("text-classification", model=str(folder), top_k=None, **how)([text])
    return {row["label"]: row["score"] for row in rows}


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize(
    ("n", "problem", "given", "head"),
    [
        (3, None, None, "softmax"),
        (3, "single_label_classification", None, "softmax"),
        (3, MULTI_LABEL, None, "sigmoid"),
        (1, MULTI_LABEL, None, "sigmoid"),
        (1, None, ("NEG", "POS"), "two_classes"),
        (1, REGRESSION, None, "value"),
    ],
)
def test_answers_are_those_of_plain_hugging_face(folder_of, family, n, problem, given, head):
    folder = folder_of(n, problem, family)
    classifier = load_classifier(folder, labels=given)
    assert classifier.head == head
    for text in TEXTS:
        found, wanted = explain(classifier, text, "random"), plain(folder, text)
        if head == "two_classes":
            wanted = {"POS": wanted["LABEL_0"], "NEG": 1 - wanted["LABEL_0"]}
        if head == "value":
            wanted = {"value": wanted["LABEL_0"]}
        assert found.probs == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_one_logit_of_no_problem_type_is_a_number_as_it_is(folder_of, family):
    classifier = load_classifier(folder_of(1, None, family))
    assert (classifier.head, classifier.labels) == ("value", ("value",))
    for text in TEXTS:
        wanted = plain(folder_of(1, None, family), text, function_to_apply="none")["LABEL_0"]
        found = explain(classifier, text, "random")
        assert found.probs == pytest.approx({"value": wanted}, abs=1e-6)
        assert float(found.label) == pytest.approx(wanted, rel=1e-5)
        assert (found.kind, found.target) == ("value", "value")


def test_answers_in_a_batch_are_those_alone(folder_of):
    from eraser import Text
    from rationale.inference.predict import text_probs

    for n, problem in ((3, MULTI_LABEL), (1, REGRESSION)):
        classifier = load_classifier(folder_of(n, problem))
        texts = [Text(str(i), tuple(t.split()), {"text": 0}, (0,)) for i, t in enumerate(TEXTS)]
        together = text_probs(classifier, classifier.encoder.encode(texts))
        alone = [list(explain(classifier, t, "random").probs.values()) for t in TEXTS]
        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_model_s_own_name_of_a_number_is_kept_or_a_given_one(folder_of):
    assert load_classifier(folder_of(1, REGRESSION, labels=("stars",))).labels == ("stars",)
    assert load_classifier(folder_of(1, REGRESSION), labels=["score"]).labels == ("score",)


# What is explained, by hand


LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
TARGET = torch.tensor([0, 2])


def sigma(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("head", "explain_", "wanted"),
    [
        ("softmax", "logit", [2.0, 1.0]),
        ("softmax", "margin", [1.5, -2.0]),
        ("softmax", "probability", [
            math.exp(2) / (math.exp(2) + math.exp(0.5) + math.exp(-1)),
            math.exp(1) / (1 + math.exp(3) + math.exp(1)),
        ]),
        ("sigmoid", "logit", [2.0, 1.0]),
        ("sigmoid", "margin", [2.0, 1.0]),
        ("sigmoid", "probability", [sigma(2), sigma(1)]),
        ("given", "probability", [2.0, 1.0]),
        ("given_labels", "probability", [2.0, 1.0]),
    ],
)  # fmt: skip
def test_what_is_explained_of_several_logits(head, explain_, wanted):
    assert explained(LOGITS, TARGET, explain_, head).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("explain_", "wanted"),
    [
        ("logit", [1.5, -1.5, 1.5]),
        ("margin", [1.5, -1.5, 1.5]),
        ("probability", [sigma(1.5), sigma(-1.5), sigma(1.5)]),
    ],
)
def test_what_is_explained_of_one_logit_of_two_classes(explain_, wanted):
    logits = torch.tensor([[-1.5], [-1.5], [1.5]], dtype=torch.float64)
    found = explained(logits, torch.tensor([0, 1, 1]), explain_, "two_classes")
    assert found.tolist() == pytest.approx(wanted)
    answers = HEADS["two_classes"].answers(logits.numpy())
    np.testing.assert_allclose(answers, [[sigma(1.5), sigma(-1.5)]] * 2 + [[sigma(-1.5), sigma(1.5)]])


@pytest.mark.parametrize("head", HEADS)
def test_what_is_explained_has_the_answer_s_gradient(head):
    """Probability explained is the answer itself, so that its gradient is that of the answer."""
    n_logits = 1 if head in ("two_classes", "value") else 3
    logits = torch.randn(4, n_logits, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answers = HEADS[head].answers(logits.numpy())
    for target in range(answers.shape[1]):
        if "probability" in HEADS[head].explained:
            found = explained(logits, torch.full((4,), target), "probability", head)
            np.testing.assert_allclose(found.numpy(), answers[:, target], atol=1e-12)
        for way in HEADS[head].explained:
            at = logits.clone().requires_grad_()
            explained(at, torch.full((4,), target), way, head).sum().backward()
            assert torch.isfinite(at.grad).all()


def test_labels_above_the_threshold_are_said():
    answers = np.array([0.7, 0.5, 0.6])
    assert predicted_label("sigmoid", LABELS, answers) == "rude|insult"
    assert predicted_label("sigmoid", LABELS, answers, 0.65) == "rude"
    assert predicted_label("sigmoid", LABELS, answers, 0.9) == ""
    assert predicted_label("two_classes", ("NEG", "POS"), np.array([0.4, 0.6])) == "POS"
    assert predicted_label("value", ("value",), np.array([2.25])) == "2.25"


# Methods


def logits_of(classifier, words):
    pieces = classifier.encoder.tokenizer(" ".join(words), return_tensors="pt")
    ids = {k: v for k, v in pieces.items() if k in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        return classifier.model(**ids).logits[0].double().numpy()


@pytest.mark.parametrize("target", LABELS)
def test_each_label_is_explained_on_its_own(folder_of, target):
    classifier = load_classifier(folder_of(3, MULTI_LABEL, labels=LABELS))
    words, at = TEXTS[1].split(), LABELS.index(target)
    found = explain(classifier, TEXTS[1], "leave_one_out", target=f"label:{target}")
    assert found.target == target
    whole = logits_of(classifier, words)[at]
    falls = [whole - logits_of(classifier, words[:i] + words[i + 1 :])[at] for i in range(len(words))]
    np.testing.assert_allclose(found.scores, falls, atol=1e-5)


def test_the_most_probable_label_is_explained_where_none_is_named(folder_of):
    classifier = load_classifier(folder_of(3, MULTI_LABEL, labels=LABELS))
    found = explain(classifier, TEXTS[0], "gradient_x_input")
    assert found.target == max(found.probs, key=found.probs.get)
    named = explain(classifier, TEXTS[0], "gradient_x_input", target=found.target)
    np.testing.assert_array_equal(found.scores, named.scores)


def test_a_probability_explained_falls_by_the_sigmoid_not_the_softmax(folder_of):
    classifier = load_classifier(folder_of(3, MULTI_LABEL, labels=LABELS))
    words = tuple(TEXTS[0].split())
    whole, less = (1 / (1 + np.exp(-logits_of(classifier, w))) for w in (words, words[1:]))
    (windows,) = encoded(classifier, words)
    for at in range(3):
        how = AttributionSettings(explain="probability")
        (found,) = attribute(classifier, "leave_one_out", [AttributionInput(windows, len(words), at)], how)
        assert found.scores[0] == pytest.approx(whole[at] - less[at], abs=1e-6)


def encoded(classifier, words):
    from eraser import Text

    return classifier.encoder.encode([Text("t", words, {"text": 0}, (0,))])


def two_logits(classifier, tokenizer):
    """The model with two logits, 0 and z, whose softmax is that of the one logit z of two classes."""
    model = head_model(tokenizer, 2)
    model.load_state_dict(
        {
            k: torch.cat([torch.zeros_like(v), v]) if k.startswith("classifier.") else v
            for k, v in classifier.model.state_dict().items()
        }
    )
    return replace(classifier, model=model, head="softmax")


def test_one_logit_of_two_classes_is_explained_as_the_two_logits_it_stands_for(folder_of, tokenizer):
    one = load_classifier(folder_of(1), labels=["NEG", "POS"])
    two = two_logits(one, tokenizer)
    words = tuple(TEXTS[2].split())
    (windows,) = encoded(one, words)
    names = [n for n in ENCODERS if n != "deeplift"]
    for explain_ in ("probability", "margin"):
        how = AttributionSettings(explain=explain_, lime_samples=20, shap_samples=60)
        for target in (0, 1):
            case = [AttributionInput(windows, len(words), target, 5)]
            for name in names:
                (a,), (b,) = (attribute(c, name, case, how) for c in (one, two))
                np.testing.assert_allclose(a.scores, b.scores, atol=2e-5, err_msg=f"{name} {explain_}")


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "kernel_shap", "attention"])
def test_a_number_is_explained_as_it_is(folder_of, method):
    """The same weights with two logits: the first logit explained is the number explained."""
    value = load_classifier(folder_of(1, REGRESSION))
    found = explain(value, TEXTS[1], method, seed=3)
    as_logit = replace(value, head="softmax", labels=("only",))
    np.testing.assert_allclose(found.scores, explain(as_logit, TEXTS[1], method, seed=3).scores, atol=1e-6)
    assert found.scores.any()


def test_a_number_s_integrated_gradients_sum_to_its_change(folder_of, tokenizer):
    classifier = load_classifier(folder_of(1, REGRESSION))
    words = tuple(TEXTS[0].split())
    (windows,) = encoded(classifier, words)
    how = AttributionSettings(ig_steps=200)
    (found,) = attribute(classifier, "integrated_gradients", [AttributionInput(windows, len(words), 0)], how)
    ids, inside = windows[0].ids, windows[0].word >= 0
    with torch.inference_mode():
        full, empty = (
            float(classifier.model(input_ids=torch.tensor(i[None])).logits)
            for i in (ids, np.where(inside, tokenizer.pad_token_id, ids))
        )
    assert abs(found.scores.sum() - (full - empty)) == pytest.approx(found.convergence_delta, abs=1e-4)


# Refusals


def refused(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_names_that_do_not_fit_are_refused(folder_of):
    one, three = folder_of(1), folder_of(3, MULTI_LABEL)
    refused(
        lambda: load_classifier(one, labels=["a", "b", "c"]),
        "expected 1 label, as the model has one logit, or 2 to read it as two classes, got 3: ['a',",
    )
    refused(lambda: load_classifier(three, labels=["a", "b"]), "expected 3 labels, as the model has, got 2")
    refused(lambda: load_classifier(three, labels=["a", "b", "a"]), "duplicate labels")
    own = LABELS[1], LABELS[0], LABELS[2]
    refused(
        lambda: load_classifier(folder_of(3, labels=LABELS), labels=own),
        f"expected the model's own labels in their own order, {','.join(LABELS)}, got {','.join(own)}",
    )
    assert load_classifier(folder_of(3, labels=LABELS), labels=LABELS).labels == LABELS
    refused(
        lambda: load_classifier(three, labels=["a", "b|c", "d"]),
        "expected labels without |, which joins several, got 'b|c'",
    )


def test_several_numbers_are_refused(folder_of):
    refused(
        lambda: load_classifier(folder_of(3, REGRESSION)), "expected one number from a regression, got 3:"
    )


def test_targets_that_a_model_does_not_have_are_refused(folder_of):
    several = load_classifier(folder_of(3, MULTI_LABEL, labels=LABELS))
    number = load_classifier(folder_of(1, REGRESSION))
    refused(
        lambda: explain(several, TEXTS[0], target="label:kind"),
        "expected a target of rude, threat, insult, of a multi-label model, got 'label:kind'",
    )
    refused(
        lambda: explain(number, TEXTS[0], target="gold"),
        "expected a target of value, of a model that gives a number, got 'gold'",
    )


def test_a_number_has_no_probability(folder_of):
    number = load_classifier(folder_of(1, REGRESSION))
    (windows,) = encoded(number, ("a", "film"))
    for way in ("probability", "margin"):
        refused(
            lambda way=way: attribute(
                number, "saliency", [AttributionInput(windows, 2, 0)], AttributionSettings(explain=way)
            ),
            f"expected explain as logit, for a model that gives a number, got '{way}'",
        )
    refused(
        lambda: check_explain("logit", "given"),
        "expected explain as probability, for a function of texts, got 'logit'",
    )


def test_a_backbone_of_another_head_is_trained_to_give_one_class(folder_of, tmp_path):
    """What it gave before must not decide how the new head is read."""
    for problem in (MULTI_LABEL, REGRESSION):
        model, tokenizer = new_classifier(folder_of(3, problem), ("a", "b", "c"))
        folder = save(model, tokenizer, tmp_path / problem)
        assert load_classifier(folder).head == "softmax"


def test_a_model_that_drops_words_is_read_as_the_one_inside(tokenizer, tmp_path):
    inner = head_model(tokenizer, 3, MULTI_LABEL, labels=LABELS)
    save(dropping(inner), tokenizer, tmp_path / "around")
    classifier = load_classifier(tmp_path / "around")
    assert (classifier.head, classifier.labels) == ("sigmoid", LABELS)
    with classifier.model.at_dial(0.0):  # nothing is dropped
        found = explain(classifier, TEXTS[0], "random")
    logits = logits_of(replace(classifier, model=inner), TEXTS[0].split())
    assert list(found.probs.values()) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


def test_models_of_other_heads_are_other_models(folder_of):
    one = load_classifier(folder_of(1))
    two = load_classifier(folder_of(1), labels=["NEG", "POS"])
    assert one.identity() != two.identity()
