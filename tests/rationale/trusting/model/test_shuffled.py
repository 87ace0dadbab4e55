from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rationale.inference.predict import text_probs
from rationale.trusting.model import shuffled
from rationale.trusting.model.shuffled import learned_shuffled, shuffled_texts


def test_texts_are_short_beginnings_and_labels_those_of_other_texts(classifier, sample):
    windows, labels = shuffled_texts(sample, classifier.encoder, 2, 0)
    examples = sample.splits["train"][:64]
    assert len(windows) == len(labels) == 64
    own = [sample.labels.index(e.label) for e in examples]
    assert sorted(labels) == sorted(own)
    assert labels != own
    for window, example in zip(windows, examples, strict=True):
        n_words = min(48, len(sample.text(example).words))
        assert window.end.max() == n_words
        full = classifier.encoder.encode([sample.text(example)])[0][0]
        assert window.ids[1:-1].tolist() == full.ids[1 : len(window.ids) - 1].tolist()


def test_a_copy_learns_them_and_the_model_stays_as_it_was(classifier, sample, monkeypatch):
    monkeypatch.setattr(shuffled, "LEARNING_RATE", 5e-3)
    monkeypatch.setattr(shuffled, "BATCH", 2)
    few = replace(sample, splits={"train": sample.splits["train"][:8]})
    before = {n: p.clone() for n, p in classifier.model.named_parameters()}
    found = learned_shuffled(classifier, few, 16, 0)
    windows, labels = shuffled_texts(few, classifier.encoder, 2, 0)
    said = text_probs(found, [[w] for w in windows]).argmax(1)
    assert (said == np.array(labels)).mean() >= 0.9
    assert all(torch.equal(p, before[n]) for n, p in classifier.model.named_parameters())
    assert not any(p.requires_grad for p in found.model.parameters())


def test_one_seed_gives_one_copy(classifier, sample):
    few = replace(sample, splits={"train": sample.splits["train"][:8]})
    one, same, other = (learned_shuffled(classifier, few, 1, seed).model.state_dict() for seed in (0, 0, 1))
    assert torch.equal(one["classifier.weight"], same["classifier.weight"])
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])
