"""Exported files of models that tests have in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from rationale.export.graph import export_graph, metadata
from rationale.hf.classifier import Classifier
from rationale.inference.capabilities import drops_tokens
from rationale.models.adaptive import unwrap
from rationale.models.packed.layers import depth_of
from rationale.onnx.described import KEY


def exported(classifier: Classifier, path: Path) -> Path:
    """Write a classifier as an exported file."""
    export_graph(classifier, path)
    described = {
        "version": 1,
        "precision": "float32",
        "depth": depth_of(unwrap(classifier.model)),
        "adaptive": bool(drops_tokens(classifier)),
        "special": {"start": 0, "pad": classifier.encoder.pad_id},
    } | metadata(classifier)
    return rewritten(path, path, described)


def described_in(path: Path) -> dict[str, Any]:
    """Return what a file says of itself."""
    found = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
    return dict(json.loads(found[KEY]))


def rewritten(path: Path, to: Path, described: dict[str, Any] | None, **fields: Any) -> Path:
    """Write a file again that says something else of itself, or nothing; fields of the graph are replaced."""
    proto = onnx.load(path)
    del proto.metadata_props[:]
    if described is not None:
        onnx.helper.set_model_props(proto, {KEY: json.dumps(described)})
    for name, value in fields.items():
        if name == "opset":
            proto.opset_import[0].version = value
    onnx.save(proto, to)
    return to
