from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import ElectraConfig, ElectraForSequenceClassification

from rationale.models.flops import Costs, costs, kept_lengths, parts_by_layer
from rationale.models.packed.encoder import LayerTrace, Output
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.models.counted import counted, text
from tests.helpers.paths import golden
from tests.oracles.flops import official_adapler_flops, official_bert_flops

LENGTHS = (1, 2, 17, 90)


def narrow(dense):
    """Cut a layer's attention to three of its four heads, and its feed-forward block from 48 to 20."""
    layer = dense.base_model.encoder.layer[1]
    own = layer.attention.self
    own.num_attention_heads, own.all_head_size = 3, 24
    for name in ("query", "key", "value"):
        setattr(own, name, nn.Linear(32, 24))
    layer.attention.output.dense = nn.Linear(24, 32)
    layer.intermediate.dense, layer.output.dense = nn.Linear(32, 20), nn.Linear(20, 32)


def projected(tokenizer):
    """An ELECTRA whose embeddings are narrower than its layers, as in the small models it comes in."""
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=12, hidden_size=32, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=48, max_position_embeddings=130, initializer_range=0.3,
    )  # fmt: skip
    return ElectraForSequenceClassification(config).eval()


@pytest.fixture(scope="module", params=[*FAMILIES, "narrow", "projected"])
def model(request, tokenizer):
    if request.param == "projected":
        return dropping(projected(tokenizer))
    family = "bert" if request.param == "narrow" else request.param
    found = dropping(tiny_model(family, tokenizer, ("NEG", "POS", "NEITHER")))
    if request.param == "narrow":
        narrow(found.model)
    return found


def test_dense_operations_are_those_torch_counts(model):
    price = costs(model.model)
    for n in LENGTHS:
        assert price.dense(n) == counted(model.model, text(n))[0]


def test_attention_spelt_out_costs_what_fused_attention_is_counted_as(model):
    model.model.set_attn_implementation("eager")
    for n in LENGTHS:
        assert costs(model.model).dense(n) == counted(model.model, text(n))[0]
    model.model.set_attn_implementation("sdpa")


def test_operations_with_removal_are_those_torch_counts(model):
    price, lengths = costs(model), []
    for n in LENGTHS:
        found, output = counted(model, text(n))
        lengths.append(kept_lengths(output))
        assert price.shrinking([n], lengths[-1]).tolist() == [found]
    last = np.concatenate(lengths, axis=1)[-1]
    assert (last[2:] < LENGTHS[2:]).all()  # else nothing was removed and nothing compared


def test_the_parts_of_a_layer_add_up_to_what_it_costs(model):
    """The dense model's own parts are its cost; a text that has stopped costs nothing."""
    layers, lengths = len(costs(model).token), np.array(LENGTHS)
    parts = parts_by_layer(model.model, lengths, np.tile(lengths, (layers, 1)))
    assert (parts["matrices"] + parts["attention"]).tolist() == parts["dense"].tolist()
    kept = np.array([[1, 2, 15, 0]] * layers)
    parts = parts_by_layer(model, lengths, kept)
    price, bare = costs(model), costs(model.model)
    inside = price.shrinking(lengths, kept) - bare.embedding * lengths - price.head
    assert sum(parts[name].sum() for name in ("matrices", "attention", "deciding")) == inside.sum()


def test_a_batch_costs_what_its_texts_cost_alone(model):
    price = costs(model)
    kept = np.array([[1, 2, 15, 60], [1, 2, 9, 33], [1, 1, 4, 33]])
    alone = [float(price.shrinking([n], kept[:, [i]])[0]) for i, n in enumerate(LENGTHS)]
    assert price.shrinking(LENGTHS, kept).tolist() == alone
    assert price.dense(LENGTHS).tolist() == [float(price.dense(n)) for n in LENGTHS]


def test_nothing_removed_costs_the_dense_model_and_the_predictors(model):
    price, layers = costs(model), len(costs(model).token)
    everything = np.tile(LENGTHS, (layers, 1))
    bare = costs(model.model)
    assert bare.remover == (0,) * layers
    assert bare.shrinking(LENGTHS, everything).tolist() == bare.dense(LENGTHS).tolist()
    assert price.dense(LENGTHS).tolist() == bare.dense(LENGTHS).tolist()
    predictors = layers * 2 * (32 * 32 + 32) * np.array(LENGTHS)
    assert (price.shrinking(LENGTHS, everything) - bare.dense(LENGTHS)).tolist() == predictors.tolist()


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 60), st.lists(st.integers(1, 60), min_size=3, max_size=3))
def test_costs_add_up_by_hand(n, kept):
    """Three layers: what enters a predictor is what the layer before kept."""
    price = Costs((3, 5, 7), (2, 4, 6), remover=(11, 13, 17), exit=(0, 0, 0), embedding=19, head=23)
    expected = 19 * n + 23
    for i, before in enumerate([n, *kept[:-1]]):
        expected += (11, 13, 17)[i] * before + (3, 5, 7)[i] * kept[i] + (2, 4, 6)[i] * kept[i] ** 2
    assert price.shrinking([n], [[k] for k in kept]).tolist() == [expected]
    assert price.dense(n) == 19 * n + 15 * n + 12 * n * n + 23


def test_kept_lengths_are_counted_for_each_layer_and_sequence():
    first = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
    last = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    output = Output(logits=torch.zeros(2, 2), trace=(LayerTrace(first, None), LayerTrace(last, None)))
    assert kept_lengths(output).tolist() == [[3, 2], [2, 1]]


@pytest.fixture(scope="module")
def official():
    """What the released code's own formulas gave, and its evaluation of one batch."""
    files = sorted((golden() / "adapler").glob("case_*.json"))
    if not files:
        pytest.skip("needs a case_*.json in the folder adapler of the golden one")
    return [json.loads(f.read_text()) for f in files]


def test_published_formulas_give_the_released_codes_numbers(official):
    for row in (row for case in official for row in case["flops"]["bert"]):
        assert official_bert_flops(row["n"], row["num_labels"]) == row["flops"]
    for row in (row for case in official for row in case["flops"]["adapler"]):
        assert official_adapler_flops(row["layers_n"], row["num_labels"]) == row["flops"]


def test_published_formulas_give_the_released_codes_speedup(official):
    for case in official:
        facts = case["official_evaluate"]
        lengths, (classes, *_) = zip(*facts["bert_length_and_numlabels"], strict=True)
        kept = np.array([k for k, _ in facts["adapler_lengths_and_numlabels"]]).T
        dense, shrunk = official_bert_flops(lengths, classes), official_adapler_flops(kept, classes)
        assert dense.tolist() == facts["flops_bert"]
        assert shrunk.tolist() == facts["flops_adapler"]
        assert dense.sum() / shrunk.sum() == pytest.approx(facts["speedup_total"], rel=1e-12)
