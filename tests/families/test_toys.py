"""Toy models fine-tuned in plain Hugging Face to accuracy 1: read here they are as good, and say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eraser import Text
from rationale.attribution import AttributionInput, attribute
from rationale.hf.classifier import load_classifier, quiet
from rationale.inference.predict import text_probs
from tests.helpers.families.classifiers import LABELS, WORDS, family_model, family_tokenizer

PLANTED = ("bad", "good")  # the one word that decides, for each label
FILLING = [word for word in WORDS if word not in PLANTED]
MORE = ("modernbert", "llama3", "gemma3", "eurobert")
TOYS = ("qwen3", *(pytest.param(family, marks=pytest.mark.families) for family in MORE))


def task(n, seed):
    """Texts of 4 to 12 words, one of which is planted; and the place of that word and the label of each."""
    draws = np.random.default_rng(seed)
    texts, places, labels = [], [], draws.integers(0, 2, n)
    for label in labels:
        words = list(draws.choice(FILLING, draws.integers(4, 13)))
        places.append(int(draws.integers(0, len(words))))
        words[places[-1]] = PLANTED[label]
        texts.append(words)
    return texts, places, labels


def accuracy(model, tokenizer, texts, labels):
    with torch.inference_mode():
        said = [int(model(**tokenizer(" ".join(t), return_tensors="pt")).logits.argmax()) for t in texts]
    return float(np.mean(np.array(said) == labels))


def fine_tuned(family, folder):
    """Train the family's model as anyone would, without a line of this project; save it."""
    tokenizer = family_tokenizer(family)
    model = family_model(family, scale=0.1).train().requires_grad_(True)
    texts, _, labels = task(512, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(10):
        for part in torch.randperm(len(texts)).split(32):
            inputs = tokenizer([" ".join(texts[i]) for i in part], return_tensors="pt", padding=True)
            model(**inputs, labels=torch.tensor(labels)[part]).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval().requires_grad_(False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("family", TOYS)
def test_a_toy_model_of_accuracy_1_is_as_good_here(tmp_path, family):
    quiet()
    model, tokenizer = fine_tuned(family, tmp_path)
    texts, places, labels = task(64, seed=1)
    assert accuracy(model, tokenizer, texts, labels) == 1
    classifier = load_classifier(tmp_path, device="cpu")
    encoded = classifier.encoder.encode(
        [Text(str(n), tuple(t), {str(n): 0}, (0,)) for n, t in enumerate(texts)]
    )
    probs = text_probs(classifier, encoded)
    assert classifier.labels == LABELS
    assert (probs.argmax(1) == labels).all()
    with torch.inference_mode():
        plain = [
            model(**tokenizer(" ".join(t), return_tensors="pt")).logits.softmax(-1)[0].numpy() for t in texts
        ]
    np.testing.assert_allclose(probs, plain, atol=1e-6)
    cases = [AttributionInput(w, len(t), int(y)) for w, t, y in zip(encoded, texts, labels, strict=True)]
    found = attribute(classifier, "leave_one_out", cases)
    assert np.mean([a.scores.argmax() == place for a, place in zip(found, places, strict=True)]) > 0.8
