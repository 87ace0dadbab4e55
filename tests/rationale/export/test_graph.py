"""An exported graph does what the model does: labels, kept pieces and exits, and says what it is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from eraser import InputError, Text
from rationale.export.graph import export_graph, is_exported, traced
from rationale.export.parity import parity, read_by_graph, read_by_model
from rationale.export.quantize import INT8_FORMS, quantized
from rationale.models.dact import DactForSequenceClassification
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.onnx.described import KEY
from tests.conftest import dropping
from tests.helpers.families.classifiers import family_classifier
from tests.helpers.families.tiny import WORDS

FAMILIES = ("distilbert", "gpt2", "modernbert", "llama3")


def exiting(inner):
    """A model whose texts stop after different layers."""
    torch.manual_seed(2)
    model = DactForSequenceClassification.wrap(inner)
    for unit in model.halting_units:
        nn.init.normal_(unit.weight, std=0.3)
        nn.init.constant_(unit.bias, -2.5)
    return model


def sampling(inner):
    torch.manual_seed(2)
    model = InforCoefForSequenceClassification.wrap(inner)
    for sampler in model.samplers:
        nn.init.normal_(sampler.scorer.weight, std=0.5)
        nn.init.zeros_(sampler.scorer.bias)
    return model


KINDS = {
    "dense": lambda inner: inner,
    "adapler": dropping,
    "inforcoef": sampling,
    "dact": exiting,
    "dact around adapler": lambda inner: exiting(dropping(inner)),
}


@pytest.fixture
def windows(classifier, sample):
    texts = [sample.text(e) for e in sample.examples("val")[:4]]
    return [w for of_text in classifier.encoder.encode(texts) for w in of_text]


def made(classifier, kind):
    return replace(classifier, model=KINDS[kind](classifier.model).eval())


def contributions(classifier, window):
    batch = classifier.encoder.collate([window])
    with torch.inference_mode():
        found = classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
    scores = np.zeros(len(window))
    for layer in found.trace:
        its = layer.contribution[0].numpy()
        scores = np.where(its != 0, its, scores)  # pieces that are gone have none
    return scores


def test_the_stack_in_a_file_is_the_model(classifier, windows, tmp_path):
    stack = made(classifier, "dact around adapler")
    file = tmp_path / "model.onnx"
    export_graph(stack, file)
    expected = read_by_model(stack, windows)
    found = parity(expected, read_by_graph(onnx.load(file), windows))
    found.check()
    assert found.other_pieces == 0
    assert len({int(reading.layers.max()) for reading in expected}) > 1, "some texts stop, others do not"
    assert min(int(reading.layers.min()) for reading in expected) == 0, "some pieces are dropped at once"
    session = onnxruntime.InferenceSession(file)
    for window in windows:
        given = {"input_ids": window.ids[None], "token_type_ids": window.types[None]}
        (scores,) = session.run(["contribution"], given)
        np.testing.assert_allclose(scores, contributions(stack, window), atol=1e-5)
    assert is_exported(file)
    (entry,) = onnx.load(file).metadata_props
    told = json.loads(entry.value)
    assert entry.key == KEY
    assert {k: told[k] for k in ("version", "precision", "labels", "head", "max_length", "adaptive")} == {
        "version": 1, "precision": "float32", "labels": list(stack.labels), "head": "softmax",
        "max_length": stack.encoder.max_length, "adaptive": True,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_in_a_file_is_the_model(classifier, windows, kind, tmp_path):
    model = made(classifier, kind)
    export_graph(model, tmp_path / "model.onnx")
    found = parity(read_by_model(model, windows), read_by_graph(onnx.load(tmp_path / "model.onnx"), windows))
    found.check()
    assert found.other_pieces == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_drop_the_same_pieces_in_a_file(family, tmp_path):
    dense = family_classifier(family)
    model = replace(dense, model=dropping(dense.model))
    texts = [Text.of(str(n), " ".join(WORDS[:n]), "whitespace", None) for n in (2, 5, 9)]
    windows = [w for of_text in model.encoder.encode(texts) for w in of_text]
    export_graph(model, tmp_path / "model.onnx")
    found = parity(read_by_model(model, windows), read_by_graph(onnx.load(tmp_path / "model.onnx"), windows))
    found.check()


@pytest.mark.slow
def test_int8_forms_leave_in_float32_what_they_say(classifier, windows):
    model = made(classifier, "adapler")
    proto = traced(model)
    sizes = {}
    for form in INT8_FORMS:
        small = quantized(proto, form, len(model.model.contribution_predictors))
        sizes[form] = len(small.SerializeToString())
        apart = parity(read_by_model(model, windows), read_by_graph(small, windows))
        assert apart.pieces > 0.8
    assert list(sizes.values()) == sorted(sizes.values())
    assert len(set(sizes.values())) == len(INT8_FORMS)


def test_a_model_on_another_device_or_in_bf16_is_refused(classifier):
    with pytest.raises(InputError, match="expected a model on the CPU in float32, got"):
        traced(replace(classifier, bf16=True))


def test_attention_of_its_own_is_refused_by_name():
    with pytest.raises(InputError) as refusal:
        traced(family_classifier("deberta"))
    assert "DebertaForSequenceClassification cannot be exported: its attention is its own" in str(
        refusal.value
    )


def test_other_files_are_not_taken_for_exported_ones(tmp_path):
    for name, content in {
        "nothing.onnx": b"",
        "nonsense.onnx": b"\xff\xfe no model",
        "zeros.onnx": bytes(64),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert not is_exported(tmp_path / name)
    assert not is_exported(tmp_path / "missing.onnx")
