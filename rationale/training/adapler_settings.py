"""Every constant of AdapLeR's training; defaults are the published ones, what is ours is off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from eraser import Fault, InputError
from rationale.hf import Precision
from rationale.training.adapler import AdaplerStepSettings
from rationale.training.targets import parse_target


@dataclass(frozen=True)
class AdaplerSettings:
    """How AdapLeR is trained; saved beside its weights."""

    predictor_epochs: int = 0
    epochs: int = 5
    hard_epochs: int = 0
    hard_lr: float = 3e-5
    speedup: float | None = None
    word_drop: float = 0.0  # share of the words left out at random in the hard stage
    step: AdaplerStepSettings = field(default_factory=AdaplerStepSettings)
    steepness: tuple[float, float] | None = None  # λ of the first epoch, and its growth; None: as published
    eta: float = 0.25
    target: str = "gradient_x_input"
    target_class: str = "gold"
    saliency_epochs: int = 3
    teacher_epochs: int = 1  # best epochs of the dense model whose mean probability is distilled
    tolerance: float = 0.01
    batch_size: int = 32
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0
    checkpoint_seconds: float = 120.0

    def check(self) -> None:
        """Refuse settings that cannot train, all at once."""
        parse_target(self.target)
        s = self.step
        rates = (s.lr, self.hard_lr, s.threshold_lr, s.lr if s.predictor_lr is None else s.predictor_lr)
        steepness = self.steepness
        stages = (self.predictor_epochs, self.epochs, self.hard_epochs)
        rules = [
            (min(stages) >= 0, "epochs of at least 0", stages),
            (sum(stages) >= 1, "at least 1 epoch", stages),
            (0 < self.eta <= 1, "eta in (0, 1]", self.eta),
            (0 <= self.word_drop < 1, "word_drop in [0, 1)", self.word_drop),
            (
                not self.word_drop or s.distill == 1,
                "distill 1 with word_drop (labels are of whole texts)",
                s.distill,
            ),
            (not self.word_drop or self.hard_epochs > 0, "hard_epochs with word_drop", self.hard_epochs),
            (self.teacher_epochs <= 1 or s.distill > 0, "distill above 0 with teacher_epochs", s.distill),
            (0 <= s.distill <= 1, "distill in [0, 1]", s.distill),
            (0 < s.temperature < math.inf, "a temperature above 0", s.temperature),
            (_all(s.gamma, s.phi, least=0), "gamma and phi of at least 0", (s.gamma, s.phi)),
            (all(0 < r < math.inf for r in rates), "learning rates above 0", rates),
            (s.clip > 0, "clip above 0", s.clip),
            (_all(s.weight_decay, least=0), "weight_decay of at least 0", s.weight_decay),
            (0 <= s.warmup < 1, "warmup in [0, 1)", s.warmup),
            (_all(self.tolerance, least=0), "tolerance of at least 0", self.tolerance),
            (not steepness or min(steepness) > 0, "a steepness above 0", steepness),
            (self.speedup is None or 1 <= self.speedup < math.inf, "a speedup of at least 1", self.speedup),
            (self.target_class in ("gold", "predicted"), "target_class gold or predicted", self.target_class),
            (self.batch_size >= 1, "batch_size of at least 1", self.batch_size),
            (self.saliency_epochs >= 1, "saliency_epochs of at least 1", self.saliency_epochs),
            (self.teacher_epochs >= 1, "teacher_epochs of at least 1", self.teacher_epochs),
            (self.seed >= 0, "seed of at least 0", self.seed),
        ]
        if faults := [Fault(expected, str(got)) for holds, expected, got in rules if not holds]:
            raise InputError(*faults)


def _all(*values: float, least: float) -> bool:
    """Return whether all are finite and at least so large."""
    return all(least <= v < math.inf for v in values)


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


def adapler_settings(values: Mapping[str, Any]) -> AdaplerSettings:
    """Return settings from values by name, wherever they belong; other names are passed over."""
    of_step = {f.name: values[f.name] for f in fields(AdaplerStepSettings) if f.name in values}
    of_run = {f.name: values[f.name] for f in fields(AdaplerSettings) if f.name in values}
    return AdaplerSettings(**of_run | {"step": AdaplerStepSettings(**of_step)})
