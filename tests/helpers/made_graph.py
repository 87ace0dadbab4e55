"""A graph whose answers are known by hand: it looks up each piece in three tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedTokenizerBase

from rationale.onnx.described import KEY, VERSION
from rationale.onnx.session import INPUTS

DEPTH = 3


@dataclass(frozen=True)
class Tables:
    """Of each id: its logits [V,C], how many layers it goes through [V], its score there [V]."""

    logits: NDArray[np.float32]
    layers: NDArray[np.int64]
    contribution: NDArray[np.float32]

    @classmethod
    def of(cls, size: int) -> Tables:
        """Return tables in which words differ; the first ids, those of special tokens, stay to the end."""
        ids = np.arange(size)
        layers = np.where(ids < 5, DEPTH, ids % (DEPTH + 1))
        logits = np.stack([ids % 5, ids % 3], axis=1).astype(np.float32)
        return cls(logits, layers, (ids % 7 / 10).astype(np.float32))


def proto_of(tables: Tables, opset: int = 18) -> onnx.ModelProto:
    """Return the graph: the mean of the pieces' logits, and each piece's layers and score."""
    named = {"of_logits": tables.logits, "of_layers": tables.layers, "of_scores": tables.contribution}
    nodes = [
        helper.make_node("Squeeze", ["input_ids", "zero"], ["pieces"]),
        helper.make_node("Gather", ["of_logits", "pieces"], ["each"]),  # [T,C]
        helper.make_node("ReduceMean", ["each", "zero"], ["logits"], keepdims=1),
        helper.make_node("Gather", ["of_layers", "pieces"], ["layers"]),
        helper.make_node("Gather", ["of_scores", "pieces"], ["contribution"]),
        helper.make_node("Identity", ["token_type_ids"], ["unused"]),
    ]
    named["zero"] = np.array([0])
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "T"]) for name in INPUTS],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, tables.logits.shape[1]]),
            helper.make_tensor_value_info("layers", TensorProto.INT64, ["T"]),
            helper.make_tensor_value_info("contribution", TensorProto.FLOAT, ["T"]),
        ],
        [numpy_helper.from_array(table, name) for name, table in named.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def made_file(path: Path, tokenizer: PreTrainedTokenizerBase, /, **told: Any) -> Path:
    """Write a graph of `Tables` as `rationale export` would, with other things said of it where asked."""
    tables = Tables.of(told.pop("size", len(tokenizer)))
    proto = proto_of(tables)
    helper.set_model_props(proto, {KEY: json.dumps(description(tokenizer, **told))})
    onnx.save(proto, path)
    return path


def description(tokenizer: PreTrainedTokenizerBase, /, **told: Any) -> dict[str, Any]:
    """Return what a file of `Tables` says of itself."""
    return {
        "version": VERSION,
        "precision": "float32",
        "labels": ["NEG", "POS"],
        "head": "softmax",
        "max_length": 24,
        "long_texts": "window",
        "depth": DEPTH,
        "adaptive": True,
        "model": "0" * 64,
        "tokenizer": json.loads(tokenizer.backend_tokenizer.to_str()),
        "special": {"start": tokenizer.pad_token_id, "pad": tokenizer.pad_token_id},
    } | told
