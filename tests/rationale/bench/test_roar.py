"""Small recursive ROAR: its rules by hand, its masking, and that it tells what matters from what does not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import roar


def test_rules_by_hand():
    words = "superb thin thin film dull".split()
    assert roar.of_words(words) == 4 - 1 - 1 - 2
    assert roar.majority(words) == 1 - 3


def test_texts_have_the_label_of_their_rule_and_are_masked_word_by_word():
    encoder = roar.encoder_of()
    texts = roar.drawn(roar.of_words, encoder, 6, 0)
    names = encoder.tokenizer.convert_ids_to_tokens
    for (window,), label in zip(texts.windows, texts.labels, strict=True):
        assert label == (roar.of_words(names(window.ids[1:-1])) > 0)
    masked = np.zeros((6, roar.N_WORDS), dtype=bool)
    masked[:, 3] = True
    now = roar.Texts(texts.windows, masked, texts.labels).now(encoder)
    assert all(w[0].ids[4] == encoder.mask_id for w in now)


@pytest.mark.slow
def test_what_matters_falls_below_random_words_both_ways(monkeypatch):
    monkeypatch.setattr(roar, "N_TEXTS", 200)
    monkeypatch.setattr(roar, "STEPS", 2)
    _, gaps = roar.compared(roar.of_words, ("leave_one_out", "position", "random"), 0)
    for way in (0, 1):
        assert gaps["leave_one_out"][way] > 0.1
        assert gaps["leave_one_out"][way] > gaps["position"][way] + 0.1
