"""Every constant of AdapLeR's training; defaults are the published ones, our additions are off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from eraser import Fault, InputError
from rationale.settings import setting
from rationale.training.settings import AdaptiveSettings, Rule, StepSettings, option_name


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
        raise InputError(Fault("--steepness as FIRST,GROWTH, two numbers", repr(text))) from None
    return first, growth


@dataclass(frozen=True)
class AdaplerStepSettings(StepSettings):
    """The constants of a step; defaults are those of the released code's recipes."""

    lr: float = setting(3e-5, "Learning rate of the model weights in the soft stage.")
    gamma: float = setting(0.005, "Weight of the saliency loss.")
    phi: float = setting(0.0005, "Weight of the length penalty.")
    threshold_lr: float = setting(5e-4, "Learning rate of the thresholds.")
    predictor_lr: float | None = setting(
        None, "Learning rate of the contribution predictors; default --lr (soft stage), --hard-lr (others)."
    )


@dataclass(frozen=True)
class AdaplerSettings(AdaptiveSettings):
    """How AdapLeR is trained; saved beside its weights. Words are left out in the hard stage only."""

    added: ClassVar[Mapping[str, Any]] = {
        **AdaptiveSettings.added, "anneal": 0.0, "scalings": 1, "decline": None, "gate": 0.0
    }  # fmt: skip

    epochs: int = setting(5, "Epochs of soft removal, the published training.")
    predictor_epochs: int = setting(
        0, "Epochs of the contribution predictors alone, before all other stages (our addition)."
    )
    step: AdaplerStepSettings = field(default_factory=AdaplerStepSettings)
    steepness: tuple[float, float] | None = setting(
        None,
        "Steepness λ of soft removal as FIRST,GROWTH per epoch; by default as published.",
        parse=parse_steepness,
    )
    eta: float = setting(0.25, "Initial value of the thresholds.")
    eta_max: float = setting(1.0, "Largest threshold in the hard-removal stage; above 1 is our addition.")
    target: str = setting(
        "gradient_x_input",
        "What the predictors imitate: gradient_x_input (published), human, METHOD, or several joined by +.",
    )
    target_class: Literal["gold", "predicted"] = setting("gold", "Class whose saliency is the target.")
    saliency_epochs: int = setting(3, "Number of best dense epochs whose saliency is averaged.")
    anneal: float = setting(
        0.0, "Fraction of the hard stage over which the speed-up rises to --speedup (our addition)."
    )
    scalings: int = setting(
        1, "Times per hard-stage epoch that thresholds are set to the speed-up (our addition)."
    )
    decline: float | None = setting(
        None,
        "Share of its tokens that a layer passes on to the next, where thresholds are set layer by layer; "
        "by default one factor scales them all (our addition).",
    )
    gate: float = setting(
        0.0,
        "Temperature of the gates through which the task trains the predictors in the hard stage; 0: none "
        "(our addition).",
    )

    @property
    def gradual(self) -> tuple[float, int, float | None]:
        """Return how removal grows in the hard stage."""
        return self.anneal, self.scalings, self.decline

    def stages(self) -> tuple[int, ...]:
        """Return the epochs of each stage."""
        return (self.predictor_epochs, self.epochs, self.hard_epochs)

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        s = self.step
        return (*super().rates(), s.threshold_lr, s.lr if s.predictor_lr is None else s.predictor_lr)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        s, steepness = self.step, self.steepness
        weights = (s.gamma, s.phi)
        of_soft = [
            option_name(name)
            for name in ("gamma", "phi", "threshold_lr")
            if getattr(s, name) != getattr(AdaplerStepSettings(), name)
        ] + ["--steepness"] * bool(steepness)
        return [
            *super().rules(),
            (self.epochs > 0 or not of_soft, f"--epochs above 0 with {', '.join(of_soft)}", self.epochs),
            (0 < self.eta <= 1, "--eta in (0, 1]", self.eta),
            (1 <= self.eta_max < math.inf, "--eta-max of at least 1", self.eta_max),
            (
                self.eta_max == 1 or (self.hard_epochs > 0 and self.speedup is not None),
                "--hard-epochs and --speedup with --eta-max",
                (self.hard_epochs, self.speedup),
            ),
            (not self.word_drop or self.hard_epochs > 0, "--hard-epochs with --word-drop", self.hard_epochs),
            (all(0 <= w < math.inf for w in weights), "--gamma and --phi of at least 0", weights),
            (not steepness or min(steepness) > 0, "a steepness above 0", steepness),
            (
                self.target_class in ("gold", "predicted"),
                "--target-class gold or predicted",
                self.target_class,
            ),
            (self.saliency_epochs >= 1, "--saliency-epochs of at least 1", self.saliency_epochs),
            (0 <= self.anneal <= 1, "--anneal in [0, 1]", self.anneal),
            (self.scalings >= 1, "--scalings of at least 1", self.scalings),
            (self.decline is None or 0 < self.decline <= 1, "--decline in (0, 1]", self.decline),
            (0 <= self.gate < math.inf, "--gate of at least 0", self.gate),
            (
                self.gradual == (0.0, 1, None) or (self.hard_epochs > 0 and self.speedup is not None),
                "--hard-epochs and --speedup with --anneal, --scalings or --decline",
                (self.hard_epochs, self.speedup),
            ),
            (not self.gate or self.hard_epochs > 0, "--hard-epochs with --gate", self.hard_epochs),
        ]

    def check(self) -> None:
        """Refuse settings that cannot train.

        Raises:
            InputError: all faults at once.
        """
        from rationale.training.targets import parse_target  # which needs torch

        parse_target(self.target)
        super().check()


RECIPE_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {  # name → (what for, values of options)
    "short-texts": (
        "posts and sentences, as for HateXplain",
        {
            "predictor_epochs": 1, "epochs": 0, "hard_epochs": 3, "speedup": 4.9,
            "predictor_lr": 1e-3, "hard_lr": 3e-5, "distill": 1.0,
        },
    ),
    "long-texts": (
        "reviews and documents, as for movies",
        {
            "predictor_epochs": 1, "epochs": 0, "hard_epochs": 4, "speedup": 5.0,
            "predictor_lr": 1e-3, "hard_lr": 5e-5, "distill": 0.7,
        },
    ),
}  # fmt: skip


def recipe_options(name: str) -> dict[str, Any]:
    """Return the option values of a recipe.

    Raises:
        InputError: there is no such recipe.
    """
    if name not in RECIPE_OPTIONS:
        raise InputError(Fault(f"a recipe of {', '.join(RECIPE_OPTIONS)}", repr(name)))
    return RECIPE_OPTIONS[name][1]
