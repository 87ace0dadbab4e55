from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.attribution import AttributionInput, attribute
from rationale.evaluation import pipeline as module
from rationale.evaluation.plan import evaluate
from rationale.hf.classifier import load_classifier, save_classifier, without_removal
from rationale.inference.predict import text_probs
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings
from rationale.text.encode import Encoder

SETTINGS = EvaluateSettings(
    "sample", "tiny", methods=("attention", "survivors", "random"), limit=6,
    budgets=("match=survivors", "gold"), fractions=(0.2,),
)  # fmt: skip


def own_words(adaptive, found):
    cases = [AttributionInput(i.windows, i.truth.n_words, 1) for i in found.items]
    return [a.selected for a in attribute(adaptive, "survivors", cases)]


def same_scores(one, other, method):
    rows = zip(one.predictions[method, "gold"], other.predictions[method, "gold"], strict=True)
    return all(np.allclose(a.scores, b.scores, rtol=0, atol=1e-5) for a, b in rows)


def test_matched_budget_is_the_models_own_choice_and_its_size_for_all_others(adaptive, sample, tmp_path):
    found = evaluate(adaptive, sample, SETTINGS, tmp_path)
    assert found.budgets == ("match=survivors", "gold")
    own = own_words(adaptive, found)
    assert len({int(o.sum()) for o in own}) > 2
    at = {method: found.predictions[method, "match=survivors"] for method in SETTINGS.methods}
    for n, chosen in enumerate(own):
        assert (at["survivors"][n].rationale == chosen).all()
        for other in (at["attention"][n], at["random"][n]):
            best = np.argsort(-other.scores, kind="stable")[: chosen.sum()]
            assert set(other.rationale.nonzero()[0]) == set(best)
            assert other.rationale.sum() == chosen.sum()
    for method in SETTINGS.methods:
        for item, prediction in zip(found.items, found.predictions[method, "gold"], strict=True):
            assert prediction.rationale.sum() == item.truth.gold.sum()


def test_order_of_methods_and_parts_on_disk_change_nothing(adaptive, sample, tmp_path, monkeypatch):
    first = evaluate(adaptive, sample, SETTINGS, tmp_path)
    for part in tmp_path.rglob("attention-*.parquet"):
        part.unlink()  # made again, from the survivors' part on disk
    asked, real = [], module.attribute
    monkeypatch.setattr(module, "attribute", lambda c, m, *rest: asked.append(m) or real(c, m, *rest))
    turned = replace(SETTINGS, methods=("random", "attention", "survivors"))
    again = evaluate(adaptive, sample, turned, tmp_path, overwrite=True)
    assert set(asked) == {"attention"}
    assert again.predictions.keys() == first.predictions.keys()
    for key, rows in first.predictions.items():
        for a, b in zip(rows, again.predictions[key], strict=True):
            assert a.scores == pytest.approx(b.scores, abs=1e-5)
            assert (a.rationale == b.rationale).all()
            assert a.at_rationale.only == pytest.approx(b.at_rationale.only, abs=1e-5)


def test_budget_own_serves_methods_that_choose(adaptive, sample, tmp_path):
    found = evaluate(adaptive, sample, replace(SETTINGS, methods=("survivors",), budgets=("own",)), tmp_path)
    for prediction, chosen in zip(
        found.predictions["survivors", "own"], own_words(adaptive, found), strict=True
    ):
        assert (prediction.rationale == chosen).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"budgets": ("own",)},
            "expected for budget own only methods that choose words themselves (match=METHOD serves all), "
            "got attention, random",
        ),
        (
            {"budgets": ("match=attention",)},
            "expected a budget match=METHOD with a method of this run that chooses words (survivors), "
            "got match=attention",
        ),
        (
            {"methods": ("attention",)},
            "expected a budget match=METHOD with a method of this run that chooses words (survivors), "
            "got match=survivors",
        ),
    ],
)
def test_budgets_that_no_method_can_fill_are_refused(adaptive, sample, tmp_path, change, message):
    with pytest.raises(InputError) as error:
        evaluate(adaptive, sample, replace(SETTINGS, **change), tmp_path)
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def other_dense(make_classifier):
    """A dense model with other weights than those inside `adaptive`."""
    found = make_classifier()
    torch.manual_seed(9)
    for weight in found.model.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    return found


