"""What a classifier's head reads of the last states: found by gradient, not assumed.

Axes: B sequence, T token, D hidden width.
"""

from __future__ import annotations

from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

Reads = Literal["first", "last", "all"]
PROBED = (7, 4)  # tokens of the texts that are tried
_KNOWN: WeakKeyDictionary[PreTrainedModel, Reads | None] = WeakKeyDictionary()


def reads_of(model: PreTrainedModel) -> Reads | None:
    """Return which tokens' last states the answer depends on; None where it is none of these."""
    if model not in _KNOWN:
        found = {_read(model, tokens) for tokens in PROBED}
        _KNOWN[model] = found.pop() if len(found) == 1 else None
    return _KNOWN[model]


@torch.inference_mode(False)
@torch.enable_grad()
def _read(model: PreTrainedModel, tokens: int) -> Reads | None:
    size, pad = int(model.config.vocab_size), getattr(model.config, "pad_token_id", None)
    ids = torch.tensor([[i for i in range(tokens + 1) if i != pad][:tokens]], device=model.device) % size
    table = model.get_input_embeddings()
    training = model.training

    def watch(module: torch.nn.Module, args: object, out: Tensor) -> Tensor:
        return out if out.requires_grad else out.detach().requires_grad_()

    model.eval()  # type: ignore[no-untyped-call]
    handle = table.register_forward_hook(watch)
    try:
        found = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
        states = found.hidden_states[-1]
        (gradient,) = torch.autograd.grad(found.logits.sum(), states, allow_unused=True)
    finally:
        handle.remove()
        model.train(training)
    if gradient is None or gradient.shape[1] != tokens:
        return None
    read = gradient[0].abs().sum(-1) > 0
    if bool(read.all()):
        return "all"
    if int(read.sum()) != 1:
        return None
    return "first" if bool(read[0]) else "last" if bool(read[-1]) else None
