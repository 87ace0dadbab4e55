"""Infor-Coef: an encoder that samples which tokens go on (Tan 2023).

Before each layer a sampler gives every token but [CLS] two numbers (drop, keep). Training draws a mask by
Gumbel softmax, straight-through; a dropped token stays dropped and gets no attention. Inference keeps where
keep wins, without noise, and really removes the rest (the released code leaves the noise on and only masks).

Axes: B sequence, T token, P packed token, L layer, D hidden width, H head, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax
from transformers import AutoConfig, AutoModelForSequenceClassification

from rationale.models.adaptive import AdaptiveForSequenceClassification, unwrap
from rationale.models.nested_config import NestedConfig
from rationale.models.packed.attention import PackedLayout, pad_to_multiple
from rationale.models.packed.encoder import check_lengths
from rationale.models.packed.layers import LayerCall, depth_of, width_of
from rationale.models.packed.soft import anchors, run_padded, softly_answered, weighed

KEEPING = 5.0  # bias at the start: (−5, +5) keeps everything
TINY = 1e-12  # under a logarithm
EDGE = 1e-6  # from 0 and from 1: where the released code stops masks before it takes logarithms


class TokenSampler(nn.Module):
    """LayerNorm → D×D → LayerNorm → GELU → (drop, keep): two numbers for each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.dense = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.scorer = nn.Linear(width, 2)

    def forward(self, states: Tensor) -> Tensor:
        """Return z [..., T, 2] of states [..., T, D]."""
        hidden = nn.functional.gelu(self.after(self.dense(self.before(states))))  # [...,T,D]
        z: Tensor = self.scorer(hidden)  # [...,T,2]
        return z.float()

    def reset(self) -> None:
        """Initialise so that every token is kept."""
        nn.init.normal_(self.scorer.weight, std=0.02)
        with torch.no_grad():
            self.scorer.bias.copy_(torch.tensor([-KEEPING, KEEPING]))


def passing(logits: Tensor, passes: Tensor) -> Tensor:
    """Return attention weights [B,H,T,T] ∝ passes · exp(logit); `passes` [B,T] of keys has a gradient.

    A product, not a bias: the logarithm of 0 has no gradient.
    """
    keys = passes[:, None, None]  # [B,1,1,T]
    highest = logits.masked_fill(keys == 0, -torch.inf).amax(-1, keepdim=True)  # [B,H,T,1]
    weights = (logits - highest).clamp(max=0).exp() * keys  # [B,H,T,T]
    return weights / weights.sum(-1, keepdim=True)  # [B,H,T,T]


@dataclass(frozen=True)
class SampledLayer:
    """What sampling did before one layer: the states [B,T,D] that met it, own, s and the mask [B,T].

    `own` is the sampled probability to keep, 1 for the anchor ([CLS]); `s` is that times the mask before:
    what is dropped stays so.
    """

    states: Tensor  # [B,T,D]
    own: Tensor  # [B,T]
    s: Tensor  # [B,T]
    passes: Tensor  # [B,T] 0 or 1, with the gradient of s


@dataclass(frozen=True)
class SampledOutput:
    """Logits [B,C] and each layer's sampling."""

    logits: Tensor  # [B,C]
    layers: tuple[SampledLayer, ...]  # [L]


class InforCoefConfig(NestedConfig):  # type: ignore[no-untyped-call]
    """The model inside, and how easily tokens are dropped.

    `dial`: a token goes on where keep's odds exp(z_keep − z_drop) reach it: 0 keeps every token, 1 is as
    trained, above 1 is faster.
    """

    model_type = "inforcoef"

    def __init__(self, encoder: dict[str, Any] | None = None, dial: float = 1.0, **kwargs: Any) -> None:
        self.dial = dial
        super().__init__(encoder, **kwargs)


