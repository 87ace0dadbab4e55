"""HateXplain's protocol from its raw JSON to the table, against a slow rewrite of the published code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from eraser import InputError, Prediction
from eraser.load import load
from eraser.metrics.annotators import human_ceiling
from eraser.metrics.bias import score_bias
from rationale.evaluation.plan import evaluate
from rationale.hatexplain import compute
from rationale.hatexplain.protocol import OF_MODEL, OF_PEOPLE, score_protocol
from rationale.hatexplain.settings import ProtocolSettings
from rationale.hatexplain.table import as_markdown, hatexplain_row, write_protocol
from rationale.hf.classifier import Classifier, save_classifier
from rationale.inference.predict import text_probs
from rationale.report.annotators import annotator_tables
from rationale.settings import EvaluateSettings
from rationale.text.encode import Encoder
from tests.conftest import dropping, tiny_model
from tests.helpers.eraser.raw_hatexplain import LABELS, write_raw
from tests.oracles import spans as oracle

SETTINGS = ProtocolSettings(methods=("attention", "random"), chunk=5, device="cpu")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("raw") / "hatexplain", 36)


@pytest.fixture(scope="module")
def posts(raw):
    return load("hatexplain", raw)


@pytest.fixture(scope="module")
def classifier(tokenizer):
    model = tiny_model("bert", tokenizer, LABELS).requires_grad_(False)
    return Classifier(model, Encoder(tokenizer, 64), LABELS, torch.device("cpu"))


@pytest.fixture(scope="module")
def whole(classifier, posts, tmp_path_factory):
    """A run that nothing stopped: its folder and its result."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    return folder, score_protocol(classifier, posts, folder, SETTINGS)


def value(result, unit, method, metric):
    rows = result.scores
    found = rows[(rows.unit == unit) & (rows.method == method) & (rows.metric == metric)]
    return float(found.value.iloc[0])


# --- against the published code, rewritten


def slow_post(post, tokenizer, model):
    """Return ids, marks and attention of a post, as returnMask and testing_with_rational.py have them."""
    ids, marks = [tokenizer.cls_token_id], [0]
    for i, word in enumerate(post["post_tokens"]):
        pieces = tokenizer(word, add_special_tokens=False).input_ids
        ids += pieces
        marks += [int(any(mask[i] for mask in post["rationales"]))] * len(pieces)
    ids, marks = [*ids, tokenizer.sep_token_id], [*marks, 0]
    output = model(torch.tensor([ids]), output_attentions=True)
    return ids, marks, output.attentions[-1][0, :, 0].mean(0).tolist()


def slow_probs(model, ids):
    return model(torch.tensor([ids])).logits[0].softmax(0).tolist()


