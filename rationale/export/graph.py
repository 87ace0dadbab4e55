"""A classifier → one ONNX file: its pass over one text, and in its metadata all that reading texts needs."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from eraser import Fault, InputError
from eraser.errors import first_line
from eraser.files.whole import whole
from rationale.export.one_text import OneText
from rationale.hf.classifier import Classifier
from rationale.models.adaptive import unwrap
from rationale.models.packed.entry import takes_types

VERSION = 1  # of what the metadata hold
METADATA = "rationale"
OPSET = 18
OUTPUTS = ("logits", "layers", "contribution")


def export_graph(classifier: Classifier, path: Path) -> None:
    """Write a classifier as an ONNX file of one text: ids, and types where it has them → OUTPUTS.

    Raises:
        InputError: the model cannot be exported: which operation.
    """
    import onnx

    with whole(path) as new:
        program = _program(classifier)
        proto = program.model_proto
        onnx.helper.set_model_props(proto, {METADATA: json.dumps(metadata(classifier))})
        onnx.save_model(proto, new)


def metadata(classifier: Classifier) -> dict[str, Any]:
    """Return what a reader of texts needs beside the graph: the tokenizer itself, labels, windows' length."""
    encoder = classifier.encoder
    return {
        "version": VERSION,
        "labels": list(classifier.labels),
        "head": classifier.head,
        "max_length": encoder.max_length,
        "long_texts": encoder.long_texts,
        "model": classifier.identity(),
        "tokenizer": json.loads(encoder.tokenizer.backend_tokenizer.to_str()),
    }


def _program(classifier: Classifier) -> Any:
    """Return the library's ONNX program of one text."""
    model = classifier.model.eval()
    typed = takes_types(model, classifier.encoder.tokenizer)
    ids = torch.arange(8)[None] % int(unwrap(model).config.vocab_size)  # [1,T]
    inputs = (ids, torch.zeros_like(ids)) if typed else (ids,)
    length = torch.export.Dim("pieces", min=2, max=classifier.encoder.max_length)
    try:
        with _silent():
            found = torch.onnx.export(
                OneText(model),
                inputs,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({1: length},) * len(inputs),
                input_names=["input_ids", "token_type_ids"][: len(inputs)],
                output_names=list(OUTPUTS),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        why = first_line(error.__cause__ or error)
        raise InputError(Fault.of(f"{type(model).__name__} cannot be exported: {why}")) from None
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's own progress and warnings off the terminal."""
    logger = logging.getLogger("onnxscript")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
