from __future__ import annotations

import json
import linecache
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from eraser import Dataset, Document, Example, InputError
from eraser.data.source import Source
from eraser.load import load
from eraser.metrics.table import METRICS
from eraser.official.scorer import score_official
from rationale.attribution.methods import Method
from rationale.evaluation import pipeline as module
from rationale.evaluation.pipeline import seed_of
from rationale.evaluation.plan import evaluate, plan
from rationale.evaluation.stored.part_files import part
from rationale.hf.classifier import Classifier
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings
from rationale.text.encode import Encoder
from rationale.text_classifier import labelled_as
from tests.conftest import tiny_model
from tests.helpers.other_tokenizers import one_shorter, other_words
from tests.helpers.paths import ROOT, data

SETTINGS = EvaluateSettings(
    "sample", "tiny", methods=("attention", "gradient_x_input", "random"), limit=8, budgets=("ratio", "gold")
)


@pytest.fixture(scope="module")
def evaluation(classifier, sample, tmp_path_factory):
    return evaluate(classifier, sample, SETTINGS, tmp_path_factory.mktemp("run"))


def same(one, other):
    assert one.predictions.keys() == other.predictions.keys()
    for key, rows in one.predictions.items():
        for a, b in zip(rows, other.predictions[key], strict=True):
            assert (a.scores == b.scores).all()
            assert (a.rationale == b.rationale).all()
            assert (a.probs, a.at_rationale, a.ablations) == (b.probs, b.at_rationale, b.ablations)


def test_predictions_hold_what_was_asked(evaluation, sample):
    assert evaluation.predictions.keys() == {
        (m, b) for m in SETTINGS.methods for b in (f"ratio={round(sample.human_share('train'), 4)}", "gold")
    }
    for (_, budget), rows in evaluation.predictions.items():
        assert [p.example_id for p in rows] == [e.id for e in sample.splits["test"][:8]]
        for prediction, item in zip(rows, evaluation.items, strict=True):
            if budget == "gold":
                assert prediction.rationale.sum() == item.truth.gold.sum()
            assert sum(prediction.probs.values()) == pytest.approx(1)
            assert [a.fraction for a in prediction.ablations] == list(SETTINGS.fractions)
    assert evaluation.words_unread == 0


