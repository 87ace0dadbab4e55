"""WAYS to run a classifier: common runtimes for its dense model, and our own.

A way is one function `(classifier, files) → runner` and one line of WAYS. Each gets the same windows;
preparing them is not timed.

Axes: b window of a batch, T piece, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.bench.onnx_files import OnnxFiles
from rationale.hf.classifier import Classifier, cast_once
from rationale.models.capabilities import has_dial
from rationale.models.packed.encoder import keep_all, run_packed
from rationale.onnx.session import UNFUSED, session_of
from rationale.process.extras import installs
from rationale.settings import names_in
from rationale.text.encode import Batch
from rationale.text.windows import Window

Logits = NDArray[np.float32]
YARDSTICK = "hf"  # what every other way is compared with
NEEDED = installs("bench")


@dataclass(frozen=True)
class Runner:
    """How windows are prepared (not timed), and how prepared windows become logits [b,C] (timed)."""

    prepare: Callable[[Sequence[Window]], Any]
    run: Callable[[Any], Logits]


@dataclass(frozen=True)
class Way:
    """A way to run a classifier: its title, how it is made, whether it is ours, what it needs.

    `tuned`: a runtime of others with the settings that ours has, not those it comes with.
    """

    title: str
    make: Callable[[Classifier, OnnxFiles], Runner]
    ours: bool = False
    tuned: bool = False
    needs: tuple[str, ...] = ()  # libraries that the package does not itself depend on

    def check(self) -> None:
        """Refuse a way whose libraries are not installed."""
        if missing := [name for name in self.needs if find_spec(name) is None]:
            raise InputError(Fault.of(f"{missing[0]} is not installed: {NEEDED}"))


def hugging_face(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run Hugging Face's own forward pass on padded batches."""
    return _torch(classifier, partial(_whole, classifier, classifier.model))


