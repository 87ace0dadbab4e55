"""Which tokens' last states a classifier's head reads: found by gradient, not assumed.

Axes: B sequence, T token, D hidden width, C class.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from rationale.models.packed.entry import entering
from rationale.models.packed.known import as_held, known

Reads = Literal["first", "last", "all"]
PROBED = (7, 4)  # tokens of the texts that are tried


def reads_of(model: Any) -> Reads | None:
    """Return which tokens' last states the answer depends on, or None if that cannot be told."""
    return known(model, "reads", lambda: _reads(model))


def read_mask(reads: Reads, model: Any, ids: Tensor, real: Tensor) -> Tensor:
    """Return True [B,T] for the tokens that the head reads of a padded batch.

    The last token is the last one that is not the padding id of the configuration, as heads look for it.
    """
    if reads == "all":
        return real
    places = torch.arange(ids.shape[1], device=ids.device)  # [T]
    if reads == "first":
        at = real.long().argmax(1)  # [B]
    else:
        pad = _pad_id(model)
        at = (places * (real if pad is None else real & (ids != pad))).argmax(1)  # [B]
    return places[None] == at[:, None]  # [B,T]


def probe_ids(model: Any, tokens: int) -> Tensor:
    """Return the ids [1,T] of a text to try a model on, none of them padding."""
    size, pad = int(model.get_input_embeddings().weight.shape[0]), _pad_id(model)
    ids = [i for i in range(tokens + 1) if i != pad][:tokens]
    return torch.tensor([ids], device=model.get_input_embeddings().weight.device) % size  # [1,T]


def _pad_id(model: Any) -> int | None:
    config = model.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    found: int | None = getattr(text, "pad_token_id", None)
    return found


@torch.inference_mode(False)
@torch.enable_grad()
def _reads(model: Any) -> Reads | None:
    modes = {module: module.training for module in model.modules()}
    try:
        found = {_read(model.eval(), probe_ids(model, tokens)) for tokens in PROBED}
    except Exception:  # whatever a model of another kind says to such a text
        return None
    finally:
        for module, mode in modes.items():
            module.training = mode
    return found.pop() if len(found) == 1 else None


def _read(model: Any, ids: Tensor) -> Reads | None:
    """Return where the gradient of the answer at the last states is not 0."""
    seen: list[Any] = []
    handle = model.base_model.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    try:
        with as_held(model), entering(model):
            found = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
    finally:
        handle.remove()
    # Some models give out copies of the states, others pool inside: whichever lies on the way to the answer
    states = [t for t in (found.hidden_states or ())[-1:] + tuple(seen) if t.shape[:2] == ids.shape]
    # A plain sum of the logits may be constant
    classes = torch.arange(1, found.logits.shape[-1] + 1, device=ids.device)  # [C]
    answer = (found.logits.float() * classes).sum()  # a number
    gradients = torch.autograd.grad(answer, states, allow_unused=True)  # [1,T,D] each
    places = sum(g[0].abs().sum(-1) > 0 for g in gradients if g is not None)  # [T]
    if not isinstance(places, Tensor):
        return None
    read = places.nonzero()[:, 0].tolist()
    names: dict[tuple[int, ...], Reads] = {(0,): "first", (ids.shape[1] - 1,): "last"}
    return "all" if len(read) == ids.shape[1] else names.get(tuple(read))
