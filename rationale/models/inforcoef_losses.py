"""Infor-Coef's information bottleneck: how much passes through, and how undecided the masks are.

Axes: B sequence, T token, L layer, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rationale.models.inforcoef import SampledLayer

TINY = 1e-12  # under a logarithm
EDGE = 1e-6  # from 0 and from 1: where the released code stops masks before it takes logarithms


def x_log_x(x: Tensor) -> Tensor:
    """Return x ln x, 0 at 0."""
    return x * x.clamp(min=TINY).log()


def bottleneck(layers: Sequence[SampledLayer], real: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, E), each token with its own s: means over layers and real tokens.

    N of ‖s h‖² / D, the size of what passes; E of s ln s + (1 − s) ln(1 − s), negative entropy.
    """
    size = torch.stack(
        [_mean((step.s[..., None] * step.states.float()).square().mean(-1), real) for step in layers]
    )
    entropy = torch.stack([_mean(x_log_x(step.s) + x_log_x(1 - step.s), real) for step in layers])
    return size.mean(), entropy.mean()


def bottleneck_as_released(layers: Sequence[SampledLayer], real: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, E) as the released code computes them, mistakes included.

    s is the product of all layers' own up to here, whatever was dropped. N: one Frobenius norm over the whole
    batch tensor per layer, padding too; E: the logarithm of 1 − s is that of the batch's first item, for
    every item.
    """
    soft = torch.stack([step.own for step in layers]).cumprod(0)
    size = torch.stack(
        [
            torch.linalg.vector_norm(s[..., None] * step.states.float())
            for s, step in zip(soft, layers, strict=True)
        ]
    )
    kept = soft.clamp(EDGE, 1 - EDGE)
    entropy = torch.stack([(s * s.log() + (1 - s) * (1 - s[:1]).log()).mean() for s in kept])
    return size.mean(), entropy.mean()


def share_kept(layers: Sequence[SampledLayer], real: Tensor) -> Tensor:
    """Return the mean over layers of the share of real tokens that pass.

    The released code adds such a term to its loss; the paper does not have it. There padding counts.
    """
    return torch.stack([step.passes.sum() / real.sum() for step in layers]).mean()


def _mean(values: Tensor, real: Tensor) -> Tensor:
    return (values * real).sum() / real.sum()


Bottleneck = Callable[[Sequence[SampledLayer], Tensor], tuple[Tensor, Tensor]]
BOTTLENECKS: dict[str, Bottleneck] = {"corrected": bottleneck, "as_released": bottleneck_as_released}
