"""Every constant of AdapLeR's training; defaults are the published ones, what is ours is off."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from eraser import Fault, InputError
from rationale.training.settings import AdaptiveSettings, Rule, StepSettings


@dataclass(frozen=True)
class AdaplerStepSettings(StepSettings):
    """The constants of a step; defaults are those of the released code's recipes."""

    gamma: float = 0.005
    phi: float = 0.0005
    threshold_lr: float = 5e-4
    predictor_lr: float | None = None  # None: lr, as published


@dataclass(frozen=True)
class AdaplerSettings(AdaptiveSettings):
    """How AdapLeR is trained; saved beside its weights. Words are left out in the hard stage only."""

    epochs: int = 5
    predictor_epochs: int = 0
    step: AdaplerStepSettings = field(default_factory=AdaplerStepSettings)
    steepness: tuple[float, float] | None = None  # λ of the first epoch, and its growth; None: as published
    eta: float = 0.25
    eta_max: float = 1.0  # in the hard stage; the soft one keeps to the released code's 1
    target: str = "gradient_x_input"
    target_class: str = "gold"
    saliency_epochs: int = 3

    def stages(self) -> tuple[int, ...]:
        """Return the epochs of each stage."""
        return (self.predictor_epochs, self.epochs, self.hard_epochs)

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        s = self.step
        return (*super().rates(), s.threshold_lr, s.lr if s.predictor_lr is None else s.predictor_lr)

    def rules(self) -> list[Rule]:
        """Return what must hold."""
        s, steepness = self.step, self.steepness
        weights = (s.gamma, s.phi)
        return [
            *super().rules(),
            (0 < self.eta <= 1, "eta in (0, 1]", self.eta),
            (1 <= self.eta_max < math.inf, "eta_max of at least 1", self.eta_max),
            (
                self.eta_max == 1 or (self.hard_epochs > 0 and self.speedup is not None),
                "hard_epochs and a speedup with eta_max",
                (self.hard_epochs, self.speedup),
            ),
            (not self.word_drop or self.hard_epochs > 0, "hard_epochs with word_drop", self.hard_epochs),
            (all(0 <= w < math.inf for w in weights), "gamma and phi of at least 0", weights),
            (not steepness or min(steepness) > 0, "a steepness above 0", steepness),
            (self.target_class in ("gold", "predicted"), "target_class gold or predicted", self.target_class),
            (self.saliency_epochs >= 1, "saliency_epochs of at least 1", self.saliency_epochs),
        ]

    def check(self) -> None:
        """Refuse settings that cannot train, all at once."""
        from rationale.training.targets import parse_target  # which needs torch

        parse_target(self.target)
        super().check()


def parse_steepness(text: str | None) -> tuple[float, float] | None:
    """Read FIRST,GROWTH.

    >>> parse_steepness("10,3")
    (10.0, 3.0)
    """
    if text is None:
        return None
    try:
        first, growth = map(float, text.split(","))
    except ValueError:
        raise InputError(Fault("steepness as FIRST,GROWTH, two numbers", repr(text))) from None
    return first, growth
