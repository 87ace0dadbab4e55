"""Bad input gives a clear line, or a correct `cannot tell`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eraser import Dataset, Fault, InputError
from rationale.attribution.methods import METHODS
from rationale.trusting.contract import Finding, TestResult, TrustSettings
from rationale.trusting.run import names_of, run_tests
from tests.helpers.trusted import ORACLE, spoilt, subject, toy


def outcomes(found):
    return {f.method: f.outcome for f in found.findings}


def test_one_example(tmp_path):
    for found in run_tests(subject(tmp_path, ("random",), toy(1)), ["matched", "decision", "people"]):
        assert outcomes(found) == {"random": "cannot tell"}
        assert "too few (at least 8)" in found.findings[0].sentence


def test_no_gold(tmp_path):
    unmarked = toy()
    plain = tuple(replace(e, gold=frozenset()) for e in unmarked.splits["test"])
    dataset = Dataset("plain", unmarked.documents, {"test": plain})
    (found,) = run_tests(subject(tmp_path, ("random",), dataset), ["people"])
    assert found.findings[0].sentence == "Cannot tell: no text has words that annotators marked."
    assert found.seconds == found.read == 0


def crashes(classifier, request):
    raise ZeroDivisionError("no luck\ntoday")


def test_a_method_that_crashes_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "crashes", replace(ORACLE, scores=crashes))
    asked = subject(tmp_path, ("crashes", "random"))
    assert asked.methods == ("random",)
    (found,) = run_tests(asked, ["people"])
    assert outcomes(found) == {"random": "fail", "crashes": "cannot tell"}
    assert found.of("crashes").sentence == "Cannot tell: crashes did not run: ZeroDivisionError: no luck."
    with pytest.raises(InputError, match="crashes did not run: ZeroDivisionError: no luck"):
        subject(tmp_path, ("crashes",))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(28, "No space left on device"),
     InputError(Fault.of("out of memory on cuda for a single window: shorten windows with --max-length"))],
)  # fmt: skip
def test_a_failure_that_may_pass_is_not_kept(tmp_path, monkeypatch, error):
    full = []

    def tired(classifier, request):
        if full:
            raise error
        return ORACLE.scores(classifier, request)

    monkeypatch.setitem(METHODS, "tired", replace(ORACLE, scores=tired))
    asked = subject(tmp_path, ("tired",))
    full.append(True)
    with pytest.raises(type(error)):
        list(run_tests(asked, ["stability"]))
    full.clear()
    (found,) = run_tests(asked, ["stability"])
    assert outcomes(found) == {"tired": "pass"}


def test_scores_that_are_all_equal(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "constant", spoilt(ORACLE, "constant"))
    asked = subject(tmp_path, ("constant", "random"))
    matched, decision = run_tests(asked, ["matched", "decision"])
    assert matched.of("constant").outcome == "cannot tell"
    assert decision.of("constant").sentence == "Ranks no word above another in 24 of 24 texts."


def test_a_function_has_no_weights_and_these_data_no_annotators(tmp_path):
    from rationale.trusting.table import NEEDS

    asked = subject(tmp_path, ("random",))
    assert {need: why(asked) for need, why in NEEDS.items()} == {
        "gold": None,
        "annotators": "no text was marked by several annotators one by one",
        "weights": "a function of texts has no weights to look into",
        "states": "a function of texts has no layers to look into",
        "train": "the data have no train split",
        "models": "no other training of the model was given (--models)",
    }


def test_settings_and_names_that_cannot_be():
    with pytest.raises(InputError, match="from 1 to 10,000 draws, got 0"):
        TrustSettings(draws=0).check()
    with pytest.raises(InputError, match="a level between 0 and 1, got 1"):
        TrustSettings(level=1).check()
    with pytest.raises(InputError, match="a test of matched, .*, got 'luck'"):
        names_of("matched,luck")


def test_a_finding_is_the_same_from_disk():
    nan = float("nan")
    finding = Finding("t", "m", 0.5, nan, nan, 3, "told", "s", {"x": [1, None], "y": {"z": 2.5}})
    found = TestResult.from_row(TestResult("t", (finding,), 1.5, 2, 3).to_row())
    assert (found.seconds, found.read, found.explained) == (1.5, 2, 3)
    assert found.findings[0].details == finding.details
    assert found.findings[0].number == "0.500, n = 3"
    assert str(found.findings[0].low) == "nan"
