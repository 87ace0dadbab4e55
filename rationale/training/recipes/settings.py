"""How early exits, token samplers and pruning are trained; our additions are off by default. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from rationale.settings import setting
from rationale.training.settings import AdaptiveSettings, Rule, StepSettings

ExitRule = Literal["published", "tight"]  # those of rationale.models.exits that change no class
Bottleneck = Literal["corrected", "as_released"]  # the forms of rationale.models.inforcoef
EXIT_RULES: tuple[str, ...] = get_args(ExitRule)
BOTTLENECKS: tuple[str, ...] = get_args(Bottleneck)


@dataclass(frozen=True)
class DactSettings(AdaptiveSettings):
    """How DACT-BERT is trained: `tau` weighs the ponder cost Σ p_n, published between 1e-3 and 5e-2.

    `heads` (ours) weighs the mean task loss of the layers' own answers: without it heads whose answers weigh
    little in a_N learn little.
    """

    tau: float = setting(
        5e-3, "Weight of the cost of later layers (ponder cost); a larger one stops texts earlier."
    )
    heads: float = setting(0.0, "Weight of the layers' own task losses (our addition).")
    halting_lr: float = setting(1e-3, "Learning rate of the classification heads and halting units.")
    exit_rule: ExitRule = setting("published", "Rule that stops a text; neither changes its predicted class.")
    shared_head: bool = setting(False, "Share one classification head among all layers.")

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.halting_lr)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        return [
            *super().rules(),
            (0 <= self.tau < float("inf"), "--tau of at least 0", self.tau),
            (0 <= self.heads < float("inf"), "--heads of at least 0", self.heads),
            (
                self.exit_rule in EXIT_RULES,
                f"an exit rule of {', '.join(EXIT_RULES)}",
                self.exit_rule,
            ),
            (self.hard_epochs == 0, "hard_epochs 0 for DACT, which has one stage", self.hard_epochs),
        ]


@dataclass(frozen=True)
class ExitsSettings(AdaptiveSettings):
    """How heads for early exits are trained: on a frozen encoder, with it, and then halting units alone.

    In the first two stages all layers' answers count alike; `tau` weighs the ponder cost Σ p_n of the third.
    """

    head_epochs: int = setting(4, "Epochs in which only heads learn, from stored states; 0 for none.")
    epochs: int = setting(0, "Epochs in which the encoder learns with the heads; 0 for none.")
    halting_epochs: int = setting(4, "Epochs in which only halting units learn, from stored states.")
    tau: float = setting(
        2e-2, "Weight of the cost of later layers (ponder cost); a larger one stops texts earlier."
    )
    head_lr: float = setting(1e-3, "Learning rate of the heads in their own stage.")
    halting_lr: float = setting(3e-3, "Learning rate of the halting units.")
    halting_decay: float = setting(3.0, "Weight decay of the halting units.")
    exit_rule: ExitRule = setting("published", "Rule that stops a text; neither changes its predicted class.")

    def stages(self) -> tuple[int, ...]:
        """Return the epochs of each stage."""
        return (self.head_epochs, self.epochs, self.halting_epochs)

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (self.step.lr, self.head_lr, self.halting_lr)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        return [
            *super().rules(),
            (0 <= self.tau < float("inf"), "--tau of at least 0", self.tau),
            (0 <= self.halting_decay < float("inf"), "--halting-decay of at least 0", self.halting_decay),
            (self.halting_epochs >= 1, "--halting-epochs of at least 1", self.halting_epochs),
            (self.hard_epochs == 0, "hard_epochs 0 for early exits, which remove nothing", self.hard_epochs),
            (
                self.exit_rule in EXIT_RULES,
                f"an exit rule of {', '.join(EXIT_RULES)}",
                self.exit_rule,
            ),
            (self.speedup is None, "no speedup: tau decides", self.speedup),
            (not self.word_drop, "no word_drop: stored states are of whole texts", self.word_drop),
        ]


@dataclass(frozen=True)
class InforCoefSettings(AdaptiveSettings):
    """How Infor-Coef's samplers are trained; `norm` and `entropy` weigh the bottleneck.

    The norm counts from the second epoch on. `bottleneck` names the form of both terms. `share` weighs the
    share of tokens that are kept, which the released code's loss has beside what the paper gives.
    """

    step: StepSettings = field(default_factory=lambda: StepSettings(lr=2e-5))
    norm: float = setting(4e-4, "Weight of the norm term of the bottleneck loss.")
    entropy: float = setting(4e-4, "Weight of the negative entropy of the masks.")
    share: float = setting(0.0, "Weight of the fraction of tokens kept (released code only, not the paper).")
    bottleneck: Bottleneck = setting("corrected", "Form of the bottleneck loss's norm and entropy terms.")
    sampler_lr: float | None = setting(None, "Learning rate of the samplers; default --lr.")

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.step.lr if self.sampler_lr is None else self.sampler_lr)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        weights = (self.norm, self.entropy, self.share)
        return [
            *super().rules(),
            (
                all(0 <= w < float("inf") for w in weights),
                "--norm, --entropy and --share of at least 0",
                weights,
            ),
            (self.speedup is None or self.hard_epochs > 0, "--hard-epochs with --speedup", self.hard_epochs),
            (
                self.bottleneck in BOTTLENECKS,
                f"a bottleneck of {', '.join(BOTTLENECKS)}",
                self.bottleneck,
            ),
        ]


@dataclass(frozen=True)
class PruneSettings(AdaptiveSettings):
    """How a model is pruned: `epochs` with gates, then `hard_epochs` of fine-tuning.

    `sparsity` is the share of the prunable parameters that goes; it rises over `sparsity_warmup` of the
    gates' epochs. `layers` is the share of the loss that imitates the dense model's states.
    """

    epochs: int = setting(4, "Epochs with gates, while the sparsity rises.")
    hard_epochs: int = setting(2, "Epochs of fine-tuning the pruned model.")
    hard_lr: float = setting(3e-5, "Learning rate of the fine-tuning after pruning.")
    step: StepSettings = field(default_factory=lambda: StepSettings(distill=1.0))
    sparsity: float = setting(0.8, "Fraction of the parameters of the encoder's matrices that is pruned.")
    sparsity_warmup: float = setting(0.5, "Fraction of the gates' epochs over which the sparsity rises.")
    gate_lr: float = setting(0.1, "Learning rate of the gates.")
    multiplier_lr: float = setting(0.1, "Learning rate of the Lagrange multipliers.")
    layers: float = setting(0.9, "Weight of hidden-state distillation versus logit distillation, 0 to 1.")

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (*super().rates(), self.gate_lr, self.multiplier_lr)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        return [
            *super().rules(),
            (min(self.stages()) >= 1, "at least 1 epoch of each stage", self.stages()),
            (0 < self.sparsity < 1, "--sparsity in (0, 1)", self.sparsity),
            (0 <= self.sparsity_warmup <= 1, "--sparsity-warmup in [0, 1]", self.sparsity_warmup),
            (0 <= self.layers <= 1, "--layers in [0, 1]", self.layers),
            (self.speedup is None, "no speedup: sparsity decides", self.speedup),
        ]