def test_pieces_are_scored_as_by_the_published_code(whole, raw, tokenizer):
    model = tiny_model("bert", tokenizer, LABELS)
    model.set_attn_implementation("eager")
    every = json.loads((raw / "dataset.json").read_text())
    test = json.loads((raw / "post_id_divisions.json").read_text())["test"]
    toxic = [every[i] for i in test if every[i]["annotators"][0]["label"] != "normal"]
    gold, predicted, areas, comprehensiveness, sufficiency = set(), set(), [], [], []
    specials = 0
    for n, post in enumerate(toxic):
        ids, marks, attention = slow_post(post, tokenizer, model)
        top = sorted(range(len(attention)), key=lambda i, a=attention: a[i])[-5:]
        specials += 0 in top or len(ids) - 1 in top
        predicted |= {(n, i, i + 1) for i in top}
        inside = np.flatnonzero(np.diff([0, *marks, 0]))
        gold |= {(n, int(a), int(b)) for a, b in zip(inside[::2], inside[1::2], strict=True)}
        precision, recall, _ = precision_recall_curve(marks, attention)
        areas.append(auc(recall, precision))
        before = slow_probs(model, ids)
        label = int(np.argmax(before))
        rest = [x for i, x in enumerate(ids) if i not in top]
        five = [ids[0], *(x for i, x in enumerate(ids) if i in top), ids[-1]]
        comprehensiveness.append(before[label] - slow_probs(model, rest)[label])
        sufficiency.append(before[label] - slow_probs(model, five)[label])
    assert specials  # else special tokens would be told from others nowhere
    expected = {
        "iou_f1": oracle.iou_score(predicted, gold, 0.5)["macro"]["f1"],
        "token_f1": oracle.prf(oracle.tokens(predicted), oracle.tokens(gold))["instance_macro"]["f1"],
        "auprc": np.mean(areas),
        "comprehensiveness": np.mean(comprehensiveness),
        "sufficiency": np.mean(sufficiency),
    }
    found = {name: value(whole[1], "pieces", "attention", name) for name in expected}
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("how", ["delete", "mask"])
def test_words_are_scored_as_by_an_evaluation_at_five_words(posts, classifier, tmp_path, how):
    found = score_protocol(
        classifier, posts, tmp_path / "out", replace(SETTINGS, units=("words",), replace=how)
    )
    settings = EvaluateSettings(
        "posts", "m", methods=SETTINGS.methods, budgets=("top=5",), fractions=(), replace=how
    )
    run = evaluate(classifier, posts, settings, tmp_path / "run")
    table = annotator_tables(run, posts)["hatexplain_protocol"].set_index("method")
    theirs = {name: name.capitalize() for name in ("comprehensiveness", "sufficiency")}
    theirs |= {"iou_f1": "IOU F1", "token_f1": "Token F1", "auprc": "AUPRC"}
    for method in SETTINGS.methods:
        for name, key in theirs.items():
            assert value(found, "words", method, name) == pytest.approx(table.loc[method, key], abs=1e-6)


def test_answers_bias_and_people_are_those_of_their_own_functions(whole, posts, classifier):
    result, examples = whole[1], posts.splits["test"]
    texts = [posts.text(e) for e in examples]
    probs = text_probs(classifier, classifier.encoder.encode(texts))
    human = [e.label for e in examples]
    expected = roc_auc_score(human, probs, multi_class="ovo", labels=list(LABELS))
    assert value(result, "words", OF_MODEL, "auroc") == pytest.approx(expected)
    right = np.mean([LABELS[i] == x for i, x in zip(probs.argmax(1), human, strict=True)])
    assert value(result, "words", OF_MODEL, "accuracy") == pytest.approx(right)
    nothing = np.zeros(0)
    said = [
        Prediction(e.id, LABELS[i], dict(zip(LABELS, p, strict=True)), nothing, nothing > 0)
        for e, p, i in zip(examples, probs, probs.argmax(1), strict=True)
    ]
    for mean in score_bias(examples, said).means:
        name = f"gmb_{mean.metric.removesuffix('_auc')}"
        assert value(result, "words", OF_MODEL, name) == pytest.approx(mean.value)
    toxic = [e for e in examples if e.label != "normal"]
    people = {s.metric: s.value for s in human_ceiling(posts, toxic)}
    for name in ("token_f1", "iou_f1_one_to_one"):
        assert value(result, "words", OF_PEOPLE, name) == pytest.approx(people[name])
        mine = value(result, "words", "attention", name)
        share = value(result, "words", "attention", f"{name}_of_ceiling")
        assert share == pytest.approx(mine / people[name])


def test_columns_are_there_for_intervals_over_trainings(whole):
    result = whole[1]
    assert result.columns["pieces", "attention", "token_f1"].shape == (len(result.toxic_ids), 1)
    right = result.columns["words", OF_MODEL, "accuracy"]
    assert right.shape == (len(result.ids), 1)
    assert right.mean() == value(result, "words", OF_MODEL, "accuracy")


# --- methods of all kinds


def test_what_takes_pieces_away_never_takes_special_tokens(classifier, posts, tmp_path):
    asked = replace(SETTINGS, methods=("leave_one_out",), units=("pieces",))
    score_protocol(classifier, posts, tmp_path / "out", asked)
    rows = [r for f in (tmp_path / "out/parts").glob("*leave*") for r in pd.read_parquet(f).scores]
    assert all(np.isnan([s[0], s[-1]]).all() and np.isfinite(s[1:-1]).all() for s in rows)


