"""AdapLeR: an encoder that drops low-contribution tokens layer by layer (Modarressi et al., ACL 2022).

Before layer i a small predictor scores every surviving token; scores S are a softmax over survivors; a
token stays if S >= eta_i / n, n survivors. [CLS], the anchor, always stays (in a decoder the last token, in
which its head reads the text). Training fades tokens softly, steepness
`lam`; inference removes them. The rule is `soft_step` for training and `select_tokens` for inference.
Quirks of the released code that are kept (K) or corrected (C) are numbered in docs/adapler.md.

Axes: B sequence, T token, P packed token, H head, L layer, D hidden width, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.models.adaptive import AdaptiveForSequenceClassification, unwrap
from rationale.models.nested_config import NestedConfig
from rationale.models.packed.attention import PackedLayout, pad_to_multiple
from rationale.models.packed.encoder import check_lengths
from rationale.models.packed.layers import LayerCall, anatomy_of, depth_of, inputs_of, standing_in, width_of
from rationale.models.packed.soft import anchors, run_padded, softly_answered, weighed

ETA_MIN, ETA_MAX = 0.01, 1.0  # of thresholds in the published training
BETA = 0.1  # slope of the gentle part of the soft removal
TINY = 1e-15
FLOOR = -10000.0  # of an attention bias
FADED = 1e-6  # a mask below this is no longer updated


class ContributionPredictor(nn.Module):
    """D → 32 → GELU → 1: one number for each token."""

    def __init__(self, width: int, hidden: int = 32) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.scorer = nn.Linear(hidden, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Return raw scores [..., T] of states [..., T, D]."""
        raw: Tensor = self.scorer(gelu(self.dense(states))).squeeze(-1)  # [...,T,D] → [...,T,1] → [...,T]
        return raw


def normalise(weights: Tensor) -> Tensor:
    """Scale the last axis to sum to 1."""
    return weights / (weights.sum(-1, keepdim=True) + TINY)  # [...,T]


def with_anchor(weights: Tensor, anchor: Tensor, factor: Tensor | float) -> Tensor:
    """Return weights [B,T] with that of the anchor, [CLS] in most models, multiplied by a factor."""
    return torch.where(anchor, weights * factor, weights)  # [B,T]


def contribution(raw: Tensor, mask: Tensor, anchor: Tensor) -> Tensor:
    """Return scores S [B,T] over the remaining tokens; `mask` [B,T] in [0,1], the anchor counted as 1."""
    return normalise(raw.softmax(-1) * mask.masked_fill(anchor, 1.0))  # [B,T]


def soft_removal(scores: Tensor, delta: Tensor, lam: float) -> Tensor:
    """Return the attention bias g <= 0 of scores [B,T] at thresholds delta [B,1].

    Below delta a steep line, above it a gentle one that reaches 0 at score 1; they meet at delta.
    """
    steep = lam / (delta + 1e-30) * (scores - delta) - BETA / lam  # [B,T]
    gentle = (scores - 1) * (BETA / lam) / (1 - delta + 1e-7)  # [B,T]
    return torch.minimum(steep, gentle).clamp(max=0.0).clamp(min=FLOOR)  # [B,T]


def fade(mask: Tensor, edit: Tensor) -> Tensor:
    """Return the mask after an edit; tokens that have faded away stay as they are."""
    return torch.where(mask > FADED, mask * edit.exp(), mask)  # [B,T]


@dataclass(frozen=True)
class SoftStep:
    """What soft removal did before one layer."""

    scores: Tensor  # [B,T] S
    scores_theta: Tensor  # [B,T] S with the anchor's scaled by the forward factor
    delta: Tensor  # [B]
    edit: Tensor  # [B,T]
    mask: Tensor  # [B,T] after the edit
    bias: Tensor  # [B,T] accumulated attention bias on keys
    length: Tensor  # [B] 1 + sum of the mask
    anchor: Tensor  # [B,T] or [1,T] True at the token that is never edited


