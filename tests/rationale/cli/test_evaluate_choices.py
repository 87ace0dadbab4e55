"""Which examples of a split are scored, and which class is explained."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from eraser import InputError
from rationale.evaluation.plan import chosen, evaluate
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings

SETTINGS = EvaluateSettings("sample", "tiny", methods=("attention", "gradient_x_input", "random"))


def scores(classifier, dataset, folder, target):
    """The scores of gradient × input of four texts, and the evaluation."""
    asked = replace(SETTINGS, methods=("gradient_x_input",), target=target, limit=4)
    found = evaluate(classifier, dataset, asked, folder, overwrite=True)
    return [p.scores.tolist() for p in found.predictions["gradient_x_input", "gold"]], found


def test_gold_explains_the_label_of_each_text_and_predicted_the_model_s_answer(classifier, sample, tmp_path):
    of_label = {label: scores(classifier, sample, tmp_path, label)[0] for label in sample.labels}
    (gold, found), (predicted, _) = (scores(classifier, sample, tmp_path, t) for t in ("gold", "predicted"))
    truths = [item.truth.label for item in found.items]
    answers = [p.label for p in found.predictions["gradient_x_input", "gold"]]
    assert truths != answers
    assert gold == [of_label[label][i] for i, label in enumerate(truths)]
    assert predicted == [of_label[label][i] for i, label in enumerate(answers)]


def test_a_target_that_is_no_label_is_refused(classifier, sample, tmp_path):
    with pytest.raises(InputError, match="^expected a target of predicted, gold, NEG, POS, got 'BAD'$"):
        evaluate(classifier, sample, replace(SETTINGS, target="BAD"), tmp_path)


def test_a_class_called_gold_is_explained_as_any_other(classifier, sample, tmp_path):
    names = {"NEG": "gold", "POS": "predicted"}
    splits = {s: tuple(replace(e, label=names[e.label]) for e in of) for s, of in sample.splits.items()}
    renamed, one = replace(sample, splits=splits), replace(classifier, labels=tuple(names.values()))

    def told(dataset, classifier, target):
        return scores(classifier, dataset, tmp_path, target)[0]

    of_neg, of_pos = (told(sample, classifier, target) for target in names)
    assert of_neg != of_pos
    assert told(sample, classifier, "label:NEG") == of_neg
    assert told(renamed, one, "label:gold") == of_neg
    assert told(renamed, one, "label:predicted") == of_pos
    assert told(renamed, one, "gold") == told(sample, classifier, "gold")


@pytest.mark.parametrize(
    ("target", "labels", "found"),
    [
        ("gold", ["gold", "x"], None),
        ("predicted", ["gold", "x"], None),
        ("x", ["gold", "x"], "x"),
        ("label:x", ["gold", "x"], "x"),
        ("label:x", ["label:x", "y"], "label:x"),
        ("label:x", ["label:x", "x"], "x"),
        ("label:label:x", ["label:x", "x"], "label:x"),
    ],
)
def test_a_target_names_a_label_or_looks_at_each_text(target, labels, found):
    assert replace(SETTINGS, target=target).target_label(labels) == found


def test_an_unknown_label_is_told_with_those_there_are():
    line = "expected a target of predicted, gold, label:gold, x, got 'label:y'"
    with pytest.raises(InputError, match=rf"\A{line}\Z"):
        replace(SETTINGS, target="label:y").target_label(["gold", "x"])


def drawn(dataset, n, seed=0):
    return [e.id for e in chosen(dataset.splits["test"], replace(SETTINGS, sample=n, seed=seed))]


def test_a_sample_depends_on_the_seed_keeps_the_order_and_grows(sample):
    ids = [e.id for e in sample.splits["test"]]
    ten = drawn(sample, 10)
    assert len(ten) == 10
    assert ten == [i for i in ids if i in ten] != ids[:10]
    assert ten == drawn(sample, 10) != drawn(sample, 10, seed=1)
    assert set(drawn(sample, 5)) < set(ten)
    assert drawn(sample, len(ids)) == drawn(sample, 10**6) == ids
    assert [e.id for e in chosen(sample.splits["test"], replace(SETTINGS, limit=10**6))] == ids


def test_a_sample_is_as_likely_to_hold_one_example_as_another(sample):
    """Each of 40 is drawn in a quarter of 400 draws of ten: 100 times, standard deviation 8.7."""
    counts = Counter(i for seed in range(400) for i in drawn(sample, 10, seed=seed))
    assert len(counts) == 40
    assert 60 < min(counts.values()) < max(counts.values()) < 140


def test_a_sample_is_what_the_run_scores_and_says(classifier, sample, tmp_path):
    settings = replace(SETTINGS, methods=("random",), sample=3)
    found = evaluate(classifier, sample, settings, tmp_path)
    write_run(found, sample, tmp_path)
    assert [i.example.id for i in found.items] == drawn(sample, 3)
    assert json.loads((tmp_path / "scores.json").read_text())["run"]["settings"]["sample"] == 3
    assert (tmp_path / "summary.md").read_text().startswith("sample test, sample 3; 3 examples, ")
    assert '<td>sample</td><td class="text">3</td>' in (tmp_path / "report.html").read_text()
