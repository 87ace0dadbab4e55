from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.inference.ablate import Erasure, ablate, coalition_logits, without_and_only, words_of
from rationale.inference.predict import text_probs, window_probs
from rationale.models.packed.alone import settled
from rationale.pass_cache import PassCache
from rationale.text.windows import OUTSIDE


@pytest.fixture(scope="module")
def encoded(sample, classifier):
    texts = [sample.text(e) for e in sample.splits["test"][:4]]
    return texts, classifier.encoder.encode(texts)


def slow_probs(classifier, windows):
    """One window at a time, no padding."""
    found = []
    for w in windows:
        logits = classifier.model(
            input_ids=torch.tensor(w.ids)[None], token_type_ids=torch.tensor(w.types)[None]
        )
        found.append(logits.logits.double().softmax(-1)[0].tolist())
    return np.mean(found, axis=0)


def test_batched_probabilities_equal_one_at_a_time(classifier, encoded):
    found = text_probs(classifier, encoded[1])
    for probs, windows in zip(found, encoded[1], strict=True):
        assert probs.tolist() == pytest.approx(slow_probs(classifier, windows).tolist(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("how", ["delete", "mask"])
def test_ablation_equals_removing_by_hand(classifier, encoded, how):
    texts, windows = encoded
    masks = [np.random.default_rng(n).random(len(t.words)) < 0.3 for n, t in enumerate(texts)]
    pairs = [e for w, m in zip(windows, masks, strict=True) for e in without_and_only(w, m)]
    found = ablate(classifier, pairs, how)
    assert len(found) == 2 * len(texts)
    for n, (w, m) in enumerate(zip(windows, masks, strict=True)):
        for side, removed in enumerate((m, ~m)):
            expected = slow_probs(classifier, classifier.encoder.remove(w, removed, how))
            assert found[2 * n + side].tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-5)


def test_removing_nothing_changes_nothing(classifier, encoded):
    texts, windows = encoded
    none = [Erasure(w, np.zeros(len(t.words), dtype=bool)) for t, w in zip(texts, windows, strict=True)]
    assert ablate(classifier, none) == pytest.approx(text_probs(classifier, windows), abs=1e-7)


def test_equal_erasures_are_read_once(make_classifier, encoded):
    one, read = settled(make_classifier()), []
    one.model.register_forward_hook(lambda *found: read.append(len(found[-1].logits)))
    texts, windows = encoded
    erasure = Erasure(windows[0], np.arange(len(texts[0].words)) < 3)
    found = ablate(one, [erasure] * 5)
    assert sum(read) == len(windows[0])
    assert (found == found[0]).all()


def test_logits_that_passes_keep_are_not_computed_again(make_classifier, encoded):
    plain, read = settled(make_classifier()), []
    plain.model.register_forward_hook(lambda *found: read.append(len(found[-1].logits)))
    keeping = replace(plain, passes=PassCache(logits={}))
    first = window_probs(keeping, encoded[1][0])
    more = window_probs(keeping, [*encoded[1][0], encoded[1][1][0]])
    assert sum(read) == len(encoded[1][0]) + 1
    assert (more[:-1] == first).all()
    assert more == pytest.approx(window_probs(plain, [*encoded[1][0], encoded[1][1][0]]), abs=1e-6)
    window_probs(replace(plain, passes=PassCache()), encoded[1][0] * 2)
    assert sum(read) == 3 * len(encoded[1][0]) + 2


def test_coalitions_equal_removing_by_hand(classifier, encoded):
    _, windows = encoded
    two = [windows[0][0], windows[1][-1]]
    rng = np.random.default_rng(0)
    present = [rng.random((5, len(words_of(w)))) < 0.5 for w in two]
    for window, masks, found in zip(two, present, coalition_logits(classifier, two, present), strict=True):
        assert found.shape == (5, 2)
        for mask, logits in zip(masks, found, strict=True):
            kept = [w == OUTSIDE or mask[words_of(window).tolist().index(w)] for w in window.word]
            ids = torch.tensor(window.ids[kept])[None]
            types = torch.tensor(window.types[kept])[None]
            slow = classifier.model(input_ids=ids, token_type_ids=types).logits[0]
            assert logits.tolist() == pytest.approx(slow.tolist(), rel=1e-4, abs=1e-5)


def test_nan_logits_are_refused(make_classifier, encoded):
    broken = make_classifier()
    broken.model.classifier.weight.data[:] = float("nan")
    with pytest.raises(InputError, match="^expected finite logits from the model, got NaN or infinity$"):
        text_probs(broken, encoded[1])
    assert np.isnan(window_probs(broken, encoded[1][0])).all()
