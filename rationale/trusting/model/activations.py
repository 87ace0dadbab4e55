"""What a model's layers hold of a text: the states between layers, over its pieces, with nothing removed.

Axes: B window, T piece, N text, L layer, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eraser import Fault, InputError
from eraser.types import Floats
from rationale.attribution.fit import shown_whole
from rationale.inference.predict import batches
from rationale.text.windows import Window
from rationale.text_classifier import TextClassifier

NO_STATES = "the model returns no hidden states, of one width, for its pieces"
Reduce = Callable[[Tensor, Tensor], Tensor]  # states [B,T,D] of a layer, real [B,T] → [B,D]


def largest(states: Tensor, real: Tensor) -> Tensor:
    """Return the maximum over pieces [B,D]."""
    return states.masked_fill(~real[..., None], -torch.inf).amax(1)


def average(states: Tensor, real: Tensor) -> Tensor:
    """Return the mean over pieces [B,D]."""
    return states.masked_fill(~real[..., None], 0.0).sum(1) / real.sum(1, keepdim=True)


@torch.inference_mode()
def states_of(classifier: TextClassifier, texts: Sequence[Sequence[Window]], reduce: Reduce) -> Floats:
    """Return the states [N,L,D] of texts that enter each layer and leave the last.

    Of a text in several windows the largest of the windows' where `reduce` is `largest`, else their mean.

    Raises:
        InputError: the model returns no hidden states.
    """
    asked: Any = shown_whole(classifier)
    flat = [w for windows in texts for w in windows]
    found: list[Floats] = [np.empty(0)] * len(flat)
    for rows, batch in batches(asked, flat):
        with asked.autocast():
            hidden = _hidden(asked, batch.ids, asked.inputs(batch))
        layers = torch.stack([reduce(h.float(), batch.real) for h in hidden], dim=1)  # [B,L,D]
        for row, of_window in zip(rows, layers.double().cpu().numpy(), strict=True):
            found[row] = of_window
    owners = np.cumsum([0, *map(len, texts)])
    join = np.max if reduce is largest else np.mean
    return np.stack([join(found[a:b], axis=0) for a, b in zip(owners, owners[1:], strict=False)])


def _hidden(classifier: Any, ids: Tensor, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return the states of a batch [B,T,D] around each layer."""
    output = classifier.model(input_ids=ids, **inputs, output_hidden_states=True)
    hidden = getattr(output, "hidden_states", None) or ()
    if not hidden or any(h.shape != (*ids.shape, hidden[0].shape[-1]) for h in hidden):
        raise InputError(Fault.of(NO_STATES))
    return tuple(hidden)


def no_states(classifier: TextClassifier, text: Sequence[Window]) -> str | None:
    """Return why a classifier's states cannot be read; None where those of a text can."""
    if classifier.opaque:
        return "a function of texts has no layers to look into"
    try:
        states_of(classifier, [text], average)
    except InputError as error:
        return str(error)
    return None