class InforCoefForSequenceClassification(AdaptiveForSequenceClassification):
    """A sequence classifier with a token sampler before each layer."""

    config_class = InforCoefConfig
    removes = True

    def __init__(self, config: InforCoefConfig) -> None:
        super().__init__(config)
        dense = unwrap(self)
        self.samplers = nn.ModuleList(TokenSampler(width_of(dense)) for _ in range(depth_of(dense)))
        self.post_init()  # type: ignore[no-untyped-call]
        for sampler in self.samplers:
            sampler.reset()  # type: ignore[operator]

    def token_selectors(self) -> Sequence[nn.Module]:
        """Return the samplers."""
        return tuple(self.samplers)

    @property
    def thresholds(self) -> Tensor:
        """Return the odds [L] that dropping has by bias; larger ones drop more."""
        return torch.stack([s.scorer.bias[0].detach() for s in self.samplers]).exp()  # type: ignore[union-attr, index]

    @torch.no_grad()
    def set_thresholds(self, values: Tensor) -> None:
        """Set the odds [L] that dropping has by bias."""
        for sampler, value in zip(self.samplers, values, strict=True):
            sampler.scorer.bias[0] = value.log()  # type: ignore[union-attr, operator]

    def select_tokens(self, layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, Tensor]:
        """Return (kept [P], probability to keep [P]) of packed states [P,D]: keep where it wins."""
        z = pad_to_multiple(self.samplers[layer], states)  # [P,2]
        odds = z[:, 1] - z[:, 0]  # [P]
        dial = torch.tensor(float(self.config.dial), device=odds.device)
        kept = odds >= dial.log()  # [P]; ln 0 = −inf: every token
        kept[rows.anchor] = True
        return kept, odds.sigmoid()  # [P], [P]

    def soft(self, ids: Tensor, types: Tensor, real: Tensor) -> SampledOutput:
        """Classify right-padded [B,T] with sampled masks; torch's generator draws them."""
        dense = unwrap(self)
        check_lengths(dense, (ids.shape[1],))
        anchor = anchors(dense, real).float()  # [1,T], or [B,T] where the head reads the last token
        passes, left = real.float(), ids  # [B,T]; `left` becomes states [B,T,D]
        found: list[SampledLayer] = []

        def sampled(i: int, states: Tensor, run: LayerCall) -> Tensor:
            nonlocal passes, left
            drop_or_keep = gumbel_softmax(self.samplers[i](states), tau=1.0)  # [B,T,2]
            own = torch.maximum(drop_or_keep[..., 1], anchor)  # [B,T]
            s = torch.maximum(own * passes.detach(), anchor)  # [B,T]
            drawn = (s > 0.5).float()  # noqa: PLR2004 ([B,T]: the larger of two that sum to 1)
            passes = passes * (drawn - s.detach() + s)  # [B,T]
            found.append(SampledLayer(states, own, s, passes))
            left = weighed(run, states, partial(passing, passes=passes))  # [B,T,D]
            return left

        logits = run_padded(dense, ids, types, real, sampled)  # [B,C]
        return SampledOutput(softly_answered(dense, logits, left, passes), tuple(found))


# The information bottleneck: how much passes through, and how undecided the masks are


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
    entropy = torch.stack([_mean(x_log_x(step.s) + x_log_x(1 - step.s), real) for step in layers])  # [L]
    return size.mean(), entropy.mean()


def bottleneck_as_released(layers: Sequence[SampledLayer], real: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, E) as the released code computes them, mistakes included.

    s is the product of all layers' own up to here, whatever was dropped. N: one Frobenius norm over the whole
    batch tensor per layer, padding too; E: the logarithm of 1 − s is that of the batch's first item, for
    every item.
    """
    soft = torch.stack([step.own for step in layers]).cumprod(0)  # [L,B,T]
    size = torch.stack(
        [
            torch.linalg.vector_norm(s[..., None] * step.states.float())
            for s, step in zip(soft, layers, strict=True)
        ]
    )
    kept = soft.clamp(EDGE, 1 - EDGE)  # [L,B,T]
    entropy = torch.stack([(s * s.log() + (1 - s) * (1 - s[:1]).log()).mean() for s in kept])  # [L]
    return size.mean(), entropy.mean()


def share_kept(layers: Sequence[SampledLayer], real: Tensor) -> Tensor:
    """Return the mean over layers of the share of real tokens that pass.

    The released code adds such a term to its loss; the paper does not have it. There padding counts.
    """
    return torch.stack([step.passes.sum() / real.sum() for step in layers]).mean()  # a number


def _mean(values: Tensor, real: Tensor) -> Tensor:
    return (values * real).sum() / real.sum()  # a number


Bottleneck = Callable[[Sequence[SampledLayer], Tensor], tuple[Tensor, Tensor]]
BOTTLENECKS: dict[str, Bottleneck] = {"corrected": bottleneck, "as_released": bottleneck_as_released}


AutoConfig.register("inforcoef", InforCoefConfig)
AutoModelForSequenceClassification.register(InforCoefConfig, InforCoefForSequenceClassification)
