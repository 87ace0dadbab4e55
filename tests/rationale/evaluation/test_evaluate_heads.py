"""Whole runs of models that give several labels, a number, or two classes by one logit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from eraser import Document, InputError
from eraser.labels import split_labels
from eraser.load import load
from rationale.budgets import share_of, top_words
from rationale.evaluation.plan import evaluate, plan
from rationale.hf.classifier import load_classifier
from rationale.report.several.compare import compared
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings, StreamSettings
from rationale.stream import collect, read_stream, stream
from tests.helpers.models.made_heads import LABELS, MULTI_LABEL, REGRESSION, head_model, save

METHODS = ("leave_one_out", "gradient_x_input", "random")
SETTINGS = EvaluateSettings("sample", "tiny", methods=METHODS, limit=12, budgets=("ratio=0.2", "gold"))
SEVERAL = ("rude", "rude|insult", "", "threat", "insult|rude|threat", "insult")
MOST = 30  # words of a text
LOW = 0.3  # a threshold that lets these models say some labels and not all


def relabelled(dataset, labels):
    """The data set with other labels, in turn."""
    splits = {
        split: tuple(replace(e, label=labels[i % len(labels)]) for i, e in enumerate(examples))
        for split, examples in dataset.splits.items()
    }
    return replace(dataset, splits=splits)


@pytest.fixture(scope="module")
def shorter(sample):
    """The sample's texts down to their thirtieth word, one window each, with the evidence that is left."""

    def cut(example):
        kept = (frozenset(e for e in group if e.span.end <= MOST) for group in example.gold)
        return replace(example, gold=frozenset(group for group in kept if group))

    documents = {i: Document(i, (d.words[:MOST],)) for i, d in sample.documents.items()}
    splits = {split: tuple(map(cut, examples)) for split, examples in sample.splits.items()}
    return replace(sample, documents=documents, splits=splits)


@pytest.fixture(scope="module")
def several(shorter):
    return relabelled(shorter, SEVERAL)


@pytest.fixture(scope="module")
def numbers(shorter):
    return relabelled(shorter, ("1", "2.5", "4", "-3", "0.25"))


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save(head_model(tokenizer, 3, MULTI_LABEL, labels=LABELS), tokenizer, root / "several")
    save(head_model(tokenizer, 1, REGRESSION), tokenizer, root / "number")
    save(head_model(tokenizer, 1), tokenizer, root / "one")
    return root


@pytest.fixture(scope="module")
def model(folders):
    return load_classifier(folders / "several")


def plain_logits(classifier, words):
    """The model's logits of a text of these words, by plain Hugging Face."""
    pieces = classifier.encoder.tokenizer(" ".join(words), return_tensors="pt")
    with torch.inference_mode():
        return classifier.model(**pieces).logits[0].double().numpy()


def sigmoids(classifier, words):
    return 1 / (1 + np.exp(-plain_logits(classifier, words)))


def values(folder):
    """The scores of a run's leading budget, by (metric, method)."""
    table = pd.read_csv(folder / "scores.csv")
    rows = table[table.budget.isin(["ratio=0.2", "-"])]
    return {(m, of): v for m, of, v in zip(rows.metric, rows.method, rows.value, strict=True)}


def text_of(evaluation, item):
    return list(item.text.words)


# ── several labels ──────────────────────────────────────────────────────────────────────────────────────


def test_labels_are_scored_as_scikit_learn_scores_them(model, several, tmp_path):
    found = evaluate(model, several, replace(SETTINGS, threshold=LOW), tmp_path)
    write_run(found, several, tmp_path)
    said, gold = np.zeros((2, 12, 3), dtype=int)
    for n, (p, item) in enumerate(zip(found.predictions["random", "gold"], found.items, strict=True)):
        probs = sigmoids(model, item.text.words)
        assert list(p.probs.values()) == pytest.approx(probs, abs=1e-6)
        said[n], gold[n] = probs > LOW, [x in split_labels(item.truth.label) for x in LABELS]
        assert p.label == "|".join(np.array(LABELS)[said[n].astype(bool)])
    assert 0 < said.sum() < said.size
    scores = values(tmp_path)
    assert scores["accuracy", "model"] == pytest.approx(sk.accuracy_score(gold, said))
    for average in ("micro", "macro"):
        wanted = sk.f1_score(gold, said, average=average, zero_division=0)
        assert scores[f"label_f1_{average}", "model"] == pytest.approx(wanted)
    assert not any(m in {"mean_absolute_error", "pearson", "spearman"} for m, _ in scores)


