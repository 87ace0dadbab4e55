"""A classifier that cuts texts otherwise, in a way that its weights do not show."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rationale.hf.classifier import Classifier, load_tokenizer
from rationale.text.encode import Encoder


def other_words(classifier: Classifier, folder: Path) -> Classifier:
    """Each word of the vocabulary has the id of the next one."""
    old = classifier.encoder
    old.tokenizer.save_pretrained(folder / "turned")
    path = folder / "turned" / "tokenizer.json"
    made = json.loads(path.read_text())
    vocab = made["model"]["vocab"]
    words = [w for w in sorted(vocab, key=vocab.get) if w.isalpha()]
    turned = dict(zip(words, words[1:] + words[:1], strict=True))
    made["model"]["vocab"] = {turned.get(w, w): i for w, i in vocab.items()}
    path.write_text(json.dumps(made))
    return replace(classifier, encoder=Encoder(load_tokenizer(folder / "turned"), old.max_length))


def one_shorter(classifier: Classifier) -> Classifier:
    """Windows have a piece less."""
    old = classifier.encoder
    return replace(classifier, encoder=Encoder(old.tokenizer, old.max_length - 1))
