"""ferret's own objects: one explainer's, or all of its benchmark."""

from __future__ import annotations

import pytest

import rationale
from tests.helpers.planted import LABELS, TEXTS, bert, tokenizer

ferret = pytest.importorskip("ferret", reason="ferret-xai is not installed: make test-adapters")
pytestmark = pytest.mark.adapters


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return ferret.Benchmark(bert(), tokenizer(tmp_path_factory.mktemp("t")))


def test_the_planted_word_has_the_highest_score(bench):
    from ferret import SHAPExplainer

    explainer = SHAPExplainer(bench.model, bench.tokenizer)
    given = [explainer(text, target=1) for text in TEXTS]
    found = rationale.from_scores(given, TEXTS, labels=LABELS)
    assert found.name == "ferret"
    assert [found[i].top(1)[0][0] for i in (0, 2)] == ["dull", "DULL"]
    assert {one.target for one in found} == {"NEG"}
    assert found.counts["tokens not in the text"] == 0
