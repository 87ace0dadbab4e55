from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from eraser.metrics.bootstrap import Estimate
from rationale.attribution.methods import METHODS
from rationale.trusting.checks.matched import Match, _corrected, _words, matched, permutation_p, random_spans
from rationale.trusting.contract import TrustSettings
from rationale.trusting.run import run_tests
from tests.helpers.trusted import ORACLE, half_unmarked, spoilt, subject, toy

NONE = np.array([])  # wins by text, which no verdict is of


@pytest.fixture
def methods(monkeypatch):
    """The oracle, spoilt copies of it, and the baselines."""
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    for how in ("flipped", "shuffled", "constant"):
        monkeypatch.setitem(METHODS, how, spoilt(ORACLE, how))
    return ("oracle", "flipped", "shuffled", "constant", "position", "random")


def test_the_oracle_passes_and_what_knows_nothing_does_not(methods, tmp_path):
    found = {f.method: f for f in matched(subject(tmp_path, methods))}
    assert list(found) == list(methods)
    outcomes = {name: f.outcome for name, f in found.items()}
    assert outcomes.pop("constant") == "cannot tell"
    assert outcomes == {"oracle": "pass"} | dict.fromkeys(
        ("flipped", "shuffled", "position", "random"), "fail"
    )
    assert found["oracle"].value > 0.95
    assert found["oracle"].details["operators_agree"] is True
    assert len(found["oracle"].details["ways"]) == 6
    assert found["constant"].sentence == (
        "Cannot tell: 0 texts in which constant ranks some words above others are too few (at least 8)."
    )


def test_texts_of_which_nothing_is_picked_do_not_count(methods, tmp_path):
    """An empty rationale ties with all random ones, which are empty too."""
    (oracle,) = matched(subject(tmp_path, ("oracle",), half_unmarked(toy()), budget="gold"))
    assert oracle.n == 12
    assert oracle.value > 0.95


def test_one_text_and_one_draw(methods, tmp_path):
    (one,) = matched(subject(tmp_path / "one", ("oracle",), toy(1)))
    assert one.outcome == "cannot tell"
    few = matched(subject(tmp_path / "few", ("oracle", "random"), trust=TrustSettings(draws=1, span_draws=1)))
    assert [f.outcome for f in few] == ["pass", "fail"]


def test_p_is_corrected_over_the_methods_as_benjamini_and_hochberg_do():
    tried = dict(zip("abcd", (0.01, 0.02, 0.03, 0.5), strict=True))
    found = _corrected({m: Match(Estimate(0.9, 0.8, 1.0, 40), NONE, 0.0, p) for m, p in tried.items()})
    assert {m: match.q for m, match in found.items()} == pytest.approx(
        {"a": 0.04, "b": 0.04, "c": 0.04, "d": 0.5}
    )
    assert {m: match.p for m, match in found.items()} == tried


def test_a_few_texts_with_a_large_fall_are_not_enough():
    """The mean fall is better than random (q), but half of the random rationales are not surely beaten."""
    assert not Match(Estimate(0.515, 0.43, 0.62, 40), NONE, 0.32, 0.026, 0.03).better(0.05)
    assert not Match(Estimate(0.9, 0.8, 0.95, 40), NONE, 2.0, 0.06, 0.06).better(0.05)
    assert Match(Estimate(0.9, 0.8, 0.95, 40), NONE, 2.0, 0.001, 0.002).better(0.05)


def test_better_in_some_ways_only_cannot_be_told():
    better = {"delete, words": True, "mask, words": False, "mask, spans": False}
    assert _words(better, "beats 90 %", Match(Estimate(0.9, 0.8, 0.95, 40), NONE, 2.0, 0.001, 0.002)) == (
        "Cannot tell: the result depends on the way of testing: better than random with delete, words; "
        "not with mask, words; mask, spans (beats 90 %, q = 0.002, effect 2.00, n = 40).",
        "cannot tell",
    )


def test_p_is_the_share_of_all_exchanges():
    rng = np.random.default_rng(0)
    own, drawn = rng.random(4), rng.random((4, 2))
    every = np.column_stack([own, drawn])
    means = [np.mean([every[i, k] for i, k in enumerate(taken)]) for taken in product(range(3), repeat=4)]
    exact = np.mean([m >= own.mean() for m in means])
    assert permutation_p(own, drawn, 20_000) == pytest.approx(exact, abs=0.01)


def test_random_spans_keep_their_lengths():
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = random_spans(12, [3, 2, 1], rng)
        edges = np.diff(np.concatenate(([0], mask.astype(int), [0])))
        lengths = (edges == -1).nonzero()[0] - (edges == 1).nonzero()[0]
        assert sorted(lengths) == [1, 2, 3]
    assert random_spans(6, [3, 2, 1], rng).all()


def test_findings_are_read_from_disk(methods, tmp_path, monkeypatch):
    first = list(run_tests(subject(tmp_path, ("oracle", "random")), ["matched"]))
    again = subject(tmp_path, ("oracle", "random"))
    monkeypatch.setattr(type(again), "answers", None)  # nothing is asked again
    assert list(run_tests(again, ["matched"])) == first
    assert first[0].read > 0
