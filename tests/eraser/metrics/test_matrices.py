"""The table of families that can be cut: what is of none of them is refused."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoConfig,
    AutoModelForSequenceClassification,
    BartConfig,
    BartForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
)

from eraser import InputError
from rationale.models.gates import Gates
from rationale.models.packed.layers import layers_of
from rationale.models.packed.matrices import FAMILIES, Part, family_of, matrices_of
from rationale.models.pruning import PrunedConfig, PrunedForSequenceClassification, check_cuttable, cut
from tests.helpers.models.cuttable import COMMON, DISTANCES, KINDS, all_open, tiny

EXPECTED = (
    "expected a classifier whose matrices can be cut "
    "(BERT-likes, DistilBERT, ModernBERT, DeBERTa, Llama-likes, Gemma 2 and 3, Nomic and GTE), got "
)
OF = {
    **dict.fromkeys(("bert", "roberta", "electra", "projected", "rembert"), "BERT-likes"),
    "distilbert": "DistilBERT",
    **dict.fromkeys(("modernbert", "biased"), "ModernBERT"),
    **dict.fromkeys(("deberta", "deberta-shared", "deberta-own"), "DeBERTa"),
    **dict.fromkeys(("llama", "qwen2", "qwen3", "gemma", "eurobert"), "Llama-likes"),
    **dict.fromkeys(("gemma2", "gemma3"), "Gemma 2 and 3"),
    **dict.fromkeys(("nomic", "gte"), "Nomic and GTE"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_of_one_line(kind):
    assert family_of(tiny(kind)) is FAMILIES[OF[kind]]
    check_cuttable(tiny(kind))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "roberta", "distilbert"])
def test_families_are_found_by_their_parts_not_by_their_names(kind):
    model = tiny(kind)
    type(model).__name__, was = "SomethingNew", type(model).__name__
    try:
        assert family_of(model) is FAMILIES[OF[kind]]
    finally:
        type(model).__name__ = was


def test_rows_of_heads_and_units_are_where_each_family_has_them():
    """Of three heads of width 2 the first and the last."""
    kept = torch.tensor([0, 2])
    owner = torch.nn.Module()
    owner.query, owner.fused, owner.mixed = (torch.nn.Linear(1, n) for n in (6, 18, 18))
    assert Part(owner, "query").rows(kept, 3).tolist() == [0, 1, 4, 5]
    stacked = Part(owner, "fused", stacked=3).rows(kept, 3).tolist()  # all queries, all keys, all values
    assert stacked == [0, 1, 4, 5, 6, 7, 10, 11, 12, 13, 16, 17]
    mixed = Part(owner, "mixed").rows(kept, 3).tolist()  # a head's query, key and value, then the next's
    assert mixed == [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]


BIG = COMMON | {"attention_type": "original_full", "vocab_size": 50}
OTHERS = {
    "albert": (AlbertForSequenceClassification, AlbertConfig, COMMON | {"embedding_size": 8}),
    "gpt2": (GPT2ForSequenceClassification, GPT2Config, {"n_embd": 8, "n_layer": 2, "n_head": 2}),
    "mpnet": (MPNetForSequenceClassification, MPNetConfig, COMMON),
}


@pytest.mark.parametrize("name", OTHERS)
def test_layers_of_another_kind_are_refused(name):
    model_class, config_class, settings = OTHERS[name]
    model = model_class(config_class(**settings, vocab_size=50, pad_token_id=0))
    for refused in (Gates.of, check_cuttable, lambda m: cut(m, all_open())):
        with pytest.raises(InputError) as caught:
            refused(model)
        assert str(caught.value) == f"{EXPECTED}{model_class.__name__}: its layers are of another kind"


def test_encoders_with_decoders_are_refused():
    sizes = {f"{x}_{y}": 2 for x in ("encoder", "decoder") for y in ("layers", "attention_heads", "ffn_dim")}
    model = BartForSequenceClassification(BartConfig(vocab_size=50, d_model=8, **sizes))
    with pytest.raises(InputError) as caught:
        Gates.of(model)
    assert str(caught.value) == f"{EXPECTED}BartForSequenceClassification: an encoder and a decoder"


def built(family, settings):
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **settings))


def test_parts_that_no_line_names_are_refused():
    """DeBERTa's largest models have a convolution over hidden dimensions after their first layer."""
    model = built("deberta-v2", DISTANCES | {"vocab_size": 50, "conv_kernel_size": 3})
    with pytest.raises(InputError) as caught:
        Gates.of(model)
    why = "what of encoder.conv.conv.weight to cut is not known"
    assert str(caught.value) == f"{EXPECTED}DebertaV2ForSequenceClassification: {why}"


def test_heads_that_are_mixed_are_refused():
    model = built("deberta", DISTANCES | {"vocab_size": 50, "talking_head": True})
    with pytest.raises(InputError) as caught:
        Gates.of(model)
    assert str(caught.value) == f"{EXPECTED}DebertaForSequenceClassification: its layers are of another kind"


def test_a_head_that_reads_states_twice_is_refused():
    """BigBird's pooler and its classifier both do, and one is cut."""
    model = built("big_bird", BIG).eval()
    with pytest.raises(InputError) as caught:
        check_cuttable(model)
    why = "RuntimeError when a cut one is run"
    assert str(caught.value) == f"{EXPECTED}BigBirdForSequenceClassification: {why}"


def test_layers_of_several_sizes_are_refused():
    model = tiny("bert")
    layer = layers_of(model)[1]
    layer.intermediate.dense, layer.output.dense = torch.nn.Linear(24, 12), torch.nn.Linear(12, 24)
    with pytest.raises(InputError) as caught:
        Gates.of(model)
    assert str(caught.value) == f"{EXPECTED}BertForSequenceClassification: its layers are not all of one size"


def test_a_line_that_is_not_true_of_a_model_is_found_out(monkeypatch):
    """The names are Llama's, but units are given to their neighbours before the last matrix."""
    model = tiny("llama")
    mlp = type(layers_of(model)[0].mlp)

    def forward(self, x):
        return self.down_proj((self.act_fn(self.gate_proj(x)) * self.up_proj(x)).roll(1, dims=-1))

    monkeypatch.setattr(mlp, "forward", forward)
    assert cut(model, all_open()).config.cut["hidden"] == 24  # nothing closed: nothing wrong
    with pytest.raises(InputError) as caught:
        check_cuttable(model)
    found = str(caught.value)
    assert found.startswith(f"{EXPECTED}LlamaForSequenceClassification: logits ")
    assert found.endswith(" apart from those under its gates")


def test_a_folder_with_a_cut_of_another_kind_is_refused():
    inner = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 50}
    counts = {"heads": [1], "units": [4], "hidden": 7}
    with pytest.raises(InputError) as caught:
        PrunedForSequenceClassification(PrunedConfig(inner | {"cut": counts}))
    assert str(caught.value) == f"{EXPECTED}GPT2ForSequenceClassification: its layers are of another kind"


def test_projections_come_before_or_after_the_norm_of_embeddings():
    """ELECTRA norms narrow embeddings, which stay; DeBERTa norms what it has projected."""
    electra, deberta = matrices_of(tiny("projected")), matrices_of(tiny("deberta-own"))
    for found in (electra, deberta):
        assert found.tables == ()
        assert (found.project.in_features, found.project.out_features) == (16, 24)
    assert electra.start == (electra.project,)
    assert deberta.start == (deberta.norms[0],)
    assert {norm.weight.shape for norm in (*electra.norms, *deberta.norms)} == {(24,)}
