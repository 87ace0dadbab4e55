"""A small model whose attention, gradient and removal all know the one word that decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from eraser import Dataset, Document, Example, Span
from eraser.types import Evidence
from rationale.hf.classifier import Classifier
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.text.encode import Encoder
from tests.helpers.planted import LABELS, bert, tokenizer

WORD = "dull"
OTHERS = ("a", "truly", "film", "i", "say", "warm", "and", "moving", "the", "saw", "is", "they")
DIRECTION = torch.tensor([1.0, -1.0] * 4)


def texts(n: int = 16, n_words: int = 10) -> Dataset:
    """Texts with the word once, anywhere but at the beginning, which people marked."""
    rng = np.random.default_rng(0)
    documents, examples = {}, []
    for i in range(n):
        words, place, name = (
            [str(w) for w in rng.choice(OTHERS, n_words)],
            int(rng.integers(2, n_words)),
            f"d{i}",
        )
        words[place] = WORD
        documents[name] = Document(name, (tuple(words),))
        gold = frozenset({frozenset({Evidence(name, Span(place, place + 1))})})
        examples.append(Example(name, (name,), "NEG", gold=gold))
    return Dataset("decided", documents, {"test": tuple(examples)})


def dense(folder: Path) -> Classifier:
    """The planted model, that also attends to the word."""
    model = bert()
    with torch.no_grad():
        attention = model.bert.encoder.layer[0].attention.self
        attention.key.weight.copy_(torch.eye(8))
        attention.query.bias.copy_(DIRECTION)
    model.requires_grad_(False)
    return Classifier(model, Encoder(tokenizer(folder), 64), LABELS, torch.device("cpu"))


def dropping(folder: Path) -> Classifier:
    """The same, that drops what is not the word."""
    found = dense(folder)
    model = AdaplerForSequenceClassification.wrap(found.model)
    with torch.no_grad():
        for predictor in model.contribution_predictors:
            for weight in predictor.parameters():
                weight.zero_()
            predictor.dense.weight[0] = DIRECTION
            predictor.scorer.weight[0, 0] = 1.0
    return replace(found, model=model.eval().requires_grad_(False))
