"""The small models that are planted can read whatever words the data have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eraser import Dataset, Document
from rationale.trusting import planted
from rationale.trusting.run import run_tests
from tests.helpers.trusted import subject


def of_words(words: list[str], sample: Dataset) -> Dataset:
    """The first texts of the sample with other words."""
    examples = sample.splits["test"][:4]
    documents = {e.doc_ids[0]: Document(e.doc_ids[0], (tuple(words),)) for e in examples}
    return Dataset("made", documents, {"test": tuple(replace(e, gold=frozenset()) for e in examples)})


@pytest.mark.parametrize(
    ("words", "room"), [(["film"], 64), (["https://ex.com/3x4731", "q-z-x-j-v.w.y"], 65)]
)
def test_words_of_many_pieces_fit_the_planted_models(tmp_path, classifier, sample, monkeypatch, words, room):
    """A word of five pieces or more makes texts of over 64; of others the model is as it was."""
    made, fit = [], planted._fit
    monkeypatch.setattr(planted, "STEPS", 1)
    monkeypatch.setattr(planted, "TRAINED_ON", 40)
    monkeypatch.setattr(planted, "_fit", lambda model, *rest: made.append(model) or fit(model, *rest))
    asked = subject(tmp_path, ("gradient_x_input",), of_words(words, sample), classifier)
    (found,) = run_tests(asked, ["planted"])
    assert found.of("gradient_x_input").sentence.startswith("Cannot tell: on the planted models no small")
    rooms = {m.config.max_position_embeddings for m in made}
    assert len(made) == 3
    assert rooms == {64} if room == 64 else min(rooms) >= room


def test_the_longest_window_is_counted_in_pieces(classifier, sample):
    texts = [sample.text(e) for e in sample.splits["test"][:3]]
    windows = classifier.encoder.encode(texts)
    items = [type("Item", (), {"windows": w}) for w in windows]
    assert planted.longest_of(items) == max(len(w.ids) for of in windows for w in of)
