"""What a model computes, as a hash: equal hashes give the same numbers."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from transformers import PreTrainedModel


def _lasting(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration, and those inside it, without their places and the library's version."""
    of_now = ("_name_or_path", "transformers_version")
    inner = {k: _lasting(v) if isinstance(v, dict) else v for k, v in config.items()}
    return {k: v for k, v in inner.items() if k not in of_now}


def fingerprint(model: PreTrainedModel, read_as: str = "") -> str:
    """Return a hash of a model's configuration and every weight, and of how its logits are read."""
    config = _lasting(model.config.to_dict())
    hash = hashlib.sha256(repr(sorted(config.items(), key=lambda kv: kv[0])).encode())
    for name, weight in sorted(model.state_dict().items()):
        hash.update(name.encode())
        hash.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    hash.update(read_as.encode())
    return hash.hexdigest()
