"""Words that one piece covers are a unit: inside methods one word, outside as many as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rationale_viewer.compute.explain import read, score, text_of
from rationale_viewer.session.state import LoadedModel

from eraser import Text
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute
from rationale.attribution.request import AttributionBatch
from rationale.hf.classifier import Classifier
from rationale.inference.ablate import coalition_logits, words_of
from rationale.inference.predict import window_logits
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE, Window, covers, words_of_pieces
from rationale.text.word_scores import word_scores
from rationale.training.run import drawn_words
from rationale.training.targets import _marked
from tests.conftest import dropping, tiny_model
from tests.helpers.models.able import ENCODERS
from tests.helpers.tokenizers import SENTENCES

STRING = SENTENCES[0] + "  Slow at first,\nthen a joy..."
QUICK = AttributionSettings(ig_steps=3, gradient_shap_samples=3, lime_samples=12, shap_samples=20)


@pytest.fixture(scope="module")
def classifier(all_kinds):
    """A model whose pieces cover several Chinese characters, and signs together with what is next to them."""
    tokenizer = all_kinds["roberta"]
    model = tiny_model("bert", tokenizer, ("NEG", "POS")).requires_grad_(False)
    return Classifier(model, Encoder(tokenizer, 128), ("NEG", "POS"), torch.device("cpu"))


@pytest.fixture(scope="module")
def text():
    return Text.of("t", STRING, "characters")


@pytest.fixture(scope="module")
def window(classifier, text):
    (window,) = classifier.encoder.encode([text])[0]
    return window


@pytest.fixture(scope="module")
def units(window):
    """First word and end of each unit."""
    inside = window.word != OUTSIDE
    found = sorted(set(zip(window.word[inside].tolist(), window.end[inside].tolist(), strict=True)))
    sizes = [end - word for word, end in found]
    assert max(sizes) > 3
    assert sizes.count(1) > 3
    return found


def test_words_that_one_piece_covers_and_those_of_pieces_that_share_a_word_are_a_unit():
    spans = ((0, 1), (1, 2), (2, 3), (4, 6), (6, 7))
    for offsets, units in (
        ([(0, 1), (1, 2), (2, 3), (3, 6), (6, 7)], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        ([(0, 2), (2, 3), (4, 5), (5, 7)], [(0, 2), (2, 3), (3, 5), (3, 5)]),
        ([(0, 2), (1, 3), (3, 4), (4, 7)], [(0, 3), (0, 3), (3, 5), (3, 5)]),
        ([(0, 3), (3, 6), (7, 8)], [(0, 3), (3, 4), (4, 5)]),  # white space at the end: the last word's
        ([(0, 5), (5, 7)], [(0, 5), (0, 5)]),
        ([], []),
    ):
        word, end = words_of_pieces(np.array(offsets, dtype=np.int64).reshape(-1, 2), spans)
        assert list(zip(word.tolist(), end.tolist(), strict=True)) == units


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=8), st.data())
def test_a_unit_of_sums_is_divided_and_its_sum_kept(shape, data):
    firsts = np.cumsum([0, *(size for size, _ in shape)])
    word = [int(f) for f, (_, pieces) in zip(firsts, shape, strict=False) for _ in range(pieces)]
    end = [int(f) + size for f, (size, pieces) in zip(firsts, shape, strict=False) for _ in range(pieces)]
    window = Window(*np.array([[7, *word], [OUTSIDE, *word], [0] * (len(word) + 1), [OUTSIDE, *end]]))
    scores = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=len(word) + 1, max_size=len(word) + 1)))
    n_words = int(firsts[-1]) + 1  # the last has no piece
    summed = word_scores([window], [scores], n_words, "sum")
    assert summed[:-1].sum() == pytest.approx(scores[1:].sum(), abs=1e-9)
    assert np.isnan(summed[-1])
    largest = word_scores([window], [scores], n_words, "max")
    for first, (size, _) in zip(firsts, shape, strict=False):
        of_unit = scores[1:][np.array(word) == first]
        assert summed[first : first + size] == pytest.approx([of_unit.sum() / size] * size)
        assert largest[first : first + size].tolist() == [of_unit.max()] * size


@pytest.mark.parametrize("method", ENCODERS)
def test_every_method_gives_each_word_of_a_unit_the_same(classifier, text, window, units, method):
    case = AttributionInput((window,), len(text.words), 1, 7)
    (found,) = attribute(classifier, method, [case], QUICK)
    assert np.isfinite(found.scores).all()
    batch = classifier.encoder.collate([window])
    request = AttributionBatch(batch, torch.tensor([1]), (7,), QUICK)
    pieces = METHODS[method].scores(classifier, request)[0].double().numpy()
    reduce = {"sum": lambda s, size: s.sum() / size, "max": lambda s, _: s.max()}[METHODS[method].reduce]
    for word, end in units:
        wanted = reduce(pieces[window.word == word], end - word)
        assert found.scores[word:end] == pytest.approx([wanted] * (end - word), rel=1e-4, abs=1e-6)


def test_leaving_a_unit_out_is_reading_the_text_without_its_pieces(classifier, text, window, units):
    (found,) = attribute(
        classifier, "leave_one_out", [AttributionInput((window,), len(text.words), 1)], QUICK
    )
    (whole,) = window_logits(classifier, [window])
    for word, end in units:
        (left,) = window_logits(classifier, [window.at(window.word != word)])
        assert found.scores[word:end].sum() == pytest.approx(whole[1] - left[1], abs=1e-5)


def test_coalitions_are_of_units(classifier, window, units):
    assert words_of(window).tolist() == [word for word, _ in units]
    present = np.ones((2, len(units)), dtype=bool)
    present[1, 0] = False
    (logits,) = coalition_logits(classifier, [window], [present])
    left = window.at(window.word != units[0][0])
    assert logits == pytest.approx(window_logits(classifier, [window, left]), abs=1e-5)


def test_a_word_covers_its_whole_unit(window, text, units):
    for word, end in units:
        for one in range(word, end):
            covered = covers(window, np.arange(len(text.words)) == one)
            assert covered.tolist() == (window.word == word).tolist()


def test_human_marks_reach_the_whole_unit(window, text, units):
    word, end = max(units, key=lambda unit: unit[1] - unit[0])
    gold = np.arange(len(text.words)) == end - 1
    assert _marked(window, gold).tolist() == (window.word == word).astype(float).tolist()


def test_the_viewer_shows_each_word_its_pieces_and_what_its_layers_kept(classifier, units):
    held = LoadedModel("glued", replace(classifier, model=dropping(classifier.model)))
    words = Text.of("t", STRING, "characters").words
    reading = read(held, text_of(words, None, (0,), STRING), 1.0)
    survived = score(held, reading, ["survivors"], 1.0, reading.label)["survivors"].scores
    assert len(set(survived.astype(int))) > 1
    for layer in range(1, 4):
        np.testing.assert_array_equal(reading.layers.kept[layer], survived >= layer)
    assert reading.layers.kept[0].all()
    for word, end in units:
        assert len(set(reading.pieces[word:end])) == 1
        assert reading.pieces[word]


def test_words_are_left_out_by_units(window, units):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        removed = drawn_words(window, rng, 0.3)
        assert set(removed.nonzero()[0]) <= {word for word, _ in units}
        shares.append(removed.sum() / len(units))
    assert np.mean(shares) == pytest.approx(0.3, abs=0.03)


def test_never_are_all_words_of_a_model_without_special_tokens_left_out(all_kinds):
    encoder = Encoder(all_kinds["gpt2"], 128)
    (window,) = encoder.encode([Text.of("t", "a film", "whitespace")])[0]
    assert not drawn_words(window, np.random.default_rng(0), 1.0).any()


def test_parts_of_texts_without_units_are_named_as_ever(classifier, window):
    (plain,) = classifier.encoder.encode([Text.of("t", "a warm film", "whitespace")])[0]
    assert plain.as_lists() == [plain.ids.tolist(), plain.word.tolist(), plain.types.tolist()]
    fields = (window.ids, window.word, window.types, window.end)
    assert window.as_lists() == [field.tolist() for field in fields]