@pytest.mark.parametrize("target", ["predicted", "label:threat"])
def test_faithfulness_is_the_change_of_the_label_explained(model, several, tmp_path, target):
    found = evaluate(model, several, replace(SETTINGS, target=target, limit=4), tmp_path)
    write_run(found, several, tmp_path)
    wanted = {"comprehensiveness": [], "sufficiency": []}
    for item, p in zip(found.items, found.predictions["leave_one_out", "ratio=0.2"], strict=True):
        words = np.array(item.text.words)
        whole = sigmoids(model, words)
        at = int(whole.argmax()) if target == "predicted" else LABELS.index("threat")
        assert p.subject == LABELS[at]
        logits = plain_logits(model, words)[at]
        falls = [logits - plain_logits(model, np.delete(words, i))[at] for i in range(len(words))]
        np.testing.assert_allclose(p.scores, falls, atol=2e-5)
        picked = top_words(np.array(falls), share_of(len(words), 0.2))
        wanted["comprehensiveness"].append(whole[at] - sigmoids(model, words[~picked])[at])
        wanted["sufficiency"].append(whole[at] - sigmoids(model, words[picked])[at])
    for metric, of_examples in wanted.items():
        assert values(tmp_path)[metric, "leave_one_out"] == pytest.approx(np.mean(of_examples), abs=1e-5)


def test_agreement_is_of_texts_that_carry_the_label_explained(model, sample, tmp_path):
    whole = relabelled(sample, SEVERAL)
    settings = replace(SETTINGS, target="label:threat", methods=("gradient_x_input", "random"))
    found = evaluate(model, whole, settings, tmp_path)
    write_run(found, whole, tmp_path)
    carrying = [bool(i.example.evidence) and "threat" in i.truth.label for i in found.items]
    assert 0 < sum(carrying) < 12
    assert [bool(item.truth.spans) for item in found.items] == carrying
    table = pd.read_csv(tmp_path / "scores.csv")
    rows = table[(table.metric == "token_f1") & (table.method == "random")]
    assert set(rows.n) == {sum(carrying)}
    assert set(rows.left_out) == {12 - sum(carrying)}
    assert json.loads((tmp_path / "scores.json").read_text())["run"]["with_human_evidence"] == sum(carrying)


def test_no_official_file_is_written_of_several_labels_or_a_number_and_the_run_says_so(
    model, several, numbers, folders, tmp_path
):
    for name, classifier, dataset in (
        ("several", model, several),
        ("number", load_classifier(folders / "number"), numbers),
    ):
        write_run(
            evaluate(classifier, dataset, replace(SETTINGS, limit=3), tmp_path / name),
            dataset,
            tmp_path / name,
        )
        assert not list((tmp_path / name / "predictions").glob("*.jsonl"))
        for file in ("summary.md", "report.html"):
            assert "no official predictions: their format knows" in (tmp_path / name / file).read_text(
                "utf-8"
            )


def test_labels_of_the_data_that_the_model_lacks_are_refused(model, several, shorter, tmp_path):
    other = relabelled(shorter, ("rude|kind", "rude"))
    with pytest.raises(InputError, match=r"expected a model with the labels \['kind', 'rude'\]"):
        plan(model, other, SETTINGS, tmp_path / "a")
    with pytest.raises(InputError) as error:
        plan(model, several, replace(SETTINGS, target="gold"), tmp_path / "a")
    assert str(error.value) == (
        "expected a target of predicted, rude, threat, insult, of a multi-label model, got 'gold'"
    )
    assert not (tmp_path / "a").exists()


