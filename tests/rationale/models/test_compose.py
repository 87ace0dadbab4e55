"""What training refuses to build on, before a step is taken."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    ConvBertConfig,
    ConvBertForSequenceClassification,
)

from rationale.hf.classifier import load_classifier, save_classifier
from rationale.models.gates import GateValues
from rationale.models.packed.encoder import check_packed
from rationale.models.pruning import cut
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.inforcoef import INFORCOEF
from rationale.training.recipes.prune import PRUNE
from rationale.training.recipes.settings import InforCoefSettings, PruneSettings
from rationale.training.recipes.table import RECIPES
from tests.conftest import FAMILIES, tiny_model
from tests.helpers.models.trainings import few_of, save_cut, save_dense, saved
from tests.helpers.refusals import refusal

PLAIN = {"device": "cpu", "precision": "float32", "batch_size": 4, "epochs": 1, "tolerance": 1.0}
INFOR = InforCoefSettings.of(PLAIN)
sampled = partial(train_adaptive, INFORCOEF)
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 130,
}


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample)


@pytest.fixture(scope="module")
def dense(tokenizer, tmp_path_factory):
    return save_dense(tokenizer, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("family", FAMILIES)
def test_families_whose_answer_is_of_embeddings_layers_and_head_are_taken(family, tokenizer, tmp_path):
    check_packed(tiny_model(family, tokenizer, ("a", "b")), tmp_path)
    check_packed(tiny_model(family, tokenizer, ("a", "b")).bfloat16(), tmp_path)


@pytest.mark.parametrize("name", RECIPES)
def test_a_family_whose_tokens_read_their_neighbours_is_refused(name, few, tokenizer, tmp_path):
    """ConvBERT's attention is a convolution too: without a token its neighbours are others."""
    config = ConvBertConfig(**SIZES, vocab_size=len(tokenizer), initializer_range=0.3, embedding_size=16)
    config.id2label, config.label2id = {0: "NEG", 1: "POS"}, {"NEG": 0, "POS": 1}
    torch.manual_seed(0)
    dense = saved(ConvBertForSequenceClassification(config).eval(), tokenizer, tmp_path / "dense")
    out, recipe = tmp_path / "m", RECIPES[name]
    found = refusal(train_adaptive, recipe, dense, few, out, recipe.settings.of(PLAIN))
    expected = "expected a classifier whose layers can be run on fewer tokens (see the docs, Model families)"
    assert found.startswith(f"{dense}: {expected}, got ConvBertForSequenceClassification: logits ")
    assert found.endswith(" apart on a packed row")
    assert not out.exists()


@pytest.mark.parametrize("names", [("POS", "NEG"), ("no", "yes")])
@pytest.mark.parametrize("kind", ["cut", "whole"])
def test_a_trained_model_of_other_labels_is_not_built_on(dense, few, tokenizer, tmp_path, kind, names):
    whole = tiny_model("bert", tokenizer, names)
    ones = [torch.ones(s) for s in ((3, 4), (3, 48), (32,), (3,), (3,))]
    ones[1][:, 20:] = 0
    start = saved(cut(whole, GateValues(*ones)) if kind == "cut" else whole, tokenizer, tmp_path / "start")
    found = refusal(sampled, dense, few, tmp_path / "m", INFOR, start)
    expected = "expected a model with labels ['NEG', 'POS'], in this order, got"
    assert found == f"{start}: {expected} {list(names)}"


@pytest.mark.slow
def test_a_cut_model_of_the_same_labels_and_pretrained_weights_are_built_on(dense, few, tokenizer, tmp_path):
    pretrained = tmp_path / "pretrained"
    BertModel(BertConfig(**SIZES, vocab_size=len(tokenizer))).save_pretrained(pretrained)
    for start in (save_cut(tokenizer, tmp_path), pretrained):
        out = tmp_path / f"of-{start.name}"
        sampled(dense, few, out, INFOR, start)
        assert load_classifier(out, device="cpu").labels == ("NEG", "POS")


def test_weights_of_a_smaller_vocabulary_are_not_built_on(dense, few, tokenizer, tmp_path):
    start = tmp_path / "start"
    BertModel(BertConfig(**SIZES, vocab_size=40)).save_pretrained(start)
    found = refusal(sampled, dense, few, tmp_path / "m", INFOR, start)
    largest = max(tokenizer.get_vocab().values())
    assert found == f"{start}: expected a tokenizer with ids below 40, got id {largest}"


def test_a_model_of_other_sizes_is_not_cut_beside_its_teacher(dense, few, tokenizer, tmp_path):
    config = BertConfig(**SIZES, vocab_size=len(tokenizer), id2label={0: "NEG", 1: "POS"})
    start = saved(BertForSequenceClassification(config), tokenizer, tmp_path / "start")
    settings = PruneSettings.of(PLAIN | {"hard_epochs": 1})
    found = refusal(partial(train_adaptive, PRUNE), dense, few, tmp_path / "m", settings, start)
    assert found == "the model to prune has 2 layers of width 16, the dense one 3 layers of width 32"


@pytest.mark.parametrize("bad", ["x", None, [1], 0.5, float("inf"), True])
def test_a_limit_of_thresholds_that_is_none_is_refused(adaptive, tmp_path, bad):
    save_classifier(adaptive.model, adaptive.encoder.tokenizer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"eta_max": bad}))
    found = refusal(load_classifier, tmp_path)
    assert found.startswith(f"{tmp_path}: expected eta_max of at least 1 in config.json, got ")
