"""Texts for the classifier of `planted.py`: half of them hold its word, and people marked it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from eraser import Dataset, Document, Example, Span
from eraser.types import Evidence
from rationale.hf.classifier import Classifier
from rationale.text.encode import Encoder
from tests.helpers.planted import LABELS, WORD, bert, tokenizer

NEUTRAL = "a truly film i say warm and moving the saw is they".split()


def planted(folder: Path) -> Classifier:
    """The classifier whose reason is one word."""
    model = bert().requires_grad_(False)
    return Classifier(model, Encoder(tokenizer(folder), 64), LABELS, torch.device("cpu"))


def planted_texts(
    n: int = 16, n_words: int = 8, splits: tuple[str, ...] = ("test",), seed: int = 0
) -> Dataset:
    """Neutral words in random order; every second text has the word at a random place."""
    rng = np.random.default_rng(seed)
    documents, made = {}, {}
    for split in splits:
        made[split] = []
        for i in range(n):
            name, words = f"{split}{i}", [str(w) for w in rng.choice(NEUTRAL, n_words)]
            place, label = int(rng.integers(n_words)), LABELS[i % 2]
            if label == "NEG":
                words[place] = WORD
            documents[name] = Document(name, (tuple(words),))
            marked = (
                frozenset({frozenset({Evidence(name, Span(place, place + 1))})})
                if label == "NEG"
                else frozenset()
            )
            made[split].append(Example(name, (name,), label, gold=marked))
    return Dataset("planted", documents, {split: tuple(of) for split, of in made.items()})
