"""Each how-to is done, block by block, as a reader would; what it promises must then be there."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from starlette.testclient import TestClient

from eraser.load import load
from eraser.metrics.ranking import average_precision
from eraser.metrics.table import METRICS
from rationale.attribution import METHODS
from rationale.cli.train import train_app
from rationale.export.graph import is_exported
from rationale.hf.classifier import SHIPPED, load_classifier, save_classifier
from rationale.serve.application import application
from rationale.serve.limits import Limits
from rationale.stream import read_stream
from rationale.training.recipes.table import RECIPES
from tests.conftest import tiny_model
from tests.helpers.doc_blocks import ROOT, do
from tests.helpers.made_graph import made_file

HOWTOS = ROOT / "docs" / "howto"
TABLES = (METHODS, METRICS, RECIPES)


@pytest.fixture(autouse=True)
def _as_before(tmp_path):
    """Leave tables and commands as they were, and none of the modules that a how-to wrote."""
    tables = [dict(t) for t in TABLES]
    registered = list(train_app.registered_commands)
    yield
    for table, before in zip(TABLES, tables, strict=True):
        table.clear()
        table.update(before)
    train_app.registered_commands[:] = registered
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def scores_of(run):
    return pd.read_csv(run / "scores.csv")


def test_every_howto_is_tested():
    tested = {
        "method",
        "metric",
        "dataset",
        "annotations",
        "correct",
        "encoder",
        "adaptive-model",
        "black-box",
        "explanations",
        "export",
        "language-model",
        "pairs",
        "serve",
        "sentences",
    }
    assert {page.stem for page in HOWTOS.glob("*.md")} == tested


def test_no_howto_is_longer_than_a_page():
    for page in HOWTOS.glob("*.md"):
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 120, page


def test_method(tmp_path, monkeypatch):
    names = do(HOWTOS / "method.md", tmp_path, monkeypatch)
    scores = scores_of(tmp_path / "runs/embedding-norm")
    assert {"embedding_norm", "survivors", "random"} <= set(scores.method)
    mine = scores[(scores.method == "embedding_norm") & (scores.metric == "average_precision")]
    assert mine.n.item() == 8
    assert 0 < mine.value.item() < 1
    assert "embedding_norm" in (tmp_path / "runs/embedding-norm/report.html").read_text(encoding="utf-8")
    found = names["found"]
    model = load_classifier(SHIPPED)
    ids = model.encoder.tokenizer(found.text).input_ids
    lengths = model.model.get_input_embeddings()(torch.tensor(ids[1:-1])).norm(dim=-1)
    assert found.scores == pytest.approx(lengths.numpy(), rel=1e-5)  # a piece a word, here


def test_metric(tmp_path, monkeypatch):
    do(HOWTOS / "metric.md", tmp_path, monkeypatch)
    scores = scores_of(tmp_path / "runs/reciprocal-rank")
    rows = scores[scores.metric == "reciprocal_rank"].set_index("method")
    assert set(rows.index) == {"survivors", "random"}
    assert ((rows.low <= rows.value) & (rows.value <= rows.high)).all()
    assert (rows.n == 8).all()
    assert (rows.better == "higher").all()


def test_dataset(tmp_path, monkeypatch):
    (tmp_path / "rationale").mkdir()
    (tmp_path / "rationale/movies_model").symlink_to(SHIPPED)
    do(HOWTOS / "dataset.md", tmp_path, monkeypatch)
    rows, stars = (load(n, tmp_path / "data" / n) for n in ("rows", "stars"))
    assert {s: len(e) for s, e in rows.splits.items()} == {"train": 2, "val": 2, "test": 2}
    picked = {
        e.id: [w for w, g in zip(stars.text(e).words, stars.truth(e).gold, strict=True) if g]
        for e in stars.examples("test")
    }
    assert picked == {"one": ["dull"], "two": ["Warm"]}
    for name in ("rows", "stars"):
        rows = scores_of(tmp_path / "runs" / name)
        assert set(rows[rows.metric == "token_f1"].n) == {2}


def test_annotations(tmp_path, monkeypatch):
    do(HOWTOS / "annotations.md", tmp_path, monkeypatch)
    films = load("films", tmp_path / "data/films").splits["test"]
    assert [(e.id, e.label, e.annotator_names) for e in films] == [
        ("1", "NEG", ("2", "5")), ("2", "POS", ("2",)),
    ]  # fmt: skip


@pytest.mark.slow
def test_correct(tmp_path, monkeypatch):
    shipped = load_classifier(SHIPPED)
    (tmp_path / "models/reviews").mkdir(parents=True)
    save_classifier(shipped.model.without_removal(), shipped.encoder.tokenizer, tmp_path / "models/reviews")
    do(HOWTOS / "correct.md", tmp_path, monkeypatch)
    before = {json.loads(line)["annotation_id"]: json.loads(line) for line in
              (tmp_path / "runs/first/predictions/survivors.jsonl").read_text().splitlines()}  # fmt: skip
    after = load("sample-corrected", tmp_path / "data/sample-corrected")
    assert [e.id for e in after.splits["test"]] == list(before)
    for example in after.splits["test"]:
        (rationale,) = before[example.id]["rationales"]
        spans = [(s["start_token"], s["end_token"]) for s in rationale["hard_rationale_predictions"]]
        assert sorted((e.span.start, e.span.end) for e in example.evidence) == spans[1:]
        assert example.label == before[example.id]["classification"]
    assert set(scores_of(tmp_path / "runs/second").method) >= {"attention", "random"}


@pytest.mark.slow
def test_encoder(tmp_path, monkeypatch):
    do(HOWTOS / "encoder.md", tmp_path, monkeypatch)
    config = json.loads((tmp_path / "models/gated-adapler/config.json").read_text())
    assert config["encoder"]["model_type"] == "gated_bert"
    rows = scores_of(tmp_path / "runs/gated")
    assert {"survivors", "attention", "random"} <= set(rows.method)
    record = json.loads((tmp_path / "models/gated-adapler/rationale.json").read_text())
    assert record["kept"]["speedup"] > 1.2
    model = load_classifier(tmp_path / "models/gated-adapler").model
    ids = torch.tensor([[101, 2023, 3185, 2003, 3294, 102]])
    with model.at_dial(0), torch.inference_mode():
        assert torch.allclose(model(ids).logits, model.without_removal()(ids).logits, atol=1e-5)


@pytest.mark.slow
def test_adaptive_model(tmp_path, monkeypatch, tokenizer):
    dense = tmp_path / "models/dense"
    dense.mkdir(parents=True)
    save_classifier(tiny_model("bert", tokenizer, ("NEG", "POS")), tokenizer, dense)
    (dense / "rationale.json").write_text(json.dumps({"max_length": 128}))
    do(HOWTOS / "adaptive-model.md", tmp_path, monkeypatch)
    record = json.loads((tmp_path / "models/unusual/rationale.json").read_text())
    assert [e["stage"] for e in record["log"]] == ["hard"]
    assert record["log"][0]["scaled_to"] == pytest.approx(1.5, rel=0.05)
    rows = scores_of(tmp_path / "runs/unusual")
    assert {"survivors", "random"} <= set(rows.method)
    model = load_classifier(tmp_path / "models/unusual").model
    ids = torch.tensor([[2, 40, 50, 60, 70, 3]])
    with model.at_dial(0), torch.inference_mode():
        assert torch.allclose(model(ids).logits, model.without_removal()(ids).logits, atol=1e-5)
    with model.at_dial(100), torch.inference_mode():
        assert all(layer.kept.sum() == 1 for layer in model(ids).trace)


def test_black_box(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # as the page says
    names = do(HOWTOS / "black-box.md", tmp_path, monkeypatch)
    found, model = names["found"], names["model"]
    words = list(found.words)
    whole, *without = model.predict_proba(
        [" ".join(words), *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    )[:, list(model.classes_).index(found.target)]
    assert found.scores == pytest.approx(whole - without)
    rows = scores_of(tmp_path / "runs/black-box")
    assert {"leave_one_out", "occlusion", "random", "model"} == set(rows.method)
    assert rows[rows.metric == "accuracy"].value.item() >= 0.75
    assert names["api"].batch_size == 32


def test_language_model(tmp_path, monkeypatch):
    names = do(HOWTOS / "language-model.md", tmp_path, monkeypatch)
    assert set(names["rows"].n) == {3}
    report = (tmp_path / "runs/llm/report.html").read_text(encoding="utf-8")
    assert "quotes 8" in report
    assert "quotes not in the text 1" in report


def test_explanations(tmp_path, monkeypatch):
    shipped = load_classifier(SHIPPED)
    (tmp_path / "models/reviews").mkdir(parents=True)
    save_classifier(shipped.model.without_removal(), shipped.encoder.tokenizer, tmp_path / "models/reviews")
    names = do(HOWTOS / "explanations.md", tmp_path, monkeypatch)
    rows = scores_of(tmp_path / "runs/theirs").set_index(["method", "metric"])
    assert rows.sort_index().value["imported-theirs", "average_precision"].item() == 1.0
    assert {"attention", "random", "imported-theirs"} <= {method for method, _ in rows.index}
    found = names["found"]
    assert found["two"].top(1) == [("moving", 6.0)]
    assert found.counts["tokens not in the text"] == 0
    assert "imported-lengths" in names["run"].table("average_precision").index


def test_serve(tmp_path, monkeypatch, tokenizer, capsys):
    made_file(tmp_path / "model.onnx", tokenizer)
    names = do(HOWTOS / "serve.md", tmp_path, monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) == 3  # a line for each text, and what is next
    assert names["answer"].windows == 1
    assert names["word"].side == 1
    asked, answered = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("request", "answer"))
    client = TestClient(application(names["model"], "model", Limits()))
    found = client.post("/predict", json=asked).json()
    assert found.keys() == answered.keys()
    for field in ("predictions", "rationale"):
        assert found[field][0].keys() == answered[field][0].keys()


def test_pairs(tmp_path, monkeypatch, tokenizer):
    labels = ("contradiction", "entailment", "neutral")
    save_classifier(tiny_model("bert", tokenizer, labels), tokenizer, tmp_path / "models/nli")
    names = do(HOWTOS / "pairs.md", tmp_path, monkeypatch)
    why = names["why"][0]
    assert why.texts == ("A dog runs.", "An animal sleeps.")
    assert "." + "</span><br>" in why._repr_html_()
    rows = list(read_stream(tmp_path / "runs/pairs"))
    assert [row["side"] for row in rows] == [[0] * 3 + [1] * 3] * 2
    nli = load("nli", tmp_path / "data/nli")
    marked = {
        e.id: [w for w, g in zip(nli.text(e).words, nli.truth(e).gold, strict=True) if g]
        for e in nli.examples("test")
    }
    assert marked == {"1": ["runs", "sleeps"], "2": ["talk", "Nobody", "silent"]}
    scores = scores_of(tmp_path / "runs/nli")
    assert set(scores[scores.metric == "token_f1"].n) == {2}
    lines = (tmp_path / "runs/nli/predictions/random.jsonl").read_text().splitlines()
    documents = [[r["docid"] for r in json.loads(line)["rationales"]] for line in lines]
    assert documents == [[f"{id}_premise", f"{id}_hypothesis"] for id in ("1", "2")]


def test_sentences(tmp_path, monkeypatch):
    do(HOWTOS / "sentences.md", tmp_path, monkeypatch)
    scores = scores_of(tmp_path / "runs/sentences")
    rows = scores[(scores.metric == "sentence_f1") & (scores.budget == "gold")].set_index("method")
    assert set(rows.index) == {"survivors", "attention", "random"}
    assert (rows.n == 4).all()
    line = (tmp_path / "runs/sentences/predictions/survivors.jsonl").read_text().splitlines()[0]
    assert len(json.loads(line)["rationales"][0]["soft_sentence_predictions"]) > 1
    gold, ranked = np.array([True, True, False, False]), np.array([0.1, 0.9, 0.5, 0.2])
    assert average_precision(gold, ranked) == 0.75  # the page's example by hand


@pytest.mark.slow
def test_export(tmp_path, monkeypatch, capsys):
    do(HOWTOS / "export.md", tmp_path, monkeypatch)
    checked = re.search(
        r"the same pieces kept in (\d+) of (\d+) windows \(sample val\)", capsys.readouterr().out
    )
    assert checked is not None
    assert checked[1] == checked[2]
    assert is_exported(tmp_path / "model.onnx")
