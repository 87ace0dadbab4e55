"""Does an exported graph do what the model does? Both read the same windows, one at a time.

Axes: N window, T piece of it, L layer, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eraser import Fault, InputError
from eraser.types import Floats
from rationale.export.graph import EXTRA
from rationale.hf.classifier import Classifier
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import has_dial
from rationale.models.packed.layers import depth_of
from rationale.onnx.session import INPUTS, OUTPUTS, session_of
from rationale.text.windows import Window

TOLERANCE = 1e-4  # of logits: float32 sums in another order may differ by this much
MAY_DIFFER = 0.01  # share of windows in which a score may lie so near its threshold that rounding decides


@dataclass(frozen=True)
class WindowReading:
    """The results for a window: logits [C], how many layers each piece went through [T]."""

    logits: Floats
    layers: NDArray[np.int64]


@dataclass(frozen=True)
class Parity:
    """How far apart two sets of readings of the same windows are."""

    n: int
    logits: float  # largest difference, among windows with the same pieces kept
    other_pieces: int  # number of windows in which different pieces were kept at some layer
    pieces: float  # share of pieces that reach the same layer

    def check(self) -> None:
        """Refuse a graph that does not match the model.

        Raises:
            InputError: it differs too much; the message says by how much.
        """
        if self.logits <= TOLERANCE and self.other_pieces <= MAY_DIFFER * self.n:
            return
        got = f"{self.logits:.2g} apart; other pieces kept in {self.other_pieces} of {self.n} windows"
        raise InputError(Fault(f"a graph with the model's logits to {TOLERANCE:g} and its kept pieces", got))


def parity(one: Sequence[WindowReading], other: Sequence[WindowReading]) -> Parity:
    """Return how far apart two sets of readings are."""
    same = [np.array_equal(a.layers, b.layers) for a, b in zip(one, other, strict=True)]
    apart = [float(np.abs(a.logits - b.logits).max()) for a, b in zip(one, other, strict=True)]
    reach = np.concatenate([a.layers == b.layers for a, b in zip(one, other, strict=True)])
    furthest = np.max([d for d, alike in zip(apart, same, strict=True) if alike], initial=0.0)  # NaN stays
    return Parity(len(same), float(furthest), same.count(False), float(reach.mean()))


@torch.inference_mode()
def read_by_model(classifier: Classifier, windows: Sequence[Window]) -> list[WindowReading]:
    """Return the model's own readings, one window per pass."""
    return [_by_model(classifier, window) for window in windows]


def _by_model(classifier: Classifier, window: Window) -> WindowReading:
    batch = classifier.encoder.collate([window])
    found = classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
    logits = found.logits[0].double().numpy()  # [C]
    if not has_dial(classifier.model):
        return WindowReading(logits, np.full(len(window), depth_of(unwrap(classifier.model))))
    return WindowReading(logits, torch.stack([layer.kept[0] for layer in found.trace]).sum(0).numpy())


def read_by_graph(proto: Any, windows: Sequence[Window]) -> list[WindowReading]:
    """Return an ONNX model's readings, one window per pass.

    Raises:
        InputError: onnxruntime is missing.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise InputError(Fault.of(f"an exported graph is checked by onnxruntime: {EXTRA}")) from None
    session = session_of(proto.SerializeToString(), torch.get_num_threads())
    takes = [given.name for given in session.get_inputs()]
    found: list[WindowReading] = []
    for window in windows:
        given = dict(zip(INPUTS, (window.ids[None], window.types[None]), strict=True))  # [1,T] each
        logits, layers = session.run(OUTPUTS[:2], {name: given[name] for name in takes})  # [1,C], [T]
        found.append(WindowReading(logits[0].astype(np.float64), layers))
    return found
