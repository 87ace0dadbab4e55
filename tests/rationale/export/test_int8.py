"""Which int8 form is written is decided by labelled texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from eraser import InputError
from rationale.export.graph import traced
from rationale.export.int8 import Labelled, int8_forms
from rationale.export.parity import read_by_graph
from rationale.export.quantize import INT8_FORMS, quantize
from tests.conftest import dropping

N = 6


@pytest.mark.slow
def test_the_first_form_within_the_tolerance_is_taken_and_none_is_no_file(classifier, sample):
    model = replace(classifier, model=dropping(classifier.model))
    texts, proto = Labelled(model, sample, "val", N), traced(model)
    (found,) = int8_forms(proto, texts, tolerance=1.0)
    assert found.form == next(iter(INT8_FORMS))
    windows = texts.windows()
    flat = [w for of_text in windows for w in of_text]
    before, after = (texts.labels(read_by_graph(of, flat), windows) for of in (proto, found.proto))
    gold = [e.label for e in sample.examples("val")[:N]]
    right = [np.mean([a == b for a, b in zip(labels, gold, strict=True)]) for labels in (before, after)]
    assert found.loss.value == pytest.approx(right[0] - right[1])
    assert found.same_label == np.mean([a == b for a, b in zip(before, after, strict=True)])
    with pytest.raises(InputError) as refusal:
        int8_forms(proto, texts, tolerance=-1.0)  # no form can be that much better
    assert str(refusal.value).startswith(
        "expected an int8 form that loses at most -1 of accuracy on val, got"
    )
    assert f"n = {N}" in str(refusal.value)


def test_a_model_that_gives_a_number_is_refused(classifier, sample):
    with pytest.raises(InputError, match="--int8 is for models that give labels"):
        Labelled(replace(classifier, head="value"), sample, "val")


def test_several_labels_are_right_in_any_order(classifier, sample):
    gold = ("NEG|POS", "POS|NEG", "|", "POS")
    examples = tuple(replace(e, label=x) for e, x in zip(sample.splits["val"], gold, strict=False))
    several = replace(sample, splits={"val": examples})
    texts = Labelled(replace(classifier, head="sigmoid"), several, "val")
    assert texts.right(["NEG|POS", "NEG|POS", "", "NEG|POS"]) == [(1.0,), (1.0,), (1.0,), (0.0,)]


def test_a_layer_that_pruning_left_no_unit_adds_its_bias_alone(tmp_path):
    """x [1,3] times nothing [3,0], times nothing [0,2], plus a bias [2], beside a product that is rounded."""
    held = {
        "none": np.zeros((3, 0)),
        "back": np.zeros((0, 2)),
        "whole": np.eye(3)[:, :2],
        "bias": np.array([3, -4]),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "none"], ["inside"], "first"),
        helper.make_node("MatMul", ["inside", "back"], ["out"], "second"),
        helper.make_node("MatMul", ["x", "whole"], ["beside"], "third"),
        helper.make_node("Sum", ["out", "beside", "bias"], ["y"]),
    ]
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n])
        for name, n in (("x", 3), ("y", 2))
    ]
    graph = helper.make_graph(nodes, "pruned", ends[:1], ends[1:], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    quantize(proto, tmp_path / "int8.onnx", [])
    made = onnx.load(tmp_path / "int8.onnx")
    assert {"first", "second"} < {node.name for node in made.graph.node}
    assert any(node.op_type == "MatMulInteger" for node in made.graph.node)
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
    (found,) = session.run(None, {"x": np.array([[1, 0.5, 9]], np.float32)})
    assert found[0] == pytest.approx([4, -3.5], abs=0.1)
