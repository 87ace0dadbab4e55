"""AttnLRP and GIM beside rewrites by hand, and what AttnLRP conserves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from eraser import InputError, Text
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute, unfit
from rationale.attribution.backward.relevance import GIM
from rationale.attribution.backward.rules import Ruled, Rules
from rationale.attribution.gradients import ruled_gradient_x_input
from rationale.attribution.request import AttributionBatch
from rationale.hf.classifier import Classifier
from tests.helpers.one_layer import OneLayer

WORDS = ("a", "film", "of", "quiet", "charm", "and", "boring", "talk")


def window_of(classifier):
    (windows,) = classifier.encoder.encode([Text("t", WORDS, {"t": 0}, (0,))])
    (window,) = windows
    return window


def request_of(classifier, target=1, **settings):
    batch = classifier.encoder.collate([window_of(classifier)])
    return AttributionBatch(batch, torch.tensor([target]), (0,), AttributionSettings(**settings))


@pytest.fixture(scope="module", params=[0, 1])
def one_layer(request, classifier, tokenizer):
    """A BERT of one layer with large weights and biases everywhere, in float64."""
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=12, num_hidden_layers=1, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = BertForSequenceClassification(config).double().eval().requires_grad_(False)
    draws = torch.Generator().manual_seed(request.param)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64) * 0.5)
    return replace(classifier, model=model, passes=None)


@pytest.fixture(scope="module")
def by_hand(one_layer):
    config = one_layer.model.config
    weights = {name: value.numpy() for name, value in one_layer.model.state_dict().items()}
    found = OneLayer(weights, config.num_attention_heads, config.layer_norm_eps)
    answer = found.forward(window_of(one_layer).ids)
    ids = torch.tensor(window_of(one_layer).ids)[None]
    assert answer == pytest.approx(one_layer.model(input_ids=ids).logits[0].numpy(), abs=1e-12)
    return found


@pytest.mark.parametrize("target", [0, 1])
def test_attn_lrp_is_the_papers_rules_step_by_step(one_layer, by_hand, target):
    """What the words' sum lacks is with positions and types, biases and softmaxes: nothing else."""
    by_hand.absorbed.clear()
    words, beside, absorbed = by_hand.relevance(target)
    assert words.sum() + beside + absorbed == pytest.approx(by_hand.answer[target], abs=1e-9)
    (found,) = METHODS["attn_lrp"].scores(one_layer, request_of(one_layer, target=target))
    assert found.numpy() == pytest.approx(words, abs=1e-5 * np.abs(words).max())


def test_the_delta_of_attn_lrp_is_all_that_constants_keep(one_layer, by_hand):
    by_hand.absorbed.clear()
    _, beside, absorbed = by_hand.relevance(1)
    (found,) = attribute(one_layer, "attn_lrp", [AttributionInput((window_of(one_layer),), len(WORDS), 1)])
    assert found.convergence_delta == pytest.approx(abs(beside + absorbed), abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_gim_is_the_modified_gradient_step_by_step(one_layer, by_hand, temperature):
    (found,) = METHODS["gim"].scores(one_layer, request_of(one_layer, gim_temperature=temperature))
    expected = by_hand.gradient_x_input(1, temperature, half=0.5, frozen=True)
    assert found.numpy() == pytest.approx(expected, abs=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_gim_that_modifies_nothing_is_gradient_x_input(make_classifier, family):
    one = make_classifier(family)
    nothing = replace(GIM, freeze_norms=False, share_attention=False, temperature=1.0)
    assert nothing == Rules()
    request = request_of(one)
    found = ruled_gradient_x_input(one, request, Ruled(nothing))
    expected = METHODS["gradient_x_input"].scores(one, request)
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)  # fused or not
    assert not np.allclose(found, METHODS["gim"].scores(one, request), atol=1e-4)


def test_the_rewrite_that_modifies_nothing_is_gradient_x_input(one_layer, by_hand):
    (expected,) = METHODS["gradient_x_input"].scores(one_layer, request_of(one_layer)).numpy()
    assert by_hand.gradient_x_input(1) == pytest.approx(expected, abs=1e-5 * np.abs(expected).max())


class NoBias(nn.Module):
    """A norm, attention without softmax, a gate: nothing is added to what comes of the words."""

    config = SimpleNamespace(type_vocab_size=1)

    def __init__(self, n, activation, last=None, root=torch.rsqrt, width=6):
        super().__init__()
        self.root = root
        self.table = nn.Embedding(n, width)
        self.norm, self.activation = nn.LayerNorm(width, bias=False), activation
        self.up, self.gate, self.query, self.key = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.head, self.last = nn.Linear(width, 2, bias=False), last or nn.Identity()
        self.requires_grad_(False)

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids=None, attention_mask=None):
        states = self.norm(self.table(input_ids)) * attention_mask[..., None]
        looks = self.query(states) @ self.key(states).transpose(1, 2) / 8  # [B,T,T]
        states = states + looks @ states
        states = states * self.root(states.pow(2).mean(-1, keepdim=True) + 1e-6)
        states = states + self.activation(self.gate(states)) * self.up(states)
        return SimpleNamespace(
            logits=self.head(self.last(torch.tanh((states * attention_mask[..., None]).mean(1))))
        )