def test_a_threshold_for_one_class_is_refused(classifier, shorter, tmp_path):
    with pytest.raises(InputError, match=r"tiny: a threshold \(0\.3\) applies to multi-label models only"):
        plan(classifier, shorter, replace(SETTINGS, threshold=0.3), tmp_path)
    with pytest.raises(InputError, match=r"expected a threshold from 0 to below 1, got 1\.5"):
        plan(classifier, shorter, replace(SETTINGS, threshold=1.5), tmp_path)


# ── a number ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_number_is_compared_with_people_s_numbers(folders, numbers, tmp_path):
    model = load_classifier(folders / "number")
    found = evaluate(model, numbers, replace(SETTINGS, limit=30), tmp_path)
    write_run(found, numbers, tmp_path)
    said = [float(plain_logits(model, item.text.words)[0]) for item in found.items]
    gold = [float(item.truth.label) for item in found.items]
    scores = values(tmp_path)
    assert scores["mean_absolute_error", "model"] == pytest.approx(
        np.abs(np.subtract(said, gold)).mean(), abs=1e-5
    )
    assert scores["pearson", "model"] == pytest.approx(stats.pearsonr(said, gold).statistic, abs=1e-5)
    assert scores["spearman", "model"] == pytest.approx(stats.spearmanr(said, gold).statistic, abs=1e-5)
    assert not any(m in {"accuracy", "label_f1_micro"} for m, _ in scores)
    table = pd.read_csv(tmp_path / "scores.csv")
    assert set(table[table.metric == "aopc_comprehensiveness"].unit) == {"value"}
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean absolute error" in report
    assert "accuracy" not in report.split("<h2>")[0]


def test_runs_of_numbers_and_of_labels_are_set_side_by_side(folders, model, several, numbers, tmp_path):
    for name, classifier, dataset in (
        ("number", load_classifier(folders / "number"), numbers),
        ("several", model, several),
    ):
        found = evaluate(
            classifier, dataset, replace(SETTINGS, limit=4, methods=("random",)), tmp_path / name
        )
        write_run(found, dataset, tmp_path / name)
        shutil.copytree(tmp_path / name, tmp_path / f"{name}-again")
    metrics = {
        name: set(compared([tmp_path / name, tmp_path / f"{name}-again"]).table.metric)
        for name in ("number", "several")
    }
    assert {"mean_absolute_error", "pearson", "spearman", "comprehensiveness"} <= metrics["number"]
    assert {"accuracy", "label_f1_micro", "label_f1_macro"} <= metrics["several"]
    assert "accuracy" not in metrics["number"]


def test_faithfulness_of_a_number_is_its_change(folders, numbers, tmp_path):
    model = load_classifier(folders / "number")
    found = evaluate(model, numbers, replace(SETTINGS, limit=3), tmp_path)
    write_run(found, numbers, tmp_path)
    falls = []
    for item, p in zip(found.items, found.predictions["gradient_x_input", "ratio=0.2"], strict=True):
        words = np.array(item.text.words)
        assert float(p.label) == pytest.approx(p.probs["value"], rel=1e-5)
        falls.append(float(plain_logits(model, words)[0] - plain_logits(model, words[~p.rationale])[0]))
    assert values(tmp_path)["comprehensiveness", "gradient_x_input"] == pytest.approx(
        np.mean(falls), abs=1e-5
    )


def test_labels_that_are_no_numbers_leave_the_error_out_and_the_run_says_so(folders, shorter, tmp_path):
    model = load_classifier(folders / "number")
    found = evaluate(model, shorter, replace(SETTINGS, limit=3), tmp_path)
    write_run(found, shorter, tmp_path)
    table = pd.read_csv(tmp_path / "scores.csv").set_index("metric")
    assert table.loc["mean_absolute_error"].n == 0
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "the data set's labels are not numbers: no error is measured" in summary
    assert "nan" not in summary.split("Note")[0]
    with pytest.raises(
        InputError, match="expected a target of predicted, value, of a model that gives a number"
    ):
        plan(model, shorter, replace(SETTINGS, target="gold"), tmp_path)


