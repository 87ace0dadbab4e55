"""Who knows the truth passes every test that applies; who looks at nothing does not."""

from __future__ import annotations

import pytest

from rationale.attribution.methods import METHODS
from rationale.trusting.run import run_tests
from rationale.trusting.table import TESTS as ALL
from tests.helpers.trusted import ORACLE, spoilt, subject

TESTS = ("matched", "planted", "decision", "sums", "people")
METHODS_ASKED = ("oracle", "flipped", "position", "random")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "oracle", ORACLE)
        patch.setitem(METHODS, "flipped", spoilt(ORACLE, "flipped"))
        results = run_tests(subject(tmp_path_factory.mktemp("toy"), METHODS_ASKED), TESTS)
        return {r.test: {f.method: f for f in r.findings} for r in results}


def test_the_oracle_passes_all(outcomes):
    assert {test: found["oracle"].outcome for test, found in outcomes.items()} == dict.fromkeys(TESTS, "pass")


@pytest.mark.parametrize("method", ["flipped", "position", "random"])
def test_who_does_not_know_fails_all_but_arithmetic(outcomes, method):
    found = {test: of_test[method].outcome for test, of_test in outcomes.items()}
    assert found == dict.fromkeys(TESTS, "fail") | {"sums": "pass"}


def test_of_all_other_tests_a_function_can_be_asked_one_which_the_oracle_passes(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    others = [test for test in ALL if test not in TESTS]
    found = {r.test: r for r in run_tests(subject(tmp_path, ("oracle", "random")), others)}
    assert found["stability"].of("oracle").outcome == "pass"
    assert found["stability"].of("random").outcome == "fail"
    untold = {test: r.of("oracle").outcome for test, r in found.items() if test != "stability"}
    assert untold == dict.fromkeys(untold, "cannot tell")
    assert "has no weights to look into" in found["randomisation"].of("oracle").sentence
    assert "as sure of one text as of another" in found["confidence"].of("oracle").sentence


def test_sentences_tell_their_number(outcomes):
    told = {test: found["oracle"].sentence for test, found in outcomes.items()}
    assert told["matched"].startswith("Better than random: beats 99.")
    assert told["decision"].startswith(
        "Finds what decides: 50% of the words [50%, 50%] until the class flips, "
    )
    assert told["people"].startswith(
        "Ranks words as annotators do: average precision 1.000 [1.000, 1.000], +0."
    )
    assert told["planted"].startswith(
        "Finds what was planted: 100% of the deciding words [100%, 100%], n = 120"
    )
    assert told["sums"].startswith(
        "It promises no sum; scores alone and in a batch differ by 0 of the largest"
    )
