from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax

import rationale.onnx
from eraser import InputError, Text
from rationale.onnx import AnswerWord
from rationale.onnx.model import OnnxModel
from rationale.onnx.session import Read
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE
from tests.helpers.made_graph import DEPTH, Tables
from tests.helpers.same_answers import LONG, TEXTS

HEAVY = ("torch", "transformers", "pandas", "scipy", "typer", "tqdm", "sklearn")


def by_hand(text, tokenizer):
    """Probabilities [C], and of each word the layer and score of its longest-lived piece, from the tables."""
    tables = Tables.of(len(tokenizer))
    query, string = text if isinstance(text, tuple) else (None, text)
    given = Text.of("text", string, "punctuation", query, both=True)
    (windows,) = Encoder(tokenizer, 24).encode([given])
    probs = np.mean([softmax(tables.logits[w.ids].mean(0).astype(float)) for w in windows], axis=0)
    found = [(None, None)] * len(given.words)
    for window in windows:
        for id, word, end in zip(window.ids, window.word, window.end, strict=True):
            piece = (int(tables.layers[id]), float(tables.contribution[id]))
            for n in range(word, end) if word != OUTSIDE else ():
                found[n] = max(found[n], piece, key=lambda x: (-1,) if x[0] is None else x)
    return given, windows, probs, found


@pytest.mark.parametrize("text", TEXTS)
def test_answers_are_those_worked_out_from_the_tables(model: OnnxModel, tokenizer, text):
    given, windows, probs, words = by_hand(text, tokenizer)
    (answer,) = model.predict([text])
    assert answer.windows == len(windows)
    assert list(answer.scores.values()) == pytest.approx(probs, abs=1e-6)
    assert answer.label == ("NEG", "POS")[probs.argmax()]
    assert [w.text for w in answer.words] == list(given.words)
    assert [w.layer for w in answer.words] == [layer for layer, _ in words]
    assert [w.contribution for w in answer.words] == [
        None if score is None else pytest.approx(score, abs=1e-6) for _, score in words
    ]
    strings = text if isinstance(text, tuple) else (text,)
    assert all(strings[w.side][w.start : w.end] == w.text for w in answer.words)
    assert answer.survivors == tuple(w for w in answer.words if w.layer == DEPTH)
    assert answer.unread == sum(w.layer is None for w in answer.words)
    assert answer.truncated == 0


def test_there_are_windows_and_words_of_every_kind(model: OnnxModel):
    found = model.predict(TEXTS)
    assert [answer.windows > 1 for answer in found] == [False, False, True, False, False, True, False]
    assert {w.layer for answer in found for w in answer.words} == {None, *range(DEPTH + 1)}


def test_without_the_rationale_all_else_is_the_same(model: OnnxModel):
    for text in TEXTS:
        (whole,), (short,) = model.predict([text]), model.predict([text], rationale=False)
        assert short == replace(whole, words=())


def test_one_text_or_one_pair_needs_no_list(model: OnnxModel):
    assert model.predict(TEXTS[0]) == model.predict([TEXTS[0]])
    assert model.predict(TEXTS[4]) == model.predict([TEXTS[4]])


@pytest.mark.parametrize("text", [LONG, ("is it good ?", LONG)])
def test_a_truncated_text_counts_what_was_cut_off(model: OnnxModel, tokenizer, text):
    answer = model.answer(text, long_texts="truncate")
    _, windows, _, _ = by_hand(text, tokenizer)
    read = set().union(*(range(w, e) for w, e in zip(windows[0].word, windows[0].end, strict=True)))
    assert [n for n, w in enumerate(answer.words) if w.layer is not None] == sorted(read - {OUTSIDE})
    assert answer.truncated == answer.unread == len(answer.words) - len(read - {OUTSIDE}) > 0
    assert answer.windows == 1
    truncating = replace(model, described=replace(model.described, long_texts="truncate"))
    assert truncating.answer(text) == answer
    assert truncating.answer(text, long_texts="window") == model.answer(text)


def test_a_text_that_stopped_early_counts_its_last_layer_as_the_end():
    read = Read(np.zeros(2), np.array([2, 0, 2, 1]), np.array([0.5, 0.1, 1.0, 0.0]))
    assert read.survived(6).tolist() == [6.5, 0.1, 6 + 1 - 1e-6, 1.0]


@pytest.mark.parametrize(
    ("head", "labels", "label"),
    [("sigmoid", ["rude", "threat"], "rude|threat"), ("softmax", ["a", "b"], "a")],
)
def test_heads_answer_as_the_package(remade, tokenizer, head, labels, label):
    found = rationale.onnx.load(remade(head=head, labels=labels)).answer("a warm film")
    _, windows, _, _ = by_hand("a warm film", tokenizer)
    logits = Tables.of(len(tokenizer)).logits[windows[0].ids].mean(0).astype(float)
    expected = expit(logits) if head == "sigmoid" else softmax(logits)
    assert found.logits == pytest.approx(logits, abs=1e-6)
    assert found.scores == pytest.approx(dict(zip(labels, expected, strict=True)), abs=1e-6)
    assert found.label == label


def test_a_model_that_drops_nothing_has_no_words(remade):
    answer = rationale.onnx.load(remade(adaptive=False)).answer("a warm film")
    assert (answer.words, answer.survivors, answer.unread) == ((), (), 0)


def test_several_threads_get_the_answers_that_one_gets(model: OnnxModel):
    texts = [f"{text} {n}" for n in range(20) for text in ("a warm film", "a dull film", LONG)]
    alone = [model.answer(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.answer, texts)) == alone


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "text: the text has no words"),
        (" \n\u200b", "text: the text has no words"),
        ("a \ud800 film", "text: expected text without lone surrogates, got '\\ud800'"),
        (("", "film"), "expected two texts with words in a pair, got ('', 'film')"),
        (3, "expected a text, or a pair of texts as a tuple, got 3"),
        (
            ("a " * 40, "film"),
            "text: expected a first text that leaves 8 of 24 pieces to the text, got 40 pieces",
        ),
    ],
)
def test_texts_that_cannot_be_read_are_refused_in_a_line(model: OnnxModel, text, line):
    with pytest.raises(InputError) as error:
        model.predict([text])
    assert str(error.value) == line


def test_a_graph_without_numbers_is_refused_with_the_text(model: OnnxModel):
    class Broken:
        def read(self, window):
            return Read(np.array([np.nan, 1.0]), np.ones(len(window), int), np.zeros(len(window)))

    with pytest.raises(
        InputError, match="^text: expected finite logits from the model, got NaN or infinity$"
    ):
        replace(model, graph=Broken()).answer("a film")


def test_the_runtime_imports_nothing_heavy(made_onnx: Path):
    code = (
        "import sys, json, rationale.onnx as o; m = o.load(sys.argv[1]); (a,) = m.predict('a warm film');"
        f"print(json.dumps([a.label, [x for x in {HEAVY} if x in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, made_onnx], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [rationale.onnx.load(made_onnx).answer("a warm film").label, []]


def test_words_score_as_the_method_survivors_has_it():
    assert AnswerWord("a", 0, 1, 2, 0.25).score == 2.25
    assert AnswerWord("a", 0, 1, 6, 1.0).score == 6 + 1 - 1e-6
    assert AnswerWord("a", 0, 1, None, None).score is None