# ── two classes by one logit ────────────────────────────────────────────────────────────────────────────


def test_two_classes_by_one_logit_are_those_of_two_logits(folders, shorter, tokenizer, tmp_path):
    one = load_classifier(folders / "one", labels=["NEG", "POS"])
    two = head_model(tokenizer, 2, labels=("NEG", "POS"))
    weights = one.model.state_dict()
    two.load_state_dict(
        {k: torch.cat([0 * v, v]) if k.startswith("classifier.") else v for k, v in weights.items()}
    )
    plain = replace(one, model=two, head="softmax")
    settings = replace(SETTINGS, explain="margin", limit=6)
    for name, classifier in (("one", one), ("two", plain)):
        write_run(evaluate(classifier, shorter, settings, tmp_path / name), shorter, tmp_path / name)
    left, right = (values(tmp_path / name) for name in ("one", "two"))
    assert left.keys() == right.keys()
    for key, value in left.items():
        if key[0] != "cost":
            assert value == pytest.approx(right[key], abs=1e-5, nan_ok=True), key
    assert len(list((tmp_path / "one" / "predictions").glob("*.jsonl"))) == len(METHODS)


def test_a_regression_read_as_two_classes_says_so(folders, shorter, tmp_path):
    model = load_classifier(folders / "number", labels=["NEG", "POS"])
    notes = plan(model, shorter, SETTINGS, tmp_path / "number").notes
    assert "the logit of a regression is read as two classes, as the labels given say" in notes
    one = load_classifier(folders / "one", labels=["NEG", "POS"])
    assert not any("logit" in note for note in plan(one, shorter, SETTINGS, tmp_path / "one").notes)


