from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rationale.attribution.methods import METHODS, Method
from rationale.trusting.checks.consistency import (
    confidence_indication,
    dataset_consistency,
    predicted,
    rationale_consistency,
    scaled,
)
from rationale.trusting.contract import TrustSettings
from tests.helpers.planted_texts import planted, planted_texts
from tests.helpers.trusted import ORACLE, subject


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("tested")
    methods = ("leave_one_out", "position", "random")
    return subject(tmp_path, methods, planted_texts(24), planted(tmp_path), TrustSettings(epochs=1))


def outcomes(findings):
    return {f.method: f.outcome for f in findings}


def test_what_explains_the_model_differs_with_it_and_what_ignores_it_does_not(tested):
    found = rationale_consistency(tested)
    assert outcomes(found) == {"leave_one_out": "pass", "position": "fail", "random": "fail"}
    assert found[1].sentence == "Explanations are all alike, also where models differ more inside (4 models)."


def test_texts_with_the_planted_word_are_alike_inside_and_in_their_explanations(tested):
    found = {f.method: f for f in dataset_consistency(tested)}
    assert found["leave_one_out"].outcome == "pass"
    assert found["leave_one_out"].value > 0.6
    assert found["position"].outcome == "fail"
    assert found["random"].outcome != "pass"


def test_the_planted_word_tells_how_sure_the_model_is(tested):
    found = {f.method: f for f in confidence_indication(tested)}
    assert outcomes(found.values()) == {"leave_one_out": "pass", "position": "fail", "random": "fail"}
    assert found["leave_one_out"].details["error"] < 0.01
    assert found["random"].value == 0


def test_a_function_of_one_answer_has_no_second_class(tested):
    one = replace(tested.run.classifier, labels=("POS",))
    (found, *_) = confidence_indication(replace(tested, run=replace(tested.run, classifier=one)))
    assert found.sentence == "Cannot tell: the model knows no second class to explain."


def test_where_the_model_is_always_as_sure_there_is_nothing_to_tell(tmp_path, monkeypatch):
    """Every text of the toy holds the three words of its side: the same sum."""
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    (found,) = confidence_indication(subject(tmp_path, ("oracle",)))
    assert found.sentence == "Cannot tell: the model is as sure of one text as of another (within 0.0000)."


def test_a_method_that_fails_for_another_class_is_said(tmp_path, monkeypatch):
    def scores(classifier, request):
        if int(request.target[0]) != int(request.target[-1]) or len(set(seen)) == 2:
            raise RuntimeError("only one class")
        seen.append(len(seen))
        return request.batch.word.double()

    seen: list[int] = []
    monkeypatch.setitem(METHODS, "odd", Method(scores, "max", False, "x", asks=True))
    label = "label:NEG"
    tested = subject(tmp_path, ("odd",), planted_texts(24), planted(tmp_path), target=label)
    seen[:] = [0, 1]
    (found,) = confidence_indication(tested)
    assert found.sentence == "Cannot tell: odd fails for another class (only one class)."


def test_predictions_are_made_by_other_folds():
    """A straight line is found exactly; a text's own number is not used."""
    x = np.arange(10.0)[:, None] / 10
    assert predicted(x, 0.1 + 0.5 * x[:, 0]) == pytest.approx(0.1 + 0.5 * x[:, 0])
    alone = np.zeros(10)
    alone[3] = 1.0
    assert predicted(np.empty((10, 0)), alone)[3] == 0.0
    assert predicted(np.empty((10, 0)), alone)[0] == pytest.approx(1 / 8)


def test_scores_are_scaled_and_unread_words_are_nothing():
    assert scaled(np.array([2.0, -4.0, np.nan])).tolist() == [0.5, -1.0, 0.0]
    assert scaled(np.zeros(2)).tolist() == [0.0, 0.0]
