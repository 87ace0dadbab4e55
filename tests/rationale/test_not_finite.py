"""Numbers of a model that are none: the first text that has some is named, wherever they are met."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eraser import Text
from eraser.load import load
from rationale import cli
from rationale.attribution import AttributionInput, attribute
from rationale.blackbox import from_callable
from rationale.explanation import explain
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.inference.predict import text_probs
from rationale.inference.savings import predict_split
from rationale.settings import StreamSettings
from rationale.stream import collect, stream
from rationale.training.dense import train_dense
from rationale.training.settings import TrainSettings
from tests.helpers.refusals import refusal

WORD = "dull"  # that the tiny vocabulary has as one piece


@pytest.fixture
def spoilt(make_classifier):
    """A classifier with a NaN in the embedding of one word."""
    found = make_classifier()
    id = found.encoder.tokenizer.convert_tokens_to_ids(WORD)
    assert id != found.encoder.tokenizer.unk_token_id
    with torch.no_grad():
        found.model.get_input_embeddings().weight[id] = float("nan")
    return found


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.jsonl"
    texts = ["a warm film", "a good one", f"{WORD} end", f"{WORD} other"]
    path.write_text("".join(json.dumps({"id": f"t{i}", "text": t}) + "\n" for i, t in enumerate(texts)))
    return path


@pytest.fixture
def command(monkeypatch, capsys):
    """The command line, and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rationale", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    return run


LOGITS = "expected finite logits from the model, got NaN or infinity"


@pytest.mark.parametrize("chunk", [1, 2, 256])
def test_a_text_of_a_file_is_named_by_file_line_and_id(spoilt, file, tmp_path, chunk):
    settings = StreamSettings(file=str(file), model="m", methods=("random",), chunk=chunk)
    assert refusal(collect, stream(spoilt, settings, tmp_path / "out")) == f"{file}:3: t2: {LOGITS}"


def test_an_example_of_a_data_set_is_named_by_where_the_set_is_and_its_id(spoilt):
    sample = load("sample")
    texts = [sample.text(e) for e in sample.splits["val"]]
    first = next(t for t in texts if WORD in t.words)
    windows = spoilt.encoder.encode(texts)
    expected = f"{sample.source}: {first.example_id}: {LOGITS}"
    assert refusal(text_probs, spoilt, windows, texts) == expected
    assert refusal(predict_split, spoilt, sample, "val") == expected


def test_one_text_that_is_explained(spoilt):
    assert refusal(explain, spoilt, f"{WORD} end") == f"text: {LOGITS}"
    assert np.isfinite(explain(spoilt, "a good film").scores).all()


def test_scores_of_a_method(spoilt):
    texts = [Text(f"t{i}", words, {"d": 0}, (0,)) for i, words in enumerate((("a",), (WORD,)))]
    windows = spoilt.encoder.encode(texts)
    cases = [AttributionInput(w, 1, 0, of=t) for w, t in zip(windows, texts, strict=True)]
    line = refusal(attribute, spoilt, "gradient_x_input", cases)
    assert line == "t1: expected finite scores from gradient_x_input, got NaN or infinity"


def test_a_function(tmp_path, file):
    def model(texts):
        return [[0.5, float("nan") if WORD in t else 0.5] for t in texts]

    asked = from_callable(model, ["NEG", "POS"])
    settings = StreamSettings(
        file=str(file), model="m", methods=("leave_one_out",), explain="probability", words="whitespace"
    )
    line = refusal(lambda: collect(stream(asked, settings, tmp_path / "out")))
    assert re.fullmatch(
        r"\S*model:3: t2: expected finite numbers, got 0.5, nan in row 2, of the text 'dull end'", line
    )


def test_training_names_the_examples_whose_logits_are_no_numbers(spoilt, tmp_path):
    sample = load("sample")
    of_split = {s: tuple(e for e in found if WORD not in sample.text(e).words) for s, found in
                sample.splits.items()}  # fmt: skip
    strange = next(e for e in sample.splits["train"] if WORD in sample.text(e).words)
    data = replace(sample, splits={**of_split, "train": (*of_split["train"][:3], strange)})
    settings = TrainSettings(epochs=1, batch_size=4, device="cpu")
    assert all(data.splits.values())
    line = refusal(
        train_dense, lambda: (spoilt.model, spoilt.encoder.tokenizer), data, tmp_path / "out", settings
    )
    loss = f"training loss is nan at epoch 1, step 1, in {strange.id}"
    kept = "the last good checkpoint is kept; try a lower --lr or --precision float32 with another --out"
    assert line == f"{tmp_path}/out: {loss}; {kept}"


def test_the_command_names_it(spoilt, file, tmp_path, command):
    save_classifier(spoilt.model, spoilt.encoder.tokenizer, tmp_path / "m")
    load_classifier(tmp_path / "m")
    options = ("--model", tmp_path / "m", "--methods", "random")
    code, _, err = command("attribute", "--file", file, "--out", tmp_path / "a", *options)
    assert (code, err) == (2, f"error: {file}:3: t2: {LOGITS}\n")
    code, _, err = command("evaluate", "--out", tmp_path / "e", *options)
    *_, last = err.splitlines()
    assert (code, Path(last.split(": ")[1]).name) == (2, "sample")
    assert re.fullmatch(rf"error: \S+/sample: \S+: {LOGITS}", last)
