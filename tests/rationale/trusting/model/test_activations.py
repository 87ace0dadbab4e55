from __future__ import annotations

import numpy as np
import pytest
import torch

from eraser import Text
from rationale.trusting.model.activations import NO_STATES, average, largest, no_states, states_of


def texts_of(classifier, *strings):
    return classifier.encoder.encode([Text.of(str(i), s, "whitespace") for i, s in enumerate(strings)])


@pytest.mark.parametrize(("reduce", "of"), [(largest, "max"), (average, "mean")])
def test_states_are_hugging_faces_whatever_texts_are_read_beside(classifier, reduce, of):
    texts = texts_of(classifier, "a good film", "it is a very long and dull one")
    found = states_of(classifier, texts, reduce)
    assert found.shape == (2, 4, 32)
    for (window,), row in zip(texts, found, strict=True):
        with torch.inference_mode():
            hidden = classifier.model(torch.tensor(window.ids[None]), output_hidden_states=True).hidden_states
        expected = np.stack([getattr(h[0].numpy(), of)(0) for h in hidden])
        assert row == pytest.approx(expected, abs=1e-4)


def test_windows_of_a_text_are_joined(make_classifier):
    classifier = make_classifier(max_length=12)
    (windows,) = texts_of(classifier, "a good film and a long one that does not end so soon at all")
    assert len(windows) > 1
    apart = states_of(classifier, [[w] for w in windows], largest)
    assert states_of(classifier, [windows], largest)[0] == pytest.approx(apart.max(0), abs=1e-4)


def test_what_drops_tokens_is_read_whole(adaptive, classifier):
    texts = texts_of(adaptive, "a good film", "a dull one")
    assert states_of(adaptive, texts, largest) == pytest.approx(
        states_of(classifier, texts, largest), abs=1e-4
    )


def test_a_model_that_tells_no_states_is_refused(classifier, monkeypatch):
    (text,) = texts_of(classifier, "a good film")
    assert no_states(classifier, text) is None
    forward = type(classifier.model).forward

    def bare(self, *args, **kwargs):
        return forward(self, *args, **kwargs | {"output_hidden_states": False})

    monkeypatch.setattr(type(classifier.model), "forward", bare)
    assert no_states(classifier, text) == NO_STATES