def hugging_face_bf16(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run the same with weights and activations in bf16, as `dtype=torch.bfloat16` loads it."""
    _check_bf16()
    return _torch(classifier, partial(_whole, classifier, deepcopy(classifier.model).bfloat16()))


def compiled(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run the forward pass compiled by `torch.compile` for all lengths."""
    return _torch(classifier, partial(_whole, classifier, torch.compile(classifier.model, dynamic=True)))


def packed(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run our packed forward pass, which drops tokens where the model does."""
    model = classifier.model
    if has_dial(model):
        return _torch(classifier, partial(_whole, classifier, model))

    def run(batch: Batch) -> Any:
        return run_packed(model, batch.ids, batch.types, batch.real, keep_all)

    return _torch(classifier, run)


def packed_bf16(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run the same with matrix products in bf16."""
    _check_bf16()
    return packed(
        cast_once(replace(classifier, model=deepcopy(classifier.model), bf16=True, passes=None)), files
    )


def onnx(classifier: Classifier, files: OnnxFiles, without: Sequence[str] = ()) -> Runner:
    """Run the dense model's file in ONNX Runtime, with none of its optimisers named in `without`."""
    return _onnx_batches(classifier, files.dense(classifier), without)


def onnx_int8(classifier: Classifier, files: OnnxFiles, without: Sequence[str] = ()) -> Runner:
    """Run the dense model's file, its matrices quantised by `quantize_dynamic`, in ONNX Runtime."""
    return _onnx_batches(classifier, files.int8(files.dense(classifier)), without)


def openvino(classifier: Classifier, files: OnnxFiles, precision: str = "f32") -> Runner:
    """Run the dense model's file in OpenVINO."""
    from openvino import Core

    core = Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError(Fault.of("this processor has no bf16 for OpenVINO"))
    how = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(str(files.dense(classifier)), "CPU", how).create_infer_request()

    def run(inputs: dict[str, Any]) -> Logits:
        found: Logits = request.infer(inputs, share_inputs=True)[0]
        return found.copy()  # the next call writes over it

    return Runner(partial(_padded, classifier), run)


def exported(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run the file that `rationale export` writes, one text per call, in ONNX Runtime."""
    return _onnx_texts(files.exported(classifier))


def exported_int8(classifier: Classifier, files: OnnxFiles) -> Runner:
    """Run that file with its matrices quantised."""
    return _onnx_texts(files.int8(files.exported(classifier)))


ONNX, OPENVINO = ("onnx", "onnxscript", "onnxruntime"), ("onnx", "onnxscript", "openvino")
WAYS: dict[str, Way] = {
    YARDSTICK: Way("Hugging Face, float32", hugging_face),
    "hf-bf16": Way("Hugging Face, bf16", hugging_face_bf16),
    "compile": Way("torch.compile, float32", compiled),
    "onnx": Way("ONNX Runtime, float32", onnx, needs=ONNX),
    "onnx-int8": Way("ONNX Runtime, int8", onnx_int8, needs=ONNX),
    "onnx-tuned": Way("ONNX Runtime, float32, tuned", partial(onnx, without=UNFUSED), tuned=True, needs=ONNX),
    "onnx-int8-tuned": Way(
        "ONNX Runtime, int8, tuned", partial(onnx_int8, without=UNFUSED), tuned=True, needs=ONNX
    ),
    "openvino": Way("OpenVINO, float32", openvino, needs=OPENVINO),
    "openvino-bf16": Way("OpenVINO, bf16", partial(openvino, precision="bf16"), needs=OPENVINO),
    "packed": Way("packed, float32", packed, ours=True),
    "packed-bf16": Way("packed, bf16", packed_bf16, ours=True),
    "exported": Way("exported, float32", exported, ours=True, needs=ONNX),
    "exported-int8": Way("exported, int8", exported_int8, ours=True, needs=ONNX),
}


def ways_named(names: str) -> tuple[str, ...]:
    """Return the ways in a list such as `onnx-int8,exported`, or in `all` or `none`, in the order of WAYS.

    Raises:
        InputError: there is no such way.
    """
    if names in ("all", "none"):
        return tuple(WAYS) if names == "all" else ()
    asked = names_in(names)
    if unknown := [name for name in asked if name not in WAYS]:
        raise InputError(*(Fault(f"all, none or ways of {', '.join(WAYS)}", repr(n)) for n in unknown))
    return tuple(name for name in WAYS if name in asked)


def _check_bf16() -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise InputError(Fault.of("this processor has no bf16 for torch"))


def _torch(classifier: Classifier, forward: Callable[[Batch], Any]) -> Runner:
    """Return a runner of batches without gradients, in the classifier's precision."""

    def run(batch: Batch) -> Logits:
        with torch.inference_mode(), classifier.autocast():
            found: Logits = forward(batch).logits.float().numpy()  # [b,C]
        return found

    return Runner(classifier.encoder.collate, run)


def _whole(classifier: Classifier, model: PreTrainedModel | Callable[..., Any], batch: Batch) -> Any:
    return model(input_ids=batch.ids, **classifier.inputs(batch))


def _onnx_batches(classifier: Classifier, file: Path, without: Sequence[str]) -> Runner:
    session = session_of(file, torch.get_num_threads(), without)
    return Runner(partial(_padded, classifier), lambda inputs: session.run(["logits"], inputs)[0])


def _padded(classifier: Classifier, windows: Sequence[Window]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of the dense model's file by name, each [b,T]."""
    batch = classifier.encoder.collate(windows)
    inputs = {"input_ids": batch.ids, **classifier.inputs(batch)}
    return {name: found.numpy() for name, found in inputs.items()}


def _onnx_texts(file: Path) -> Runner:
    session = session_of(file, torch.get_num_threads())
    names = [found.name for found in session.get_inputs()]

    def prepare(windows: Sequence[Window]) -> list[dict[str, NDArray[np.int64]]]:
        given = [{"input_ids": w.ids[None], "token_type_ids": w.types[None]} for w in windows]  # [1,T]
        return [{name: of_text[name] for name in names} for of_text in given]

    def run(texts: list[dict[str, NDArray[np.int64]]]) -> Logits:
        found: Logits = np.concatenate([session.run(["logits"], text)[0] for text in texts])  # [b,C]
        return found

    return Runner(prepare, run)
