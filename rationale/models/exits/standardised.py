"""Modules that take standardised states, for heads and halting units that learn on a frozen encoder.

After the first layers [CLS] differs between texts by only a thousandth, so a module learns next to nothing
from such states. The mean and the deviation are kept beside the module, in float32: folded into its first
matrix they would ask more of the weights than bf16 or eight bits can hold.

Axes: N sequence, D hidden width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Standardised(nn.Module):
    """A module that is given (u − mean) / deviation [N,D] in the place of states u; at first u itself."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, module: nn.Module, width: int) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.zeros(width))  # [D]
        self.register_buffer("deviation", torch.ones(width))  # [D]

    def forward(self, read: Tensor, *others: Any) -> Any:
        """Return what the module says of states [N,D]."""
        return self.module((read.float() - self.mean) / self.deviation, *others)  # [N,D]

    @torch.no_grad()
    def adapt(self, mean: Tensor, deviation: Tensor) -> None:
        """Standardise by these [D]; a module that begins with a matrix says of u what it said before.

        Any other begins with its weights as they are.
        """
        matrix = first_matrix(self.module)
        if matrix is not None:
            matrix.bias.add_(matrix.weight @ mean)
            matrix.weight.mul_(deviation)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


def first_matrix(module: nn.Module) -> nn.Linear | None:
    """Return the linear map with a bias that a module begins with; None if it begins with anything else."""
    with_weights = (m for m in module.modules() if next(m.parameters(recurse=False), None) is not None)
    first = next(with_weights, None)
    return first if isinstance(first, nn.Linear) and first.bias is not None else None