def soft_step(  # noqa: PLR0913 (what a layer receives, and its own)
    raw: Tensor,
    mask: Tensor,
    bias: Tensor,
    eta: Tensor,
    factor: Tensor | float,
    lam: float,
    anchor: Tensor,
) -> SoftStep:
    """Fade the tokens below the threshold; `mask` and `bias` are those the layer receives."""
    scores = contribution(raw, mask, anchor)  # [B,T]
    scaled = normalise(with_anchor(scores, anchor, factor))  # [B,T]
    delta = eta / (1 + mask.sum(-1))  # [B]
    edit = soft_removal(scaled, delta[:, None], lam) * mask  # [B,T]
    after = fade(mask, edit)  # [B,T]
    length = 1 + after.sum(-1)  # [B]
    return SoftStep(scores, scaled, delta, edit, after, (bias + edit).clamp(min=FLOOR), length, anchor)


def start_mask(real: Tensor, anchor: Tensor) -> Tensor:
    """Return the mask [B,T] before layer 0: 1 for real tokens but the anchor, which is never edited."""
    return (real & ~anchor).float()  # [B,T]


def start_bias(real: Tensor) -> Tensor:
    """Return the padding's attention bias [B,T]."""
    return (~real).float() * FLOOR  # [B,T]


class AdaplerConfig(NestedConfig):  # type: ignore[no-untyped-call]
    """The encoder's own configuration, and how tokens are dropped.

    `dial` scales the thresholds at inference: 0 keeps every token, 1 is as trained, above 1 is faster.
    `eta_max` is how far thresholds may be scaled for an aimed speed-up.
    """

    model_type = "adapler"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        predictor_width: int = 32,
        dial: float = 1.0,
        eta_max: float = ETA_MAX,
        **kwargs: Any,
    ) -> None:
        self.predictor_width = predictor_width
        self.dial = dial
        self.eta_max = eta_max
        super().__init__(encoder, **kwargs)


