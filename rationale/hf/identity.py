"""What a model computes, as a hash: equal hashes give the same numbers."""

from __future__ import annotations

import hashlib

import torch
from transformers import PreTrainedModel


def fingerprint(model: PreTrainedModel, read_as: str = "") -> str:
    """Return a hash of a model's configuration and every weight, and of how its logits are read."""
    config = model.config.to_dict()
    config.pop("_name_or_path", None)
    hash = hashlib.sha256(repr(sorted(config.items(), key=lambda kv: kv[0])).encode())
    for name, weight in sorted(model.state_dict().items()):
        hash.update(name.encode())
        hash.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    hash.update(read_as.encode())
    return hash.hexdigest()
