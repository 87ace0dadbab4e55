"""A graph that says where a text may stop becomes one that stops there; worked out by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from rationale.export.exits import with_exits


def adding(stops_from: tuple[float, ...]) -> onnx.ModelProto:
    """A graph of a number x [1]: x + 1 after each layer, one more than there are exits.

    It may stop after layer k where x + k is at least the k-th of these numbers. Beside the number it finds
    a constant, the same at every exit.
    """
    number, flag = TensorProto.FLOAT, TensorProto.BOOL
    given = helper.make_tensor_value_info("x", number, [1])
    constants = [
        helper.make_tensor("one", number, [1], [1.0]),
        helper.make_tensor("mark", number, [1], [7.0]),
    ]
    nodes, outputs, at = [], [], "x"
    for layer, least in enumerate(stops_from, 1):
        constants.append(helper.make_tensor(f"least{layer}", number, [1], [least]))
        nodes.append(helper.make_node("Add", [at, "one"], [f"after{layer}"], name=f"layer{layer}"))
        nodes.append(
            helper.make_node("GreaterOrEqual", [f"after{layer}", f"least{layer}"], [f"stops{layer}"])
        )
        nodes += [
            helper.make_node("Identity", [name], [f"{name}.{layer}"]) for name in (f"after{layer}", "mark")
        ]
        kinds = {f"stops{layer}": flag, f"after{layer}.{layer}": number, f"mark.{layer}": number}
        outputs += [helper.make_tensor_value_info(name, kind, [1]) for name, kind in kinds.items()]
        at = f"after{layer}"
    nodes.append(helper.make_node("Add", [at, "one"], ["y"], name="last"))
    nodes.append(helper.make_node("Identity", ["mark"], ["constant"]))
    final = [helper.make_tensor_value_info(name, number, [1]) for name in ("y", "constant")]
    graph = helper.make_graph(nodes, "adding", [given], [*final, *outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(proto: onnx.ModelProto, x: float) -> list[float]:
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return [float(found[0]) for found in session.run(None, {"x": np.array([x], np.float32)})]


@pytest.mark.parametrize(("x", "found"), [(9.0, 10.0), (4.0, 6.0), (1.0, 4.0), (0.0, 3.0)])
def test_what_is_found_is_that_of_the_first_exit_where_the_text_stops(x, found):
    proto = adding((10.0, 6.0))
    with_exits(proto.graph, 2)
    assert run(proto, x) == [found, 7.0]


def test_what_follows_an_exit_stands_in_the_branch_that_goes_on():
    proto = adding((10.0, 6.0))
    with_exits(proto.graph, 2)
    names = [node.name for node in proto.graph.node]
    assert "layer1" in names
    assert not {"layer2", "last"} & set(names)
    branch = next(node for node in proto.graph.node if node.op_type == "If")
    inside = {a.name: a.g for a in branch.attribute}
    assert {node.op_type for node in inside["then_branch"].node} == {"Identity"}
    assert "layer2" in [node.name for node in inside["else_branch"].node]


def test_a_graph_without_exits_gives_what_it_gave():
    proto = adding(())
    with_exits(proto.graph, 2)
    assert run(proto, 3.0) == [4.0, 7.0]
