"""Tiny classifiers of every family that can be cut, all of the same sizes, and gates for them."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from rationale.models.gates import GateValues
from rationale.models.packed.encoder import run_packed
from rationale.models.packed.matrices import Dimensions
from tests.helpers.models.batches import LENGTHS, batch

SIZES = Dimensions(layers=3, heads=3, units=10, hidden=24, of_head=4 * 8, of_unit=2)
NAMES = [field.name for field in fields(GateValues)]

COMMON = {
    "hidden_size": SIZES.hidden,
    "num_hidden_layers": SIZES.layers,
    "num_attention_heads": SIZES.heads,
    "intermediate_size": SIZES.units,
    "max_position_embeddings": 40,
}
GROUPED = COMMON | {"num_attention_heads": 2 * SIZES.heads, "num_key_value_heads": SIZES.heads, "head_dim": 8}
DISTANCES = COMMON | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
                      "position_biased_input": False, "pooler_hidden_size": SIZES.hidden}  # fmt: skip
SLIDING = {"sliding_window": 6, "query_pre_attn_scalar": 8}
KINDS = {
    "bert": ("bert", COMMON),
    "roberta": ("roberta", COMMON),
    "electra": ("electra", COMMON | {"embedding_size": SIZES.hidden}),
    "projected": ("electra", COMMON | {"embedding_size": 16}),  # embeddings narrower than states
    "rembert": ("rembert", COMMON | {"input_embedding_size": 16}),
    "distilbert": ("distilbert", {"dim": SIZES.hidden, "n_layers": SIZES.layers, "n_heads": SIZES.heads,
                                  "hidden_dim": SIZES.units, "max_position_embeddings": 40}),
    "modernbert": ("modernbert", COMMON | {"local_attention": 8, "global_attn_every_n_layers": 2}),
    "biased": ("modernbert", COMMON | {"norm_bias": True, "attention_bias": True, "mlp_bias": True}),
    "deberta": ("deberta", DISTANCES),
    "deberta-shared": ("deberta-v2", DISTANCES | {"share_att_key": True, "norm_rel_ebd": "layer_norm",
                                                  "position_buckets": 8}),
    "deberta-own": ("deberta-v2", DISTANCES | {"embedding_size": 16, "position_biased_input": True}),
    "llama": ("llama", GROUPED),
    "qwen2": ("qwen2", GROUPED),  # biases into heads
    "qwen3": ("qwen3", GROUPED),  # norms of each head
    "gemma": ("gemma", GROUPED),  # norms whose weight is added to 1
    "gemma2": ("gemma2", GROUPED | SLIDING),  # norms after sublayers, too
    "gemma3": ("gemma3_text", GROUPED | SLIDING),
    "eurobert": ("eurobert", COMMON | {"num_key_value_heads": SIZES.heads}),
    "nomic": ("nomic_bert", COMMON),
    "gte": ("gte", COMMON),
}  # fmt: skip
BERT_LIKES = ("bert", "roberta", "electra", "projected")
ONE_A_FAMILY = ("bert", "distilbert", "modernbert", "deberta-shared", "llama", "gemma3", "nomic")
FIRST_ONE_A_FAMILY = [k if k in ONE_A_FAMILY else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]


def tiny(kind, seed=0, vocab_size=1500, **more):
    """A classifier of SIZES in which every weight, bias and norm is random."""
    family, settings = KINDS[kind]
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": vocab_size}
    config = AutoConfig.for_model(family, **(settings | tokens | more))
    model = AutoModelForSequenceClassification.from_config(config).eval()
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        of_norm = "norm" in name.lower() and name.endswith("weight") and not kind.startswith("gemma")
        nn.init.normal_(parameter, mean=1.0 if of_norm else 0.0, std=0.3)
    return model


def all_open(sizes=SIZES):
    n = sizes.layers
    shapes = ((n, sizes.heads), (n, sizes.units), (sizes.hidden,), (n,), (n,))
    return GateValues(*map(torch.ones, shapes))


def random_openings(seed):
    """A third of the gates closed, a third open, the rest between."""
    g = torch.Generator().manual_seed(seed)

    def gates(one):
        return (torch.rand(one.shape, generator=g) * 3 - 1).clamp(0, 1)

    return GateValues(*(gates(getattr(all_open(), name)) for name in NAMES))


def without_scales(gates):
    """1 for each gate that is not closed, else 0."""
    return GateValues(*((getattr(gates, name) > 0).float() for name in NAMES))


def keep_all(layer, states, rows):
    return torch.ones(len(states), dtype=torch.bool), None


def logits(model, way):
    """Return the model's answers to a fixed batch, run padded or packed."""
    ids, real = batch(LENGTHS)
    if way == "packed":
        return run_packed(model, ids, torch.zeros_like(ids), real, keep_all).logits
    return model(input_ids=ids, attention_mask=real.long()).logits
