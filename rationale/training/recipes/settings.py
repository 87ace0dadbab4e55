"""How early exits, token samplers and pruning are trained; what is ours is off by default. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from rationale.training.settings import AdaptiveSettings, Rule, StepSettings

ExitRule = Literal["published", "tight"]  # the rules of rationale.models.dact
Bottleneck = Literal["corrected", "as_released"]  # the forms of rationale.models.inforcoef_losses
EXIT_RULES: tuple[str, ...] = get_args(ExitRule)
BOTTLENECKS: tuple[str, ...] = get_args(Bottleneck)


@dataclass(frozen=True)
class DactSettings(AdaptiveSettings):
    """How DACT-BERT is trained: `tau` weighs the ponder cost Σ p_n, published between 1e-3 and 5e-2.

    `heads` (ours) weighs the mean task loss of the layers' own answers: without it heads whose answers weigh
    little in a_N learn little.
    """

    tau: float = 5e-3
    heads: float = 0.0
    halting_lr: float = 1e-3  # of heads and halting units, which start from nothing or nearly
    exit_rule: ExitRule = "published"
    shared_head: bool = False

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.halting_lr)

    def rules(self) -> list[Rule]:
        """Return what must hold."""
        return [
            *super().rules(),
            (0 <= self.tau < float("inf"), "tau of at least 0", self.tau),
            (0 <= self.heads < float("inf"), "heads of at least 0", self.heads),
            (
                self.exit_rule in EXIT_RULES,
                f"an exit rule of {', '.join(EXIT_RULES)}",
                self.exit_rule,
            ),
            (self.hard_epochs == 0, "hard_epochs 0 for DACT, which has one stage", self.hard_epochs),
        ]


@dataclass(frozen=True)
class InforCoefSettings(AdaptiveSettings):
    """How Infor-Coef's samplers are trained; `norm` and `entropy` weigh the bottleneck.

    The norm counts from the second epoch on. `bottleneck` names the form of both terms. `share` weighs the
    share of tokens that are kept, which the released code's loss has beside what the paper gives.
    """

    step: StepSettings = field(default_factory=lambda: StepSettings(lr=2e-5))
    norm: float = 4e-4
    entropy: float = 4e-4
    share: float = 0.0
    bottleneck: Bottleneck = "corrected"
    sampler_lr: float | None = None  # None: lr, as published

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.step.lr if self.sampler_lr is None else self.sampler_lr)

    def rules(self) -> list[Rule]:
        """Return what must hold."""
        weights = (self.norm, self.entropy, self.share)
        return [
            *super().rules(),
            (all(0 <= w < float("inf") for w in weights), "norm, entropy and share of at least 0", weights),
            (self.speedup is None or self.hard_epochs > 0, "hard_epochs with speedup", self.hard_epochs),
            (
                self.bottleneck in BOTTLENECKS,
                f"a bottleneck of {', '.join(BOTTLENECKS)}",
                self.bottleneck,
            ),
        ]


@dataclass(frozen=True)
class PruneSettings(AdaptiveSettings):
    """How a model is cut: `epochs` with gates, then `hard_epochs` of what is left.

    `sparsity` is the share of the prunable parameters that goes; it rises over `sparsity_warmup` of the
    gates' epochs. `layers` is the share of the loss that imitates the dense model's states.
    """

    epochs: int = 4
    hard_epochs: int = 2
    step: StepSettings = field(default_factory=lambda: StepSettings(distill=1.0))
    sparsity: float = 0.8
    sparsity_warmup: float = 0.5
    gate_lr: float = 0.1
    multiplier_lr: float = 0.1
    layers: float = 0.9

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.gate_lr, self.multiplier_lr)

    def rules(self) -> list[Rule]:
        """Return what must hold."""
        return [
            *super().rules(),
            (min(self.stages()) >= 1, "at least 1 epoch of each stage", self.stages()),
            (0 < self.sparsity < 1, "sparsity in (0, 1)", self.sparsity),
            (0 <= self.sparsity_warmup <= 1, "sparsity_warmup in [0, 1]", self.sparsity_warmup),
            (0 <= self.layers <= 1, "layers in [0, 1]", self.layers),
            (self.speedup is None, "no speedup: sparsity decides", self.speedup),
        ]