def test_attention_explains_the_model_itself_with_nothing_removed(adaptive, sample, tmp_path):
    found = evaluate(adaptive, sample, SETTINGS, tmp_path / "adaptive")
    bare = replace(SETTINGS, methods=("attention", "random"), budgets=("gold",))
    alone = evaluate(without_removal(adaptive), sample, bare, tmp_path / "dense")
    assert same_scores(found, alone, "attention")
    assert same_scores(found, alone, "random")


def test_attention_explains_the_dense_model_given_and_answers_stay_the_models_own(
    adaptive, other_dense, sample, tmp_path
):
    """The target is the model's own prediction, so a method that depends on it is not asked here."""
    found = evaluate(adaptive, sample, SETTINGS, tmp_path / "found", other_dense)
    own = evaluate(adaptive, sample, SETTINGS, tmp_path / "own")
    bare = replace(SETTINGS, methods=("attention",), budgets=("gold",))
    assert same_scores(found, evaluate(other_dense, sample, bare, tmp_path / "bare"), "attention")
    assert not same_scores(found, own, "attention")
    assert same_scores(found, own, "survivors")
    for item, prediction in zip(found.items, found.predictions["attention", "gold"], strict=True):
        encoder = adaptive.encoder
        for removed, said in (
            (np.zeros(item.truth.n_words, dtype=bool), prediction.probs),
            (prediction.rationale, prediction.at_rationale.without),
            (~prediction.rationale, prediction.at_rationale.only),
        ):
            (expected,) = text_probs(adaptive, [encoder.remove(item.windows, removed)])
            assert list(said.values()) == pytest.approx(expected, abs=1e-5)


def test_a_dense_model_that_reads_less_of_a_text_is_refused(
    adaptive, classifier, tokenizer, sample, tmp_path
):
    short = replace(classifier, encoder=Encoder(tokenizer, 64))
    with pytest.raises(InputError) as error:
        evaluate(adaptive, sample, SETTINGS, tmp_path, short)
    expected = "expected --dense to be a model that reads 128 pieces, as --model does"
    assert str(error.value) == f"{expected}, got 64"


def test_dense_model_that_reads_other_pieces_or_knows_other_labels_is_refused(
    adaptive, classifier, tokenizer, sample, tmp_path
):
    larger = deepcopy(tokenizer)
    larger.add_tokens(["extraordinary"])
    for other in (
        replace(classifier, encoder=Encoder(larger, 128)),
        replace(classifier, labels=("POS", "NEG")),
    ):
        with pytest.raises(InputError) as error:
            evaluate(adaptive, sample, SETTINGS, tmp_path, other)
        expected = "--dense has a different vocabulary or labels than --model"
        assert str(error.value) == f"{expected}; give the dense model that --model was made from"


def test_a_dense_model_beside_one_that_does_all_its_work_is_refused(
    classifier, other_dense, sample, tmp_path
):
    bare = replace(SETTINGS, methods=("attention",), budgets=("gold",))
    with pytest.raises(InputError) as error:
        evaluate(classifier, sample, bare, tmp_path, other_dense)
    expected = "--model drops no tokens, reads every layer and is not pruned, so it is explained itself"
    assert str(error.value) == f"{expected}; leave --dense out"
    assert not list(tmp_path.iterdir())


def test_saved_model_is_evaluated_and_reported_alike(adaptive, tokenizer, sample, tmp_path):
    save_classifier(adaptive.model, tokenizer, tmp_path)
    loaded = load_classifier(tmp_path, device="cpu", max_length=128)
    found = evaluate(loaded, sample, SETTINGS, tmp_path / "one")
    expected = evaluate(adaptive, sample, SETTINGS, tmp_path / "other")
    assert all(same_scores(found, expected, method) for method in SETTINGS.methods)
    scores = write_run(found, sample, tmp_path / "one").scores
    chosen = scores[(scores.metric == "token_f1") & (scores.budget == "match=survivors")]
    assert sorted(chosen.method) == sorted(SETTINGS.methods)
    assert (tmp_path / "one" / "predictions" / "survivors.jsonl").is_file()


def test_each_match_budget_has_the_size_of_its_own_method(adaptive, sample, tmp_path):
    budgets = ("match=survivors", "match=survivors@2")
    settings = replace(SETTINGS, methods=("survivors", "survivors@2", "random"), budgets=budgets, limit=3)
    found = evaluate(adaptive, sample, settings, tmp_path)
    sizes = {key: [int(p.rationale.sum()) for p in rows] for key, rows in found.predictions.items()}
    for budget in budgets:
        own = sizes[budget.removeprefix("match="), budget]
        assert all(sizes[method, budget] == own for method in settings.methods)
    assert sizes["random", budgets[0]] != sizes["random", budgets[1]]