def no_bias(classifier, tokenizer, activation, **parts):
    torch.manual_seed(3)
    model = NoBias(len(tokenizer), activation, **parts)
    return Classifier(model, classifier.encoder, ("NEG", "POS"), torch.device("cpu"))


@pytest.mark.parametrize(
    "activation", [nn.GELU(), nn.SiLU(), nn.ReLU(), nn.Mish(), nn.Identity(), torch.square]
)
@pytest.mark.parametrize("target", [0, 1])
def test_without_biases_and_softmax_attn_lrp_sums_to_the_logit(classifier, tokenizer, activation, target):
    one = no_bias(classifier, tokenizer, activation)
    assert unfit(one, "attn_lrp") is None
    request = request_of(one, target=target)
    logit = float(one.model(request.batch.ids, request.batch.real.long()).logits[0, target])
    assert abs(logit) > 0.01
    assert float(METHODS["attn_lrp"].scores(one, request).sum()) == pytest.approx(logit, abs=1e-4)
    assert float(METHODS["gradient_x_input"].scores(one, request).sum()) != pytest.approx(logit, abs=1e-3)


@pytest.mark.parametrize(
    "root", [lambda x: 1 / torch.sqrt(x), lambda x: x**-0.5, lambda x: torch.pow(x, -0.5)]
)
def test_a_norm_may_be_written_in_other_functions(classifier, tokenizer, root):
    found, expected = (
        METHODS["attn_lrp"].scores(one, request_of(one))
        for one in (no_bias(classifier, tokenizer, nn.GELU(), root=r) for r in (root, torch.rsqrt))
    )
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize(("last", "name"), [(nn.Sigmoid(), "sigmoid"), (nn.Softplus(), "softplus")])
def test_a_function_that_loses_relevance_is_named(classifier, tokenizer, last, name):
    one = no_bias(classifier, tokenizer, nn.GELU(), last=last)
    case = AttributionInput((window_of(one),), len(WORDS), 1)
    with pytest.raises(InputError) as error:
        attribute(one, "attn_lrp", [case])
    assert str(error.value) == (
        f"expected a method that fits NoBias, got attn_lrp: it has no rule for {name}, "
        "where relevance would be lost; leave_one_out works"
    )


def test_a_model_without_softmax_has_nothing_for_gim_to_modify(classifier, tokenizer):
    one = no_bias(classifier, tokenizer, nn.GELU())
    assert unfit(one, "gim") == "it needs a softmax of attention weights; leave_one_out works"


@pytest.mark.parametrize("temperature", [0.5, 0.0, float("inf"), float("nan")])
def test_a_temperature_that_cannot_be_used_is_refused(classifier, temperature):
    case = AttributionInput((window_of(classifier),), len(WORDS), 1)
    with pytest.raises(InputError) as error:
        attribute(classifier, "gim", [case], AttributionSettings(gim_temperature=temperature))
    assert str(error.value) == f"expected a temperature of at least 1 for GIM, got {temperature}"
