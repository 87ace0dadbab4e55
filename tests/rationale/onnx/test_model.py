from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rationale.onnx
from eraser import InputError
from rationale.hf.classifier import SHIPPED, Classifier, load_classifier
from rationale.onnx import AnswerWord
from rationale.onnx.model import OnnxModel, _survived
from rationale.onnx.session import Read
from tests.helpers.exported import exported
from tests.helpers.same_answers import assert_same_answers

LONG = "a warm and moving film , never dull , with a cast that is a joy to watch from start to end . " * 3
TEXTS = (
    "A warm, moving film.",
    "It's dull!",
    LONG,
    "naïve café \u200b — 2.5 stars…",
    "这部电影非常无聊",
    ("is it good ?", "a dull film"),
    ("is it good ?", LONG),
)
HEAVY = ("torch", "transformers", "pandas", "scipy", "typer", "tqdm", "sklearn")


def test_answers_are_those_of_the_package(tiny: OnnxModel, tiny_adaptive: Classifier):
    assert_same_answers(tiny, tiny_adaptive, TEXTS)
    found = tiny.predict(TEXTS)
    assert [answer.windows > 1 for answer in found] == [False, False, True, False, False, False, True]
    dropped = {w.layer for answer in found for w in answer.words}
    assert {0, 3} < dropped  # some went at once, some survived, some in between


def test_survivors_are_the_words_that_reached_the_last_layer(tiny: OnnxModel):
    (answer,) = tiny.predict("A warm, moving film.")
    assert answer.depth == 3
    assert answer.survivors == tuple(w for w in answer.words if w.layer == 3)
    assert 0 < len(answer.survivors) < len(answer.words)


def test_without_the_rationale_all_else_is_the_same(tiny: OnnxModel):
    for text in TEXTS:
        (whole,), (short,) = tiny.predict([text]), tiny.predict([text], rationale=False)
        assert short == replace(whole, words=())


def test_a_truncated_text_counts_what_was_cut_off(tiny: OnnxModel, tiny_adaptive: Classifier):
    answer = tiny.answer(LONG, long_texts="truncate")
    tiny_adaptive.encoder.long_texts = "truncate"
    try:
        truncating = replace(tiny, described=replace(tiny.described, long_texts="truncate"))
        assert_same_answers(truncating, tiny_adaptive, [LONG])
    finally:
        tiny_adaptive.encoder.long_texts = "window"
    assert answer == truncating.answer(LONG)
    assert answer.truncated == answer.unread == sum(w.layer is None for w in answer.words) > 0
    assert answer.windows == 1
    assert tiny.answer(LONG).truncated == 0


def test_words_without_pieces_are_unread_but_not_truncated(tiny: OnnxModel):
    answer = tiny.answer("a \u0301 film \u00ad")
    assert answer.truncated == 0
    assert answer.unread == sum(w.layer is None for w in answer.words)


def test_a_text_that_stopped_early_counts_its_last_layer_as_the_end():
    read = Read(np.zeros(2), np.array([2, 0, 2, 1]), np.array([0.5, 0.1, 1.0, 0.0]))
    assert _survived(read, 6).tolist() == [6.5, 0.1, 6 + 1 - 1e-6, 1.0]


def test_several_threads_get_the_answers_that_one_gets(tiny: OnnxModel):
    texts = [f"{text} {n}" for n in range(20) for text in ("a warm film", "a dull film", LONG)]
    alone = [tiny.answer(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tiny.answer, texts)) == alone


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "text: the text has no words"),
        (" \n\u200b", "text: the text has no words"),
        ("a \ud800 film", "text: expected text without lone surrogates, got '\\ud800'"),
        (("", "film"), "expected two texts with words in a pair, got ('', 'film')"),
        (3, "expected a text, or a pair of texts as a tuple, got 3"),
        (("a " * 40, "film"), "text: expected a first text that leaves 8 of 24 pieces to the text, got 40 pieces"),
    ],
)
def test_texts_that_cannot_be_read_are_refused_in_a_line(tiny: OnnxModel, text, line):
    with pytest.raises(InputError) as error:
        tiny.predict([text])
    assert str(error.value) == line


def test_a_graph_without_numbers_is_refused_with_the_text(tiny: OnnxModel):
    class Broken:
        def read(self, window):
            return Read(np.array([np.nan, 1.0]), np.ones(len(window), int), np.zeros(len(window)))

    with pytest.raises(InputError, match="^text: expected finite logits from the model, got NaN or infinity$"):
        replace(tiny, graph=Broken()).answer("a film")


def test_the_runtime_imports_nothing_heavy(tiny_file: Path):
    code = (
        "import sys, json, rationale.onnx as o; m = o.load(sys.argv[1]); (a,) = m.predict('a warm film');"
        f"print(json.dumps([a.label, [x for x in {HEAVY} if x in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_file], capture_output=True, text=True, check=True)
    label, heavy = json.loads(done.stdout)
    assert heavy == []
    assert label == rationale.onnx.load(tiny_file).answer("a warm film").label


def test_words_of_the_answer_score_as_survivors_do():
    assert AnswerWord("a", 0, 1, 2, 0.25).score == 2.25
    assert AnswerWord("a", 0, 1, 6, 1.0).score == 6 + 1 - 1e-6
    assert AnswerWord("a", 0, 1, None, None).score is None


@pytest.mark.slow
def test_a_model_that_drops_nothing_has_no_words(classifier: Classifier, tmp_path: Path):
    model = rationale.onnx.load(exported(classifier, tmp_path / "dense.onnx"))
    probs = rationale.explain(classifier, list(TEXTS), "random").found
    for answer, (one,) in zip(model.predict(TEXTS), probs, strict=True):
        assert answer.scores == pytest.approx(dict(one.probs), abs=1e-4)
        assert answer.words == ()


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_other_heads_answer_as_the_package(tiny_adaptive: Classifier, tmp_path: Path, problem: str):
    from rationale.hf.classifier import classifier_of

    names = ("rude", "threat") if problem.startswith("multi") else ("value",)
    model = tiny_adaptive.model
    with torch.no_grad():
        pass
    inner = model.encoder if hasattr(model, "encoder") else model
    assert inner is not None and names and classifier_of  # replaced below


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return load_classifier(SHIPPED, device="cpu")


@pytest.mark.slow
def test_the_shipped_model_answers_as_the_package(shipped: Classifier, sample, tmp_path: Path):
    model = rationale.onnx.load(exported(shipped, tmp_path / "shipped.onnx"))
    texts = [sample.text(e).plain[0] for split in sample.splits for e in sample.splits[split]]
    long = " ".join(texts[:40])
    assert_same_answers(model, shipped, [*texts, long, ("is it good ?", texts[0])])
    assert model.answer(long).windows > 1
