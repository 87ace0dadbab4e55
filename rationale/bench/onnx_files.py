"""A classifier's ONNX files for a bench: the standard export and ours, each also in int8."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rationale.export.graph import export_graph
from rationale.export.quantize import quantize
from rationale.export.quiet import silent
from rationale.hf.classifier import Classifier
from rationale.onnx.described import OPSET
from rationale.text.encode import Batch
from rationale.text.windows import Window

LARGEST_BATCH = 4096


@dataclass(frozen=True)
class OnnxFiles:
    """A folder in which each file is written when it is first asked for."""

    folder: Path

    def dense(self, classifier: Classifier) -> Path:
        """Return the classifier's own pass on padded batches: ids, mask and types [b,T] → logits [b,C]."""
        path = self.folder / f"dense-{classifier.identity()}.onnx"
        if not path.exists():
            export_dense(classifier, path)
        return path

    def exported(self, classifier: Classifier) -> Path:
        """Return the file that `rationale export` writes for a classifier."""
        path = self.folder / f"exported-{classifier.identity()}.onnx"
        if not path.exists():
            with silent():
                export_graph(classifier, path)
        return path

    def int8(self, file: Path) -> Path:
        """Return a file with its matrices in int8 and activations quantised at run time."""
        path = file.with_suffix(".int8.onnx")
        if not path.exists():
            quantize(file, path, [])
        return path


class _Logits(nn.Module):
    """A model in the form the exporter needs: tensors by position → logits [b,C]."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits  # [b,C]
        return found


def export_dense(classifier: Classifier, path: Path) -> None:
    """Write a model's own pass with PyTorch's exporter, for batches of any size and length."""
    inputs = _example(classifier)
    names = tuple(inputs)
    axes = {
        0: torch.export.Dim("batch", max=LARGEST_BATCH),
        1: torch.export.Dim("pieces", min=2, max=classifier.encoder.max_length),
    }
    with silent():
        program: Any = torch.onnx.export(
            _Logits(classifier.model, names).eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=((axes,) * len(names),),
            input_names=names,
            output_names=["logits"],
            verbose=False,
        )
        program.save(path)


def _example(classifier: Classifier) -> dict[str, Tensor]:
    """Return a batch of two windows, of five and four pieces, under the model's input names [2,5]."""
    ids = torch.arange(5) % int(classifier.model.config.vocab_size)  # [T]
    whole = Window(*(ids.numpy() * (0 if zero else 1) for zero in (False, True, True, True)))
    batch: Batch = classifier.encoder.collate([whole, whole.at(slice(4))])
    return {"input_ids": batch.ids, **classifier.inputs(batch)}
