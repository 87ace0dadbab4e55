"""A classifier → one ONNX file: its pass over one text, and metadata with all it takes to read texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from eraser import Fault, InputError
from eraser.errors import first_line
from eraser.files.whole import whole
from rationale.export.exits import with_exits
from rationale.export.one_text import OneText
from rationale.export.quiet import silent
from rationale.hf.classifier import Classifier
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens
from rationale.models.packed.entry import takes_types
from rationale.models.packed.layers import depth_of
from rationale.onnx.described import KEY, OPSET, VERSION
from rationale.onnx.session import INPUTS, OUTPUTS
from rationale.process.extras import installs

EXTRA = installs("export")
ROOM = 2**31 - 2**20  # most bytes of weights in one ONNX file, with room for the rest of the file


def traced(classifier: Classifier) -> Any:
    """Return a classifier's pass over one text as an ONNX model: ids, and types where it has them → OUTPUTS.

    The results at each exit follow as further outputs, see `finished`.

    Raises:
        InputError: the model cannot be exported (which operation), or the exporting library is missing.
    """
    _check(classifier)
    model = classifier.model
    names = list(INPUTS[: 2 if takes_types(model, classifier.encoder.tokenizer) else 1])
    ids = torch.arange(8)[None] % int(unwrap(model).config.vocab_size)  # [1,T]
    length = torch.export.Dim("pieces", min=2, max=classifier.encoder.max_length)
    try:
        with silent():
            program = torch.onnx.export(
                OneText(model).eval(),
                tuple(ids * (name == INPUTS[0]) for name in names),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({1: length},) * len(names),
                input_names=names,
                output_names=list(OUTPUTS),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        why = first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
        raise InputError(Fault.of(f"{type(model).__name__} cannot be exported: {why}")) from None
    return program.model_proto  # type: ignore[union-attr]


def finished(proto: Any, classifier: Classifier, precision: str) -> Any:
    """Return a traced model that stops at its exits, with metadata on how to read texts."""
    import onnx

    done = onnx.ModelProto()
    done.CopyFrom(proto)
    with_exits(done.graph, len(OUTPUTS))
    onnx.helper.set_model_props(done, {KEY: json.dumps(metadata(classifier, precision))})
    return done


def export_graph(classifier: Classifier, path: Path) -> None:
    """Write a classifier as an ONNX file that reads one text, in float32; see `traced` for what it raises."""
    write(finished(traced(classifier), classifier, "float32"), path)


def write(proto: Any, path: Path) -> None:
    """Write an ONNX model; the file appears whole or not at all."""
    import onnx

    with whole(path) as new:
        onnx.save_model(proto, new)


def is_exported(path: Path) -> bool:
    """Return whether a file was written by `rationale export`."""
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        return False
    try:
        held = onnx.load(path, load_external_data=False).metadata_props
    except DecodeError:
        return False
    return any(entry.key == KEY for entry in held)


def metadata(classifier: Classifier, precision: str) -> dict[str, Any]:
    """Return what reading texts needs besides the graph: the tokenizer itself, labels, window length."""
    encoder, model = classifier.encoder, classifier.model
    tokenizer = json.loads(encoder.tokenizer.backend_tokenizer.to_str())
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    ids = [found for name in special if (found := getattr(encoder.tokenizer, name)) is not None]
    return {
        "version": VERSION,
        "precision": precision,
        "labels": list(classifier.labels),
        "head": classifier.head,
        "max_length": encoder.max_length,
        "long_texts": encoder.long_texts,
        "depth": depth_of(unwrap(model)),
        "adaptive": drops_tokens(model),
        "model": classifier.identity(),
        "tokenizer": tokenizer | {"truncation": None, "padding": None},
        "special": {"start": ids[0], "pad": encoder.pad_id},
    }


def _check(classifier: Classifier) -> None:
    """Refuse, before anything is traced, what cannot become one file."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError(Fault.of(f"exporting needs onnx and onnxscript: {EXTRA}")) from None
    if classifier.device.type != "cpu" or classifier.bf16:
        raise InputError(Fault("a model on the CPU in float32", classifier.where()))
    size = sum(p.numel() * p.element_size() for p in classifier.model.parameters())
    if size > ROOM:
        raise InputError(Fault("weights below 2 GB, all that one ONNX file holds", f"{size:,} bytes"))
