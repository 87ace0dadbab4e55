"""Tiny models whose logits are no softmax: several labels, one logit, a number; an encoder and a decoder."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rationale.hf.classifier import quiet

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 300,
    "initializer_range": 0.3,
}
MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"
LABELS = ("rude", "threat", "insult")


def head_model(
    tokenizer: PreTrainedTokenizerBase,
    n: int,
    problem: str | None = None,
    family: str = "bert",
    labels: tuple[str, ...] | None = None,
) -> PreTrainedModel:
    """A random model with n logits, the same weights below its head whatever that is."""
    torch.manual_seed(0)
    how = SIZES | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    config_class, model_class = {
        "bert": (BertConfig, BertForSequenceClassification),
        "llama": (LlamaConfig, LlamaForSequenceClassification),
    }[family]
    names = (
        {}
        if labels is None
        else {"id2label": dict(enumerate(labels)), "label2id": dict(zip(labels, range(n), strict=True))}
    )
    config = config_class(**how, **({"num_labels": n} if labels is None else names), problem_type=problem)
    return model_class(config).eval().requires_grad_(False)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Write a model and its tokenizer; return the folder."""
    quiet()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