def test_a_logit_that_is_read_as_a_number_is_told_at_once_with_what_makes_it_two_classes(
    rationale, folders, shorter, tmp_path
):
    rows = [{"text": f"film {i}", "label": "NEG" if i % 2 else "POS"} for i in range(4)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = ("evaluate", "--data", "x.jsonl", "--model", folders / "one", "--methods", "random", "--out")
    code, _, err = rationale(*asked, "run")
    told = (
        "the model gives a number, value: faithfulness is its change, no class is compared",
        "the data set's labels are not numbers: no error is measured",
        "--labels NEG,POS reads the model's logit as two classes, a high one as POS",
    )
    assert code == 0
    summary = (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")
    for line in told:
        assert f"note: {line}\n" in err
        assert line in summary
    code, _, err = rationale(*asked, "two", "--labels", "NEG,POS")
    assert code == 0
    assert "reads the model's logit" not in err
    code, _, err = rationale(*asked, "wrong", "--labels", "NEG")
    assert code != 0
    assert (
        "expected two labels for the model's one logit (such as --labels NEG,POS), got one, 'NEG', which is "
        "a class of the data set and no name of a number"
    ) in err


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────


def own_rows(path, labels):
    rows = [
        {"text": f"a [[{w}]] film number {i}", "label": labels[i % len(labels)]}
        for i in range(12)
        for w in ["dull"]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_several_labels_from_a_file_to_a_report(rationale, folders, tmp_path):
    own_rows(tmp_path / "posts.jsonl", (["rude"], ["rude", "insult"], [], ["threat"]))
    code, out, err = rationale("data", "import", "--test", "posts.jsonl", "--out", "posts")
    assert code == 0, err
    assert "posts: 12 rows, labels insult, rude, threat" in out
    assert {e.label for e in load("posts", tmp_path / "posts").examples("test")} == {
        "rude",
        "rude|insult",
        "",
        "threat",
    }
    code, out, err = rationale(
        "evaluate", "--dataset", "posts", "--data", "posts", "--model", folders / "several", "--methods",
        "gradient_x_input,random", "--target", "label:rude", "--threshold", 0.2, "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    assert "accuracy" in out
    assert "label f1 micro" in out
    settings = json.loads((tmp_path / "run" / "scores.json").read_text())["run"]["settings"]
    assert (settings["threshold"], settings["target"]) == (0.2, "label:rude")


def test_numbers_from_a_file_to_a_report(rationale, folders, tmp_path):
    own_rows(tmp_path / "stars.jsonl", (1, 2.5, 3.0, 4))
    code, out, err = rationale("data", "import", "--test", "stars.jsonl", "--out", "stars")
    assert code == 0, err
    assert {e.label for e in load("stars", tmp_path / "stars").examples("test")} == {"1", "2.5", "3", "4"}
    code, out, err = rationale(
        "evaluate", "--dataset", "stars", "--data", "stars", "--model", folders / "number", "--out", "run",
        "--methods", "gradient_x_input,random",
    )  # fmt: skip
    assert code == 0, err
    assert "mean absolute error" in out
    assert "accuracy" not in out


def test_training_on_what_gives_no_one_class_is_refused(rationale, folders, tmp_path):
    for name, got in (("several", "a multi-label model"), ("number", "a model that gives a number")):
        for kind in ("adapler", "dact", "inforcoef", "prune"):
            code, _, err = rationale("train", kind, "--dense", folders / name, "--out", f"{name}-{kind}")
            assert code == 2
            assert err == (
                f"error: {folders / name}: expected a dense model that gives one class of several "
                f"(evaluate, attribute and app take any), got {got}\n"
            )


def test_training_on_several_labels_a_text_is_refused(rationale, model_folder, tmp_path):
    own_rows(tmp_path / "posts.jsonl", (["rude"], ["rude", "insult"]))
    rationale("data", "import", "--file", "posts.jsonl", "--fractions", "0.4,0.3,0.3", "--out", "posts")
    code, _, err = rationale(
        "train", "dense", "--dataset", "posts", "--data", "posts", "--backbone", model_folder, "--out", "m"
    )
    assert code == 2
    assert "cannot train on several labels per text, as 'rude|insult'; such models can be evaluated" in err
    assert not (tmp_path / "m").exists()


# ── many texts ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = ["A warm , moving film .", "Dull .", "Never dull , always good and warm"]
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in lines))
    return path


def test_attribute_explains_one_label_or_each_text_s_own(model, texts, tmp_path):
    settings = StreamSettings(file=str(texts), model="m", methods=("gradient_x_input",), threshold=LOW)
    found = collect(stream(model, settings, tmp_path / "own"))
    rows = list(read_stream(tmp_path / "own"))
    assert [r["target"] for r in rows] == [LABELS[int(np.argmax(r["probs"]))] for r in rows]
    assert [r["label"] for r in rows] == [
        "|".join(x for x, p in zip(LABELS, r["probs"], strict=True) if p > LOW) for r in rows
    ]
    assert sum(found["labels"].values()) == sum(len(split_labels(r["label"])) for r in rows)
    collect(stream(model, replace(settings, target="label:insult"), tmp_path / "one"))
    assert {r["target"] for r in read_stream(tmp_path / "one")} == {"insult"}
    with pytest.raises(
        InputError, match="expected a target of predicted, rude, threat, insult, of a multi-label"
    ):
        stream(model, replace(settings, target="gold"), tmp_path / "no")


def test_attribute_of_a_number_tells_its_mean(folders, texts, tmp_path):
    model = load_classifier(folders / "number")
    settings = StreamSettings(file=str(texts), model="m", methods=("random",))
    found = collect(stream(model, settings, tmp_path / "out"))
    rows = list(read_stream(tmp_path / "out"))
    assert found["mean"] == pytest.approx(np.mean([r["probs"][0] for r in rows]))
    assert "labels" not in found
    assert {r["target"] for r in rows} == {"value"}
