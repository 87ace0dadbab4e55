"""Exported files of models that tests have in memory."""

from __future__ import annotations

import json
from pathlib import Path

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
        "precision": "float32",
        "depth": depth_of(unwrap(classifier.model)),
        "adaptive": bool(drops_tokens(classifier)),
        "special": {"start": classifier.encoder.pad_id, "pad": classifier.encoder.pad_id},
    } | metadata(classifier)
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {KEY: json.dumps(described)})
    onnx.save(proto, path)
    return path
