"""A classifier run padded, for training: every token goes through every layer, some weighing less as keys.

Hugging Face's own forward pass runs; the weight of tokens as keys is changed inside the layers, at the
softmax of their attention. That serves every family, as every family has that softmax.

Axes: B sequence, T token, H head, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from rationale.models.packed.head import answer
from rationale.models.packed.layers import Step, anatomy_of, attention, inputs_of, standing_in

SOFTMAXES = (torch.softmax, nn.functional.softmax, Tensor.softmax)
Weigh = Callable[[Tensor], Tensor]  # logits of attention [B,H,T,T] → weights


class Weighing(TorchFunctionMode):
    """Inside, a softmax over `tokens` keys is done by `weigh`."""

    def __init__(self, tokens: int, weigh: Weigh) -> None:
        super().__init__()
        self.tokens, self.weigh = tokens, weigh

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace the softmax of attention and nothing else."""
        given = kwargs or {}
        if func not in SOFTMAXES or args[0].shape[1:][-2:] != (self.tokens, self.tokens):  # [B,H,T,T]
            return func(*args, **given)
        logits: Tensor = args[0]  # [B,H,T,T]
        return self.weigh(logits.float()).to(given.get("dtype") or logits.dtype)  # [B,H,T,T]


def weighed(run: Callable[[Tensor], Tensor], states: Tensor, weigh: Weigh) -> Tensor:
    """Return what a layer makes of states [B,T,D] where its attention's weights are those of `weigh`."""
    with Weighing(states.shape[1], weigh):
        return run(states)  # [B,T,D]


def run_padded(model: PreTrainedModel, ids: Tensor, types: Tensor | None, real: Tensor, step: Step) -> Tensor:
    """Return logits [B,C] of right-padded ids [B,T], `step` standing in for each layer."""
    with attention(model, "eager"), standing_in(anatomy_of(model).calls, step):
        logits: Tensor = model(input_ids=ids, **inputs_of(model, types, real)).logits  # [B,C]
    return logits


def anchors(model: PreTrainedModel, real: Tensor) -> Tensor:
    """Return True [B,T] at the token of each sequence that is never dropped, as the head reads it.

    Of right-padded sequences the first, [1,T] for all, or the last where the head reads that.
    """
    places = torch.arange(real.shape[1], device=real.device)[None]  # [1,T]
    last = anatomy_of(model).reads == "last"
    return places == (real.sum(1, keepdim=True) - 1 if last else 0)  # [B,T] or [1,T]


def softly_answered(model: PreTrainedModel, logits: Tensor, states: Tensor, worth: Tensor) -> Tensor:
    """Return logits [B,C]: a pass's own; where the head reads all, of states each worth so much [B,T]."""
    return answer(model, states, worth) if anatomy_of(model).reads == "all" else logits
