from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from eraser import Dataset
from eraser.load import load
from rationale.hf import Classifier
from rationale.sample_model import sample_tokenizer
from rationale.text import Encoder

os.environ["HF_HUB_OFFLINE"] = "1"
torch.set_num_threads(1)

FAMILIES: dict[str, tuple[type, type]] = {
    "bert": (BertConfig, BertForSequenceClassification),
    "roberta": (RobertaConfig, RobertaForSequenceClassification),
    "electra": (ElectraConfig, ElectraForSequenceClassification),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def sample() -> Dataset:
    return load("sample")


@pytest.fixture(scope="session")
def tokenizer(sample: Dataset) -> PreTrainedTokenizerBase:
    return sample_tokenizer(sample)


def tiny_model(family: str, tokenizer: PreTrainedTokenizerBase, labels: tuple[str, ...]) -> PreTrainedModel:
    """A random model of the family, with weights large enough that its answers differ between texts."""
    torch.manual_seed(0)
    config_class, model_class = FAMILIES[family]
    names = dict(enumerate(labels))
    config = config_class(
        vocab_size=len(tokenizer),
        hidden_size=32,
        embedding_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=130,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    return model_class(config).eval()


@pytest.fixture(scope="session")
def make_classifier(
    tokenizer: PreTrainedTokenizerBase,
) -> Callable[..., Classifier]:
    def make(family: str = "bert", max_length: int = 128) -> Classifier:
        model = tiny_model(family, tokenizer, ("NEG", "POS")).requires_grad_(False)
        encoder = Encoder(tokenizer, max_length)
        return Classifier(model, encoder, ("NEG", "POS"), torch.device("cpu"))

    return make


@pytest.fixture(scope="session")
def classifier(make_classifier: Callable[..., Classifier]) -> Classifier:
    return make_classifier()


@pytest.fixture
def model_folder(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> Path:
    folder = tmp_path / "model"
    tiny_model("bert", tokenizer, ("NEG", "POS")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