@pytest.mark.slow
def test_a_model_that_drops_tokens_answers_and_the_dense_one_is_explained(classifier, posts, whole, tmp_path):
    small = replace(classifier, model=dropping(classifier.model))
    asked = replace(SETTINGS, methods=("survivors", "attention"))
    found = score_protocol(small, posts, tmp_path / "out", asked, classifier)
    for unit in ("pieces", "text_pieces", "words"):
        same = [value(r, unit, "attention", "auprc") for r in (found, whole[1])]
        assert same[0] == pytest.approx(same[1], abs=1e-6)
        other = [value(r, unit, "attention", "comprehensiveness") for r in (found, whole[1])]
        assert other[0] != pytest.approx(other[1], abs=1e-4)
    assert 0 < value(found, "pieces", "survivors", "auprc") <= 1


# --- a run that goes on


def test_a_run_that_was_killed_goes_on_from_its_parts(classifier, posts, whole, tmp_path, monkeypatch):
    calls, own = [], compute.attribute

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return own(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(compute, "attribute", dies)
        with pytest.raises(KeyboardInterrupt):
            score_protocol(classifier, posts, tmp_path / "out", SETTINGS)
    done, again = len(calls) - 1, []
    monkeypatch.setattr(compute, "attribute", lambda *a: again.append(a) or own(*a))
    found = score_protocol(classifier, posts, tmp_path / "out", SETTINGS)
    pd.testing.assert_frame_equal(found.scores, whole[1].scores)
    chunks = -(-len(found.toxic_ids) // SETTINGS.chunk)
    assert len(again) == chunks * len(SETTINGS.methods) * len(SETTINGS.units) - done
    assert len(again) > done == 3


def test_another_run_in_its_folder_is_refused(classifier, posts, whole, tmp_path):
    folder, result = whole
    write_protocol(result, folder)
    with pytest.raises(InputError, match="the folder holds results with other seed"):
        score_protocol(classifier, posts, folder, replace(SETTINGS, seed=1))
    write_protocol(score_protocol(classifier, posts, folder, SETTINGS), folder)  # the same goes on


# --- data with less, and what is refused


def test_without_annotators_and_communities_the_rest_is_told(classifier, posts, tmp_path):
    bare = tuple(replace(e, annotators=(), tags=frozenset()) for e in posts.splits["test"])
    less = replace(posts, splits={"test": bare}, notes=())
    found = score_protocol(classifier, less, tmp_path / "out", replace(SETTINGS, limit=7))
    assert found.notes == (
        "the first 7 posts of test only: not the protocol",
        "no bias: the data name no target communities (HateXplain's own JSON does)",
        "no human ceiling: the data have no single annotators (HateXplain's own JSON has)",
    )
    assert not {m for m in found.scores.metric if m.startswith("gmb") or m.endswith("ceiling")}
    assert OF_PEOPLE not in set(found.scores.method)
    assert len(found.ids) == 7
    text = as_markdown(found)
    assert text.startswith("7 posts, ")
    assert "GMB" not in text


def test_communities_without_toxic_posts_are_told(classifier, posts, tmp_path):
    """Women are then named in harmless posts alone: no AUC within them, nor of attacks on them."""
    test = posts.splits["test"]
    tags = {(e.label, t) for e in test for t in e.tags}
    assert len(tags) == 9
    fewer = tuple(e for e in test if e.label == "normal" or "Women" not in e.tags)
    asked = replace(SETTINGS, methods=("random",), units=("words",))
    found = score_protocol(classifier, replace(posts, splits={"test": fewer}), tmp_path / "out", asked)
    assert found.notes == (
        "words: gmb_subgroup is the mean over 2 communities; 1 lack toxic posts or others",
        "words: gmb_bnsp is the mean over 2 communities; 1 lack toxic posts or others",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": ("letters",)}, "expected a unit of pieces, text_pieces, words, got 'letters'"),
        ({"methods": ()}, "expected at least one method, got none"),
        ({"methods": ("random",) * 2}, "expected each method once, got random, random"),
        ({"units": ("words",) * 2}, "expected each unit once, got words, words"),
        ({"limit": 0}, "expected limit of at least 1, got 0"),
        ({"chunk": 0}, "expected chunk of at least 1, got 0"),
        ({"ig_steps": 0}, "expected at least 1 for integrated gradients, steps, got 0"),
        ({"split": "dev"}, "expected a split of train, val, test with examples, got 'dev'"),
    ],
)
def test_settings_that_cannot_be_carried_out_are_refused(classifier, posts, tmp_path, change, message):
    with pytest.raises(InputError) as error:
        score_protocol(classifier, posts, tmp_path / "out", replace(SETTINGS, **change))
    assert str(error.value).endswith(message)
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_labels_and_posts_without_toxic_ones_are_refused(classifier, posts, tmp_path):
    other = replace(classifier, labels=("a", "b", "c"))
    with pytest.raises(InputError) as error:
        score_protocol(other, posts, tmp_path / "out", SETTINGS)
    expected = (
        "expected a model of one class, with the labels hatespeech, normal, offensive, got 'a', 'b', 'c'"
    )
    assert str(error.value) == expected
    normal = tuple(e for e in posts.splits["test"] if e.label == "normal")
    with pytest.raises(InputError, match="no posts labelled hatespeech or offensive in test"):
        score_protocol(classifier, replace(posts, splits={"test": normal}), tmp_path / "out", SETTINGS)


# --- the command


@pytest.fixture
def folder(tmp_path, tokenizer):
    (tmp_path / "model").mkdir()
    save_classifier(tiny_model("bert", tokenizer, LABELS), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def test_one_command_leads_from_the_raw_files_to_the_table(rationale, raw, folder, whole):
    options = ("--methods", "attention,random", "--units", "words", "--device", "cpu", "--chunk", 5)
    command = ("protocol", "hatexplain", "--data", raw, "--model", folder, "--out", "out", *options)
    code, out, err = rationale(*command)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "18 posts, 12 of them toxic; brackets: 95 % intervals over posts."
    assert lines[2].startswith("| unit | method | accuracy | macro F1 | AUROC | GMB subgroup AUC |")
    assert lines[-2] == "written: out/hatexplain.csv, out/hatexplain.md, out/hatexplain.json"
    assert lines[-1].startswith("next: rationale evaluate --dataset hatexplain --data ")
    table = pd.read_csv("out/hatexplain.csv")
    mine = whole[1].scores[whole[1].scores.unit == "words"]
    assert list(table.columns) == list(mine.columns)
    assert table.value.to_numpy() == pytest.approx(mine.value.to_numpy(), abs=1e-4, nan_ok=True)
    assert Path("out/hatexplain.md").read_text().splitlines()[0] == lines[0]
    again = rationale(*command, "--json")
    assert again[0] == 0
    assert json.loads(again[1]) == json.loads(Path("out/hatexplain.json").read_text())
    assert len(json.loads(again[1])["scores"]) == len(table)


@pytest.mark.slow
def test_one_call_does_the_same(raw, folder, tmp_path, whole):
    result = hatexplain_row(folder, raw, tmp_path / "out", SETTINGS)
    mine = whole[1].scores.value.to_numpy()
    assert result.scores.value.to_numpy() == pytest.approx(mine, abs=1e-4, nan_ok=True)
    assert (tmp_path / "out/hatexplain.md").read_text() == as_markdown(result)


def test_a_model_is_not_written_over(rationale, raw, folder):
    weights = (folder / "model.safetensors").read_bytes()
    command = ("protocol", "hatexplain", "--data", raw, "--model", folder, "--out", folder, "--overwrite")
    code, _, err = rationale(*command)
    assert code == 2
    assert "the output folder is or contains the input" in err
    assert (folder / "model.safetensors").read_bytes() == weights


def test_a_wrong_unit_is_one_line(rationale, raw, folder):
    command = ("protocol", "hatexplain", "--data", raw, "--model", folder, "--out", "out")
    line = "error: expected a unit of pieces, text_pieces, words, got 'letters'\n"
    assert rationale(*command, "--units", "letters") == (2, "", line)
