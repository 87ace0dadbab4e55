from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rationale.hf.classifier import load_classifier
from rationale.trusting.checks.distribution import (
    distribution,
    erased_half,
    reference_texts,
    trained_faithful,
)
from rationale.trusting.run import run_tests
from tests.helpers.planted_texts import planted, planted_texts
from tests.helpers.trusted import half_unmarked, subject

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def tested(tmp_path_factory, classifier, sample):
    few = replace(sample, splits=sample.splits | {"test": sample.splits["test"][:12]})
    return subject(tmp_path_factory.mktemp("tested"), ("position", "random"), few, classifier)


@pytest.fixture(scope="module")
def findings(tested):
    return distribution(tested)


def test_reference_texts_are_those_of_other_splits(tested):
    assert len(reference_texts(tested)) == 24 + 104
    same = replace(tested, dataset=replace(tested.dataset, splits={"val": tested.dataset.splits["test"]}))
    assert reference_texts(same) == []


def test_both_measures_stand_beside_the_p_values_of_their_texts(findings):
    position = findings[0]
    assert position.outcome == "told"
    details = position.details
    assert details["reference"] == 128
    for side in ("without", "only"):
        assert 0 <= details[side]["rejected"]["value"] <= 1
        assert 0 < details[side]["p"] <= 1
    warned = [
        m for m, s in (("comprehensiveness", "without"), ("sufficiency", "only")) if details[s]["p"] < 0.05
    ]
    assert details["outside"] == warned
    assert position.sentence.startswith("Warning:" if warned else "Erased texts are not told")


def test_a_rationale_alone_is_far_from_whole_texts(findings):
    """A few words of a hundred: the largest of so few states lies lower in nearly every unit."""
    for finding in findings:
        assert "sufficiency" in finding.details["outside"]
        assert finding.details["only"]["p"] < 1e-4


def test_texts_of_which_nothing_is_picked_are_not_asked(tmp_path, classifier, sample):
    few = replace(sample, splits=sample.splits | {"test": sample.splits["test"][:16]})
    (found,) = distribution(
        subject(tmp_path / "half", ("position",), half_unmarked(few), classifier, budget="gold")
    )
    assert found.n == 8
    bare = replace(
        few, splits=few.splits | {"test": tuple(replace(e, gold=frozenset()) for e in few.splits["test"])}
    )
    (none,) = distribution(subject(tmp_path / "none", ("position",), bare, classifier, budget="gold"))
    assert none.sentence == "Cannot tell: 0 texts are too few (at least 8)."
    json.dumps(none.to_record(), allow_nan=False)


def test_too_few_reference_texts_are_said(tmp_path):
    tested = subject(tmp_path, ("position",), planted_texts(12, splits=SPLITS), planted(tmp_path))
    (found,) = distribution(tested)
    assert found.sentence == "Cannot tell: 24 reference texts of other splits are too few (at least 40)."


def test_texts_of_another_kind_are_told_before_any_word_is_erased(tmp_path, classifier, sample):
    """Tested are texts of three words, the reference are reviews."""
    short = planted_texts(12, 3)
    mixed = replace(sample, documents={**sample.documents, **short.documents},
                    splits={"train": sample.splits["train"], "test": short.splits["test"]})  # fmt: skip
    (found,) = distribution(subject(tmp_path, ("position",), mixed, classifier))
    assert found.outcome == "cannot tell"
    assert "differ from those of other splits before any word is erased" in found.sentence


def test_a_model_trained_on_erased_texts_has_such_a_reference(tested, model_folder):
    """Its folder says so, and the model in memory remembers, whatever name it is given by."""
    record = {"training": {"faithful": True, "faithful_by": "delete"}}
    (model_folder / "rationale.json").write_text(json.dumps(record))
    loaded = load_classifier(model_folder, device="cpu", max_length=128)
    faithful = replace(tested, run=replace(tested.run, classifier=loaded))
    assert trained_faithful(tested) is None
    assert trained_faithful(faithful) == "delete"
    assert distribution(faithful)[0].details["trained_faithful"] == "delete"
    (before,), (after,) = (list(run_tests(of, ["distribution"])) for of in (tested, faithful))
    assert before.findings[0].details["trained_faithful"] is None
    assert after.findings[0].details["trained_faithful"] == "delete"  # not what was kept of the other


def test_half_of_the_reference_is_erased(tested):
    rng, texts = np.random.default_rng(0), reference_texts(tested)
    erased = [erased_half(tested, w, "mask", rng) for w in texts]
    mask = tested.run.classifier.encoder.mask_id
    touched = sum(any((w.ids == mask).any() for w in windows) for windows in erased)
    assert 0.35 * len(texts) < touched < 0.6 * len(texts)
