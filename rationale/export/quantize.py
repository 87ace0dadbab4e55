"""A traced model → the same model with int8 weights.

Weights are scaled per column and use seven bits: processors without int8 dot products (VNNI) could otherwise
overflow, and the same file would answer differently on different machines. Activations are scaled at run time
(dynamic quantisation). Labelled texts decide which of INT8_FORMS is good enough.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eraser import Fault, InputError
from rationale.export.graph import EXTRA
from rationale.export.quiet import silent

Proto = Any  # onnx.ModelProto
Names = list[str]  # of nodes


def _nothing(products: Names, tables: Names, depth: int) -> Names:
    """Leave nothing in float32."""
    return []


def _first_layer(products: Names, tables: Names, depth: int) -> Names:
    """Leave the first layer's products in float32: their errors pass through all later layers."""
    return products[: len(products) // depth]


def _first_layer_and_tables(products: Names, tables: Names, depth: int) -> Names:
    """Leave embeddings and the first layer's products in float32."""
    return tables + _first_layer(products, tables, depth)


# (products with a weight in order, embedding lookups, layers) → what stays float32; the smallest file first
INT8_FORMS: dict[str, Callable[[Names, Names, int], Names]] = {
    "all in int8": _nothing,
    "the first layer in float32": _first_layer,
    "embeddings and the first layer in float32": _first_layer_and_tables,
}


def quantized(proto: Proto, form: str, depth: int) -> Proto:
    """Return a traced model of `depth` layers with int8 weights, in one of INT8_FORMS.

    Raises:
        InputError: onnxruntime, which quantises, is missing.
    """
    try:
        import onnxruntime.quantization  # noqa: F401
    except ImportError:
        raise InputError(Fault.of(f"--int8 needs onnxruntime: {EXTRA}")) from None
    import onnx

    stays = INT8_FORMS[form](*_weighted(proto), depth)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize(proto, file, stays)
        return onnx.load(file)


def quantize(model: Any, path: Path, stays: Names) -> None:
    """Write a model, given as such or as a file, with int8 weights; nodes named in `stays` keep float32."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = (model if isinstance(model, onnx.ModelProto) else onnx.load(model)).graph
    how = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
    with silent():
        quantize_dynamic(model, path, nodes_to_exclude=stays + _empty(graph), **how)


def _empty(graph: Any) -> Names:
    """Return the nodes whose weight holds nothing, as where pruning left a layer no unit: it has no scale."""
    nothing = {weight.name for weight in graph.initializer if 0 in weight.dims}
    return [node.name for node in graph.node if nothing & set(node.input)]


def _weighted(proto: Proto) -> tuple[Names, Names]:
    """Return the products that have a weight, in order, and the lookups in tables of weights."""
    weights = {weight.name for weight in proto.graph.initializer if len(weight.dims) == 2}  # noqa: PLR2004
    of = [node for node in proto.graph.node if weights & set(node.input)]
    products = [node.name for node in of if node.op_type in ("MatMul", "Gemm")]
    return products, [node.name for node in of if node.op_type == "Gather"]
