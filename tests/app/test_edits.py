from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import rationale_viewer.compute.edits as edits
from rationale_viewer.compute.edits import Flip, alike, minimal_flip, replaced, shortened
from rationale_viewer.compute.explain import Given, read, score, text_of
from rationale_viewer.session.state import LoadedModel

from eraser import InputError

BIAS = 0.1  # for POS, when no word is left
GIVEN = Given(("A", "dull", ",", "slow", "film"), None, (0, 3), "A dull, slow film")


def test_a_word_is_replaced_where_it_stands():
    new = replaced(GIVEN, {1: "very warm", 4: "play"})
    assert new.string == "A very warm, slow play"
    assert new.words == ("A", "very warm", ",", "slow", "play")
    assert replaced(GIVEN._replace(string=None), {3: "x"}).words[3] == "x"
    assert replaced(GIVEN, {}) == GIVEN


def test_words_are_left_out_and_gaps_close():
    assert shortened(GIVEN, [1, 2]) == Given(("A", "slow", "film"), None, (0, 1), "A slow film")
    assert shortened(GIVEN, [0]).string == "dull, slow film"
    assert shortened(GIVEN, range(5)).words == ()
    assert shortened(GIVEN._replace(string=None), [3]) == Given(("A", "dull", ",", "film"), None, (0, 3))


@pytest.fixture
def voting(monkeypatch):
    """A model whose answer is POS while the words that stay weigh more than nothing; NEG without."""

    def make(weights):
        def ablate(classifier, erasures, how):
            left = [
                BIAS + sum(w for w, out in zip(weights, e.removed, strict=True) if not out) for e in erasures
            ]
            asked.extend(tuple(np.flatnonzero(e.removed)) for e in erasures)
            p = 1 / (1 + np.exp(-np.array(left)))
            return np.stack([1 - p, p], axis=1)

        asked = []
        monkeypatch.setattr(edits, "ablate", ablate)
        held = SimpleNamespace(
            classifier=SimpleNamespace(labels=("NEG", "POS")),
            at_dial=lambda dial: __import__("contextlib").nullcontext(None),
        )
        words = tuple(f"w{i}" for i in range(len(weights)))
        reading = SimpleNamespace(words=words, windows=(), label="POS", kind="class")
        return held, reading, asked

    return make


def fewest(weights):
    """By trying all sets, small ones first."""
    for n in range(1, len(weights) + 1):
        for out in combinations(range(len(weights)), n):
            if sum(w for i, w in enumerate(weights) if i not in out) < -BIAS:
                return n
    return None


@pytest.mark.parametrize(
    ("weights", "words", "surely"),
    [
        ((3.0, -1.0, 0.5), (0,), True),
        ((2.0, 2.1, -1.0, -0.5), (0, 1), True),
        ((2.0, 2.1, 2.2, -1.0, 0.1), (0, 1, 2), False),
    ],
)
def test_the_fewest_words_are_found(voting, weights, words, surely):
    held, reading, asked = voting(weights)
    assert minimal_flip(held, reading, "delete", 1.0) == Flip(words, "NEG", surely)
    assert len(words) == fewest(weights)
    assert len(asked) == len(set(asked))  # no set of words twice


def test_words_that_are_not_needed_are_put_back(voting):
    """Greedily the first two pairs of words look best; of three words that were added one is not needed."""
    held, reading, _ = voting((5.0, 5.0, 5.0, 0.2, -1.0))
    found = minimal_flip(held, reading, "delete", 1.0)
    assert len(found.words) == fewest((5.0, 5.0, 5.0, 0.2, -1.0)) == 3


def test_an_answer_that_nothing_changes(voting):
    held, reading, _ = voting((1.0, 1.0))
    assert minimal_flip(held, reading, "delete", 1.0) is None


def test_long_texts_and_other_answers_are_refused(voting):
    held, reading, _ = voting((1.0,) * 401)
    with pytest.raises(InputError, match="a flip is looked for in texts of at most 400 words, not 401"):
        minimal_flip(held, reading, "delete", 1.0)
    held, reading, _ = voting((1.0,))
    reading.kind = "labels"
    with pytest.raises(InputError, match="where the answer is one class"):
        minimal_flip(held, reading, "delete", 1.0)


def test_the_flip_of_a_real_model_is_one(classifier):
    held = LoadedModel("dense", classifier)
    reading = read(held, text_of(["a", "warm", "film", "never", "dull"]), 1.0)
    found = minimal_flip(held, reading, "delete", 1.0)
    assert found is not None
    after = edits.ablate(classifier, [_erasure(reading, found.words)], "delete")[0]
    assert classifier.labels[int(after.argmax())] == found.label != reading.label
    assert score(held, reading, ["random"], 1.0, reading.label)


def test_a_masked_text_is_scored_as_the_mask_itself_would_be(classifier):
    """By hand: the windows with the mask's id, attributed to as they stand."""
    held = LoadedModel("dense", classifier)
    reading = read(held, text_of(["a", "warm", "film", "never", "dull"]), 1.0)
    found = edits.masked_scores(held, reading, [1], "gradient_x_input", 1.0, "POS")
    text = text_of(["a", classifier.encoder.tokenizer.mask_token, "film", "never", "dull"])
    by_hand = score(held, read(held, text, 1.0), ["gradient_x_input"], 1.0, "POS")["gradient_x_input"]
    np.testing.assert_allclose(found.scores, by_hand.scores, atol=1e-6)
    whole = score(held, reading, ["gradient_x_input"], 1.0, "POS")["gradient_x_input"]
    assert not np.allclose(found.scores, whole.scores)


def _erasure(reading, out):
    removed = np.zeros(len(reading.words), dtype=bool)
    removed[list(out)] = True
    return edits.Erasure(reading.windows, removed)


def test_suggestions_are_whole_words_by_nearness_and_never_the_word_itself(classifier):
    found = alike(LoadedModel("dense", classifier), "film")
    assert 0 < len(found) <= edits.ALIKE
    assert all(word.isalpha() and word != "film" for word in found)
    table = classifier.model.get_input_embeddings().weight
    ids = classifier.encoder.tokenizer.convert_tokens_to_ids(["film", *found])
    unit = (table[ids] / table[ids].norm(dim=1, keepdim=True)).detach().numpy()
    nearness = unit[1:] @ unit[0]
    assert list(nearness) == sorted(nearness, reverse=True)
    assert alike(LoadedModel("dense", classifier), "3") == ()
    assert alike(LoadedModel("f", replace(classifier, model=None)), ",") == ()


def test_pieces_of_words_are_no_suggestions():
    assert edits._whole_words(["warm", "##th", "co", "[SEP]"]) == ["warm", "co"]
    assert edits._whole_words(["Ġwarm", "th", "Ġ,"]) == ["warm"]