class AdaplerForSequenceClassification(AdaptiveForSequenceClassification):
    """A sequence classifier with a contribution predictor and a threshold before each layer.

    In eval mode `forward` really removes tokens, for batches of any size; `soft` fades them, for training.
    `eta` [L] are the thresholds, `theta` [L-1] scale [CLS] in the KL target; `first` [L-1] is the forward
    factor on [CLS], which the released code keeps at 1 (K1).
    """

    config_class = AdaplerConfig
    removes = True

    def __init__(self, config: AdaplerConfig) -> None:
        super().__init__(config)
        n_layers, width = depth_of(unwrap(self)), width_of(unwrap(self))
        self.contribution_predictors = nn.ModuleList(
            ContributionPredictor(width, config.predictor_width) for _ in range(n_layers)
        )
        self.eta = nn.Parameter(torch.full((n_layers,), 0.25))  # [L]
        self.theta = nn.Parameter(torch.ones(n_layers - 1))  # [L − 1]
        self.first = nn.Parameter(torch.ones(n_layers - 1))  # [L − 1]
        self.post_init()  # type: ignore[no-untyped-call]

    def token_selectors(self) -> Sequence[nn.Module]:
        """Return the contribution predictors."""
        return tuple(self.contribution_predictors)

    @property
    def thresholds(self) -> Tensor:
        """Return a copy of eta [L]."""
        return self.eta.detach().clone()  # [L]

    def set_thresholds(self, values: Tensor) -> None:
        """Set eta [L], within its limits."""
        self.eta.data.copy_(values.clamp(ETA_MIN, self.config.eta_max))  # [L]

    def log_entry(self) -> dict[str, Any]:
        """Return the thresholds."""
        return {"eta": [round(x, 4) for x in self.eta.tolist()]}

    def check_thresholds(self, path: str | Path) -> None:
        """Refuse thresholds outside (0, eta_max], which no training produces; `path` is the model's folder.

        Raises:
            InputError: a threshold, or eta_max itself, is out of range.
        """
        most = self.config.eta_max
        if type(most) not in (int, float) or not ETA_MAX <= most < torch.inf:
            raise InputError(Fault(f"eta_max of at least {ETA_MAX:g} in config.json", short_repr(most), path))
        if bad := [x for x in self.eta.tolist() if not 0 < x <= most]:
            raise InputError(Fault(f"thresholds eta in (0, {most:g}]", str(bad[0]), path))

    def factor(self, layer: int) -> Tensor | float:
        """Return the forward factor on [CLS] at a layer."""
        return self.first[layer - 1].clamp(min=1e-3) if layer else 1.0  # a number

    def select_tokens(self, layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, Tensor]:
        """Return (kept [P], S [P]) of packed states [P,D]: the hard rule, S >= dial · eta / n."""
        raw = pad_to_multiple(self.contribution_predictors[layer], states).float()  # [P]
        scores = rows.softmax(raw)  # [P]
        threshold = rows.shared(self.config.dial * self.eta[layer])  # [B]
        if layer:  # scaling the anchor by a factor f and normalising again divides all by 1 + (f - 1)·its S
            threshold = threshold * (1 + (self.factor(layer) - 1) * scores[rows.anchor])  # [B]
        kept = scores >= rows.of_each(threshold)  # [P]
        return kept.index_fill_(0, rows.anchor, True), scores  # [P], [P]

    def soft(self, ids: Tensor, types: Tensor, real: Tensor, lam: float) -> SoftOutput:
        """Classify right-padded texts with soft removal, for training.

        Args:
            ids: [B,T].
            types: token types [B,T].
            real: True for text [B,T].
            lam: steepness λ of removal.
        """
        dense = unwrap(self)
        check_lengths(dense, (ids.shape[1],))
        anchor = anchors(dense, real)  # [1,T], or [B,T] where the head reads the last token
        mask, bias = start_mask(real, anchor), start_bias(real)  # [B,T], [B,T]
        steps, hidden = list[SoftStep](), list[Tensor]()

        def fading(i: int, states: Tensor, run: LayerCall) -> Tensor:  # [B,T,D] → [B,T,D]
            nonlocal mask, bias
            raw = self.contribution_predictors[i](states).float()  # [B,T]
            step = soft_step(raw, mask, bias, self.eta[i], self.factor(i), lam, anchor)
            mask, bias = step.mask, step.bias  # [B,T], [B,T]
            steps.append(step)
            on_keys = step.bias[:, None, None]  # [B,1,1,T]
            left = weighed(run, states, lambda logits: (logits + on_keys).softmax(-1))  # [B,T,D]
            hidden.extend((states, left) if i == 0 else (left,))
            return left

        logits = run_padded(dense, ids, types, real, fading)  # [B,C]
        logits = softly_answered(dense, logits, hidden[-1], mask.masked_fill(anchor, 1.0))  # [B,C]
        return SoftOutput(logits, tuple(steps), tuple(hidden))


@dataclass(frozen=True)
class SoftOutput:
    """Logits [B,C], each layer's soft removal, and the states entering each layer and leaving the last."""

    logits: Tensor  # [B,C]
    steps: tuple[SoftStep, ...]  # of each layer [L]
    hidden: tuple[Tensor, ...]  # [B,T,D] each, L + 1


def saliency(model: PreTrainedModel, ids: Tensor, types: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    """Return ‖e ⊙ ∂logit_label/∂e‖₂ [B,T] on the states that enter the first layer; 0 for padding."""
    entering: list[Tensor] = []

    def begin(layer: int, states: Tensor, run: LayerCall) -> Tensor:
        if layer == 0:
            states = states.detach().requires_grad_()  # [B,T,D]
            entering.append(states)
        return run(states)

    with torch.enable_grad(), standing_in(anatomy_of(model).calls, begin):
        logits = model(input_ids=ids, **inputs_of(model, types, real)).logits  # [B,C]
        (gradient,) = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), entering[0])  # [B,T,D]
    size: Tensor = torch.linalg.vector_norm(entering[0].detach() * gradient, dim=-1)  # [B,T]
    return size * real  # [B,T]


AutoConfig.register("adapler", AdaplerConfig)
AutoModelForSequenceClassification.register(AdaplerConfig, AdaplerForSequenceClassification)
