"""A classifier of known reasons: one word makes a text NEG, wherever it stands, and no other word matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

WORD, PIECES = "dull", ("du", "##ll")
TEXTS = ("A truly dull film, I say.", "Warm and moving.", "The film I saw is DULL, they say!")
LABELS = ("POS", "NEG")
VOCABULARY = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] a truly du ##ll film , i say . warm and moving the saw is they !".split()
)


def tokenizer(folder: Path) -> BertTokenizerFast:
    """A tokenizer of lower-cased words, that cuts the word in two."""
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    return BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)


def bert() -> BertForSequenceClassification:
    """A BERT of one layer, whose attention is the mean of all tokens; only the word has embeddings."""
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=64, layer_norm_eps=1.0,
        id2label=dict(enumerate(LABELS)), label2id={x: i for i, x in enumerate(LABELS)},
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        layer, direction = model.bert.encoder.layer[0], torch.tensor([1.0, -1.0] * 4)
        for piece in PIECES:
            model.bert.embeddings.word_embeddings.weight[VOCABULARY.index(piece)] = 3 * direction
        for dense in (layer.attention.self.value, layer.attention.output.dense, model.bert.pooler.dense):
            dense.weight.copy_(torch.eye(8))
        model.classifier.weight.copy_(torch.stack([-direction, direction]))
        model.classifier.bias.copy_(torch.tensor([1.0, -1.0]))
    return model


def said(texts: object) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """What a function of texts says by the same rule: probabilities [N,2]."""
    return np.array([[0.1, 0.9] if WORD in str(t).lower() else [0.9, 0.1] for t in texts])  # type: ignore[attr-defined]
