"""interpreto's own objects, of several classes and granularities."""

from __future__ import annotations

import numpy as np
import pytest

import rationale
from eraser import InputError
from tests.helpers.planted import LABELS, TEXTS, bert, tokenizer

interpreto = pytest.importorskip("interpreto", reason="interpreto is not installed: make test-adapters")
pytestmark = pytest.mark.adapters


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    cut, model = tokenizer(tmp_path_factory.mktemp("t")), bert()

    def explain(**how):
        targets = how.pop("targets", None)
        explainer = interpreto.Occlusion(model, cut, batch_size=4, **how)
        return explainer(list(TEXTS)) if targets is None else explainer(list(TEXTS), targets=targets)

    return explain


@pytest.mark.parametrize("granularity", ["TOKEN", "WORD"])
def test_the_planted_word_has_the_highest_score(explained, granularity):
    outputs = explained(granularity=getattr(interpreto.Granularity, granularity))
    found = rationale.from_scores(outputs, TEXTS, labels=LABELS)
    assert found.name == "interpreto"
    assert [found[i].top(1)[0][0] for i in (0, 2)] == ["dull", "DULL"]
    assert [one.target for one in found] == ["NEG", "POS", "NEG"]
    assert found.counts["tokens not in the text"] == 0


def test_of_several_classes_one_is_asked_for(explained):
    import torch

    outputs = explained(targets=[torch.tensor([0, 1])] * len(TEXTS))
    with pytest.raises(InputError, match="expected target=…, a class of POS, NEG, got none"):
        rationale.from_scores(outputs, TEXTS, labels=LABELS)
    pos, neg = (rationale.from_scores(outputs, TEXTS, labels=LABELS, target=x)[0] for x in LABELS)
    assert np.nanmax(neg.scores) > np.nanmax(pos.scores)
