"""What a test may leave behind for those after it: in a model that tests share, and in PyTorch itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

OURS = ("rationale", "captum", "tests")  # whose hooks must be off again; Hugging Face leaves some of its own


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return weights, copied, and all else of a model that changes what it answers or passes back."""
    found: dict[str, Any] = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    found |= {f"{n}: learns": p.requires_grad for n, p in model.named_parameters()}
    found |= {f"{n}: gradient": p.grad is not None for n, p in model.named_parameters()}
    found |= {f"{n}: trains": m.training for n, m in model.named_modules()}
    found |= {f"{n}: hooks": _hooks(m) for n, m in model.named_modules()}
    return found


def settings() -> dict[str, Any]:
    """Return what PyTorch keeps for the whole process."""
    return {
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "oneDNN": torch.backends.mkldnn.enabled,
        "init.normal_": nn.init.normal_,  # Hugging Face puts its own there while it loads
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of what is not as it was."""
    return [name for name in before | after if not _same(before.get(name), after.get(name))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return bool(one == other)


def _hooks(module: nn.Module) -> list[str]:
    hooks = (
        *module._forward_hooks.values(),
        *module._forward_pre_hooks.values(),
        *module._backward_hooks.values(),
        *module._backward_pre_hooks.values(),
    )
    named = (str(getattr(h, "__module__", type(h).__module__)) for h in hooks)
    return [name for name in named if name.startswith(OURS)]