def test_interrupted_run_resumes_with_the_same_numbers(classifier, sample, evaluation, tmp_path, monkeypatch):
    real, seen = module.attribute, []

    def dies(one, method, cases, steps):
        seen.append(method)
        if len(seen) == 4:  # a part calls twice, to warm up and to measure
            raise KeyboardInterrupt
        return real(one, method, cases, steps)

    monkeypatch.setattr(module, "attribute", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(classifier, sample, SETTINGS, tmp_path)
    assert not list(tmp_path.rglob("*.partial"))
    resumed = evaluate(classifier, sample, SETTINGS, tmp_path)
    assert seen == ["attention"] * 2 + ["gradient_x_input"] * 4 + ["random"] * 2
    same(resumed, evaluation)
    evaluate(classifier, sample, SETTINGS, tmp_path)
    assert len(seen) == 8


def test_what_changes_a_number_changes_its_part(classifier, sample, tmp_path, make_classifier):
    changes = [
        {"seed": 1},
        {"replace": "mask"},
        {"budgets": ("gold",)},
        {"target": "NEG"},
        {"fractions": (0.1,)},
    ]
    base = replace(SETTINGS, methods=("random",), limit=2)
    evaluate(classifier, sample, base, tmp_path)
    names = set(tmp_path.rglob("random-*.parquet"))
    for change in changes:
        evaluate(classifier, sample, replace(base, **change), tmp_path, overwrite=True)
        after = set(tmp_path.rglob("random-*.parquet"))
        assert len(after) == len(names) + 1, change
        names = after
    for number, other in enumerate((make_classifier("electra"), replace(classifier, bf16=True)), start=1):
        evaluate(other, sample, base, tmp_path, overwrite=True)
        assert len(set(tmp_path.rglob("random-*.parquet"))) == len(names) + number


def test_same_pieces_cut_into_other_words_are_another_part(classifier, tmp_path):
    found = []
    for words in (("a", "good-film", "it", "is"), ("a", "good", "-", "film", "it", "is")):
        document = Document("d", (words,))
        dataset = Dataset("cut", {"d": document}, {"test": (Example("d", ("d",), "POS"),)})
        settings = replace(SETTINGS, methods=("attention",))
        one = evaluate(classifier, dataset, settings, tmp_path, overwrite=True)
        found.append((one.items[0].windows[0].ids.tolist(), one.predictions["attention", "gold"][0].scores))
    assert found[0][0] == found[1][0]
    assert (len(found[0][1]), len(found[1][1])) == (4, 6)


def test_budgets_that_print_alike_are_two_parts(classifier, sample, tmp_path):
    picked = []
    for budget in ("ratio=0.2496", "ratio=0.2504"):
        settings = replace(SETTINGS, methods=("random",), limit=None, budgets=(budget,))
        found = evaluate(classifier, sample, settings, tmp_path, overwrite=True)
        picked.append(sum(int(p.rationale.sum()) for p in found.predictions["random", budget]))
    assert picked[0] < picked[1]


def test_predictions_of_an_earlier_run_do_not_stay(classifier, sample, tmp_path):
    for methods in (("attention", "random"), ("random",)):
        settings = replace(SETTINGS, methods=methods, limit=2)
        found = evaluate(classifier, sample, settings, tmp_path, overwrite=True)
        write_run(found, sample, tmp_path)
    assert [p.name for p in (tmp_path / "predictions").iterdir()] == ["random.jsonl"]


def test_part_cut_short_is_made_again(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [{"id": "x", "scores": [1.0, float("nan")]}]
    part(path, lambda: rows)
    path.write_bytes(path.read_bytes()[:-20])
    again = part(path, lambda: rows)
    assert again[0]["id"] == "x"
    assert np.isnan(part(path, lambda: pytest.fail("computed twice"))[0]["scores"][1])


def test_examples_do_not_depend_on_their_neighbours(classifier, sample, evaluation, tmp_path):
    few = evaluate(classifier, sample, replace(SETTINGS, limit=3), tmp_path)
    for key, rows in few.predictions.items():
        for a, b in zip(rows, evaluation.predictions[key][:3], strict=True):
            assert a.scores == pytest.approx(b.scores, abs=1e-5)


def test_bad_choices_are_refused_all_at_once(classifier, sample, tmp_path):
    bad = replace(SETTINGS, methods=("attentoin",), limit=0, sample=0, ig_steps=0, budgets=("some",))
    with pytest.raises(InputError) as error:
        evaluate(classifier, sample, bad, tmp_path)
    lines = str(error.value).splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("expected a method of attention, attention_max,")
    assert lines[0].endswith("got 'attentoin'")
    with pytest.raises(InputError, match="expected a split of train, val, test with examples, got 'dev'"):
        evaluate(classifier, sample, replace(SETTINGS, split="dev"), tmp_path)


def test_model_with_other_labels_is_refused(classifier, sample, tmp_path):
    renamed = replace(classifier, labels=("LABEL_0", "LABEL_1"))
    with pytest.raises(
        InputError, match=r"tiny: expected a model with the labels \['NEG', 'POS'\].*'LABEL_0'"
    ):
        evaluate(renamed, sample, SETTINGS, tmp_path)


def test_fingerprint_sees_one_changed_weight(make_classifier):
    one, other = make_classifier(), make_classifier()
    assert one.identity() == other.identity()
    other.model.classifier.bias.data[0] += 1e-6
    assert one.identity() != other.identity()
    assert seed_of(0, "a") != seed_of(0, "b") != seed_of(1, "b")


def test_run_folder_holds_everything_and_agrees_with_the_official_scorer(evaluation, sample, tmp_path):
    scores = write_run(evaluation, sample, tmp_path).scores
    for name in ("scores.csv", "paired.csv", "curves.csv", "scores.json", "report.html"):
        assert (tmp_path / name).stat().st_size > 100, name
    drawn = ("agreement", "cost", "faithfulness", "methods", "tradeoff")
    files = {f"{name}.{end}" for name in drawn for end in ("png", "csv")}  # a figure, and its numbers
    assert {p.name for p in (tmp_path / "figures").iterdir()} == files
    budget = evaluation.budgets[0]
    shortened = {e.id for e in sample.splits["test"][:8]}
    gold = tmp_path / "gold"
    gold.mkdir()
    lines = (ROOT / "eraser/sample/test.jsonl").read_text().splitlines(keepends=True)
    (gold / "test.jsonl").write_text("".join(x for x in lines if json.loads(x)["annotation_id"] in shortened))
    (gold / "docs").symlink_to(ROOT / "eraser/sample/docs")
    for method in SETTINGS.methods:
        official = score_official(Source(gold), "test", tmp_path / "predictions" / f"{method}.jsonl")
        cls, prf, soft = (
            official["classification_scores"],
            official["token_prf"],
            official["token_soft_metrics"],
        )
        ours = scores[scores.method.isin([method, "model"]) & scores.budget.isin([budget, "-"])]
        value = dict(zip(ours.metric, ours.value, strict=True))
        for name, theirs in {
            "accuracy": cls["accuracy"],
            "token_f1": prf["instance_macro"]["f1"],
            "token_f1_micro": prf["instance_micro"]["f1"],
            "iou_f1_eraser": official["iou_scores"][0]["macro"]["f1"],
            "average_precision": soft["average_precision"],
            "auprc_trapezoid": soft["auprc"],
            "roc_auc": soft["roc_auc_score"],
            "comprehensiveness": cls["comprehensiveness"],
            "sufficiency": cls["sufficiency"],
            "aopc_comprehensiveness": cls["comprehensiveness_aopc"],
            "aopc_sufficiency": cls["sufficiency_aopc"],
        }.items():
            assert value[name] == pytest.approx(theirs, abs=1e-9), (method, name)
        of_words = {n for n, m in METRICS.items() if "class" in m.kinds and not m.sentences}
        assert set(value) == {*of_words, "cost"}


def test_report_escapes_every_word(classifier, tmp_path):
    words = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(2)>',
        "&amp;",
        "{{7*7}}",
        "👩\u200d👩",
        "good",
    )
    document = Document("<b>id</b>", (words,))
    example = Example("<b>id</b>", ("<b>id</b>",), "POS")
    hostile = Dataset("<i>name</i>", {document.id: document}, {"test": (example,)})
    evaluation = evaluate(classifier, hostile, replace(SETTINGS, dataset="<i>name</i>"), tmp_path)
    item = replace(
        evaluation.items[0], truth=replace(evaluation.items[0].truth, spans=frozenset({module_span(0, 2)}))
    )
    write_run(replace(evaluation, items=(item,)), hostile, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<b>id" not in page
    assert "<i>name" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&amp;amp;" in page
    assert "{{7*7}}" in page


def module_span(start, end):
    from eraser import Span

    return Span(start, end)


def test_tables_print_ties_and_floors():
    from rationale.report.summary import ranking

    scores = pd.DataFrame(
        {
            "method": ["a", "b", "random"], "budget": ["-"] * 3, "metric": ["m"] * 3,
            "value": [0.5, 0.6, 0.55], "better": ["higher"] * 3,
        }
    )  # fmt: skip
    paired = pd.DataFrame(
        {
            "metric": ["m"] * 3, "budget": ["-"] * 3, "method": ["a", "a", "b"],
            "other": ["b", "random", "random"], "tie": [False, False, True],
        }
    )  # fmt: skip
    rows = ranking(scores, paired, "m", "-")
    assert rows.method.tolist() == ["b", "random", "a"]
    assert rows.tied.tolist() == [True, True, False]
    assert rows.below_random.tolist() == [False, False, True]


def test_word_of_one_and_ten_thousand(classifier, tmp_path):
    documents = {"one": Document("one", (("good",),)), "long": Document("long", (("dull", "film") * 5000,))}
    examples = tuple(Example(i, (i,), "POS") for i in documents)
    data = Dataset("edges", documents, {"test": examples})
    found = evaluate(classifier, data, replace(SETTINGS, methods=("attention",), fractions=(0.5,)), tmp_path)
    sizes = [p.rationale.sum() for p in found.predictions["attention", found.budgets[0]]]
    assert sizes == [1, 2000]
    assert found.words_unread == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movies", "multirc", "hatexplain", "hatexplain_eraser"])
def test_real_data_goes_through(name, tokenizer, tmp_path):
    real = load(name, data(name))
    model = tiny_model("bert", tokenizer, real.labels).requires_grad_(False)
    one = Classifier(model, Encoder(tokenizer, 128), real.labels, torch.device("cpu"))
    settings = replace(SETTINGS, dataset=name, limit=2, fractions=(0.1,))
    found = evaluate(one, real, settings, tmp_path)
    write_run(found, real, tmp_path)
    for item, prediction in zip(found.items, found.predictions["attention", "gold"], strict=True):
        assert len(prediction.scores) == len(item.text.words)
        assert prediction.rationale.sum() == item.truth.gold.sum()
        assert (item.text.query is not None) == (name == "multirc")
    assert found.words_unread == 0
    assert (tmp_path / "report.html").exists()


def test_a_users_method_that_was_edited_is_computed_again(classifier, sample, tmp_path, monkeypatch):
    from rationale.attribution import METHODS

    settings = replace(SETTINGS, methods=("mine",), limit=2)

    def mine_is(body, overwrite=False):
        path = tmp_path / "mine.py"
        path.write_text(f"def mine(classifier, request):\n    return {body}\n")
        linecache.clearcache()
        names = {"__name__": "mine"}
        exec(compile(path.read_text(), str(path), "exec"), names)
        monkeypatch.setitem(METHODS, "mine", Method(names["mine"], "sum", False, "a test"))
        found = evaluate(classifier, sample, settings, tmp_path / "r", overwrite=overwrite)
        return [p.scores.tolist() for p in found.predictions["mine", "gold"]]

    first = mine_is("request.batch.word.double()")
    assert mine_is("request.batch.word.double()") == first
    assert len(list((tmp_path / "r" / "parts").glob("mine-*"))) == 1
    with pytest.raises(InputError, match="holds results with other code_of_mine"):
        mine_is("-request.batch.word.double()")
    assert mine_is("-request.batch.word.double()", overwrite=True) != first
    assert len(list((tmp_path / "r" / "parts").glob("mine-*"))) == 2
    assert all(m.code == "" for name, m in METHODS.items() if name != "mine")


def test_another_tokenizer_is_another_work(classifier, sample, tmp_path):
    asked = replace(SETTINGS, methods=("random",), limit=2)
    evaluate(classifier, sample, asked, tmp_path / "r")
    for changed in (other_words(classifier, tmp_path), one_shorter(classifier)):
        with pytest.raises(InputError, match=r"holds results with other content_of_tokenizer \(\w+ there\)"):
            evaluate(changed, sample, asked, tmp_path / "r")


def test_labels_that_were_never_named_are_the_numbers_of_the_data(classifier, sample, tmp_path):
    unnamed = replace(classifier, labels=("LABEL_0", "LABEL_1"))
    assert labelled_as(unnamed, ["1", "0"], "tiny").labels == ("0", "1")
    assert labelled_as(unnamed, ["LABEL_1"], "tiny") is unnamed
    assert labelled_as(classifier, ["NEG"], "tiny") is classifier
    with pytest.raises(InputError, match=r"tiny: expected a model with the labels \['1', '2'\]"):
        labelled_as(unnamed, ["1", "2"], "tiny")
    swapped = replace(classifier, labels=("LABEL_1", "LABEL_0"))
    with pytest.raises(InputError, match=r"tiny: expected a model with the labels \['0', '1'\]"):
        labelled_as(swapped, ["0", "1"], "tiny")
    number = {"NEG": "0", "POS": "1"}
    splits = {s: tuple(replace(e, label=number[e.label]) for e in of) for s, of in sample.splits.items()}
    numbered = replace(sample, splits=splits)
    planned = plan(unnamed, numbered, SETTINGS, tmp_path / "run")
    assert planned.run.classifier.labels == planned.run.explained.labels == ("0", "1")
