"""As many pieces are read at once as a model really can read: tried with one more."""

from __future__ import annotations

import json

import pytest
import torch

from rationale.hf.classifier import load_classifier
from rationale.hf.positions import AT_ONCE, NO_LIMIT, longest, read_at_once
from tests.helpers.families.tiny import BOS, EOS, PAD, TOKENS, save_family, tiny_model, tiny_tokenizer

TABLES = ["bert", "roberta", "mpnet", "distilbert", "albert", "longformer", "big_bird", "convbert", "bart",
          "gpt2", "opt"]  # fmt: skip
WITHOUT_TABLE = ["deberta-v2", "modernbert", "llama", "qwen2", "mistral"]  # what their configuration says
WITHOUT_LIMIT = ["xlnet", "t5", "bloom"]
ALL = tiny_tokenizer("pad", "bos", "eos", "cls", "sep", model_max_length=10**30)


def read(model, length):
    words = torch.arange(length - 2) % (len(TOKENS) - 5) + 5
    ids = torch.cat([torch.tensor([BOS]), words, torch.tensor([EOS])])[None]
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("family", TABLES)
def test_one_piece_more_than_the_table_of_positions_has_room_for_fails(family):
    model = tiny_model(family)
    assert longest(model, ALL) == 64
    assert read(model, 64).shape == (1, 2)
    with pytest.raises((IndexError, RuntimeError)):
        read(model, 65)


@pytest.mark.parametrize("family", WITHOUT_TABLE)
def test_without_a_table_the_configuration_is_the_bound(family):
    """Sliding windows of 4 and of 8 pieces are none."""
    assert longest(tiny_model(family), ALL) == 64
    assert longest(tiny_model(family, max_position_embeddings=80), ALL) == 80


@pytest.mark.parametrize("family", WITHOUT_LIMIT)
def test_where_nothing_bounds_it_a_model_reads_any_length_and_by_default_windows(family, tmp_path):
    model = tiny_model(family)
    assert longest(model, ALL) == NO_LIMIT
    assert read(model, 700).shape == (1, 2)
    folder = save_family(tmp_path / family, family)
    assert load_classifier(folder, device="cpu").encoder.max_length == AT_ONCE == 512
    assert load_classifier(folder, device="cpu", max_length=700).encoder.max_length == 700


def test_the_padding_index_shifts_positions_only_where_they_begin_after_it():
    assert longest(tiny_model("roberta", pad_token_id=1), ALL) == 64
    assert longest(tiny_model("roberta", pad_token_id=3), ALL) == 62
    assert longest(tiny_model("bert", pad_token_id=3), ALL) == 64


@pytest.mark.parametrize(
    ("limit", "expected"), [(20, 20), (64, 64), (100, 64), (10**30, 64), (float("inf"), 64)]
)
def test_the_tokenizers_limit_counts_where_it_is_less(limit, expected):
    assert longest(tiny_model("bert"), tiny_tokenizer("pad", model_max_length=limit)) == expected
    assert longest(tiny_model("t5"), tiny_tokenizer("pad", model_max_length=20)) == 20


@pytest.mark.parametrize("value", [-1, 0])
def test_a_configuration_may_say_that_there_is_no_limit(value):
    model = tiny_model("llama")
    model.config.max_position_embeddings = value
    assert longest(model, ALL) == NO_LIMIT


def test_models_around_others_have_the_limit_of_the_one_inside(adaptive, classifier):
    tokenizer = classifier.encoder.tokenizer
    assert longest(adaptive.model, tokenizer) == longest(classifier.model, tokenizer) == 130


@pytest.mark.parametrize(("wanted", "limit", "expected"), [
    (None, 64, 64), (None, NO_LIMIT, AT_ONCE), (30, 64, 30), (100, 64, 64), (700, NO_LIMIT, 700),
])  # fmt: skip
def test_what_is_read_at_once(wanted, limit, expected):
    assert read_at_once(wanted, limit) == expected


def test_a_folder_says_that_its_model_has_no_limit(tmp_path):
    folder = save_family(tmp_path / "m", "llama")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": -1}))
    assert load_classifier(folder, device="cpu").encoder.max_length == AT_ONCE


def test_ids_are_no_positions():
    """Words whose ids happen to follow each other are looked up in the table of words."""
    ids = ALL("a fine film but too long").input_ids
    assert ids[1:-1] == list(range(ids[1], ids[1] + 6))
    model = tiny_model("llama")
    assert longest(model, ALL) == 64 > len(TOKENS)
    assert PAD not in ids
