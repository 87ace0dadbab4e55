"""Exported files of real models hold against the whole package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import rationale.onnx
from rationale.hf.classifier import SHIPPED, load_classifier
from rationale.text.encode import Encoder
from tests.conftest import dropping
from tests.helpers.exported import exported
from tests.helpers.same_answers import TEXTS, assert_same_answers

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_a_tiny_model_answers_as_the_package(make_classifier, tmp_path: Path, family: str):
    dense = make_classifier(family)
    short = replace(dense, encoder=Encoder(dense.encoder.tokenizer, 24))  # some texts need windows
    adaptive = replace(short, model=dropping(dense.model))
    assert_same_answers(rationale.onnx.load(exported(adaptive, tmp_path / "tiny.onnx")), adaptive, TEXTS)


def test_the_shipped_model_answers_as_the_package(sample, tmp_path: Path):
    shipped = load_classifier(SHIPPED, device="cpu")
    model = rationale.onnx.load(exported(shipped, tmp_path / "shipped.onnx"))
    texts = [sample.text(e).plain[0] for e in sample.splits["test"]]
    long = " ".join(texts[:12])
    assert_same_answers(model, shipped, [*texts, long, ("is it good ?", texts[0])])
    assert model.answer(long).windows > 1
