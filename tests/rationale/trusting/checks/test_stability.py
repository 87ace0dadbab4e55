from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from rationale.attribution.methods import METHODS
from rationale.trusting.checks.stability import edited_texts, stability
from rationale.trusting.model.again import FEW
from rationale.trusting.model.randomised import randomised
from tests.helpers.planted_texts import planted, planted_texts
from tests.helpers.trusted import ORACLE, subject, toy


def test_another_seed_changes_what_draws_and_nothing_else(tmp_path):
    methods = ("leave_one_out", "random")
    found = {f.method: f for f in stability(subject(tmp_path, methods, planted_texts(), planted(tmp_path)))}
    ways = found["random"].details["ways"]
    assert "seeds" not in found["leave_one_out"].details["ways"]
    assert found["random"].outcome == "fail"
    assert found["random"].details["worst"] == "seeds"
    assert abs(ways["seeds"]["tau"]["value"]) < 0.25
    assert 0.05 < ways["seeds"]["jaccard"]["value"] < 0.35  # 2 of 8 words: 0.17 by chance, mean of 3 draws


def test_a_function_of_texts_is_asked_again_and_its_oracle_is_stable(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    tested = subject(tmp_path, ("oracle", "position", "random"))
    edits = {name: sum(i is not None for i in items) for name, items in edited_texts(tested).items()}
    assert edits["two spaces"] == FEW  # a function reads the gaps as well
    assert edits["lower case"] == 0  # it is in lower case already
    found = {f.method: f for f in stability(tested)}
    assert {m: f.outcome for m, f in found.items()} == {
        "oracle": "pass", "position": "pass", "random": "fail",
    }  # fmt: skip
    assert found["position"].value == 1.0
    assert found["position"].sentence.startswith("Stable: Jaccard index of its picks 1.00 [1.00, 1.00] (")


def test_an_edit_that_changes_the_answer_does_not_count(tmp_path):
    """The function knows no word in capitals and answers NEG; every second text is POS in lower case."""
    texts = toy(4)
    loud = {n: replace(d, sentences=tuple(tuple(map(str.upper, s)) for s in d.sentences))
            for n, d in texts.documents.items()}  # fmt: skip
    found = edited_texts(subject(tmp_path, ("random",), replace(texts, documents=loud)))["lower case"]
    assert [item is None for item in found] == [False, True, False, True]


def test_identical_trainings_agree(tmp_path):
    tested = subject(tmp_path, ("leave_one_out",), planted_texts(), planted(tmp_path))
    same = replace(tested, models={"twin": tested.run.classifier})
    (found,) = stability(same)
    assert found.details["ways"]["training twin"]["jaccard"]["value"] == 1.0
    assert found.details["ways"]["training twin"]["tau"]["value"] == pytest.approx(1.0)


def test_destroyed_trainings_disagree_where_they_predict_the_same(tmp_path, classifier, sample):
    few = replace(sample, splits={"test": sample.splits["test"][:12]})
    tested = subject(tmp_path, ("gradient_x_input",), few, classifier)
    broken = randomised(classifier, 5, 1)
    (found,) = stability(replace(tested, models={"broken": broken}))
    told = found.details["ways"]["training broken"]["jaccard"]
    probs = tested.answers([(i, item.windows) for i, item in enumerate(tested.items)], broken)
    assert told["n"] == (probs.argmax(1) == np.array(tested.targets)).sum()
    assert told["value"] < 0.7


def test_a_training_that_predicts_another_class_of_every_text_has_no_say_and_that_is_said(tmp_path):
    tested = subject(tmp_path, ("leave_one_out",), planted_texts(), planted(tmp_path))
    flipped = replace(tested.run.classifier, labels=("with", "without"))
    model = deepcopy(tested.run.classifier.model)
    model.classifier.weight.data = model.classifier.weight.data.flip(0)
    model.classifier.bias.data = model.classifier.bias.data.flip(0)
    (found,) = stability(replace(tested, models={"other": replace(flipped, model=model)}))
    assert found.details["ways"]["training other"]["jaccard"]["n"] == 0
    assert "; training other predicts another class of every text." in found.sentence


def test_nothing_to_vary_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("rationale.trusting.checks.stability.edits_here", dict)
    (found,) = stability(subject(tmp_path, ("leave_one_out",), planted_texts(), planted(tmp_path)))
    assert found.sentence == (
        "Cannot tell: it draws nothing, the model reads edited texts as they were, "
        "and there is no other training."
    )
