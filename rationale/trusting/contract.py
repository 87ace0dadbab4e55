"""What goes into the tests and what comes out, as values that never change; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import Any, Literal, Self, get_args

from eraser import Fault, InputError
from eraser.errors import check_types
from eraser.metrics.bootstrap import Estimate
from rationale.settings import setting

Outcome = Literal["pass", "fail", "cannot tell", "told"]
Operator = Literal["delete", "mask", "infill"]  # how words are taken out of a text
OPERATORS: tuple[Operator, ...] = get_args(Operator)
MIN_EXAMPLES = 8  # of fewer a win rate of 0.7 cannot be told from one of 0.5: 1.96 × 0.29 / √8 = 0.2
MOST_DRAWS = 10_000


@dataclass(frozen=True, kw_only=True)
class TrustSettings:
    """The choices of the tests; those of texts, methods and model are an evaluation's."""

    draws: int = setting(50, "Random rationales of equal size that each rationale is held against.")
    span_draws: int = setting(
        5, "Random rationales made of spans as long as a method's own, which no other method shares."
    )
    level: float = setting(0.05, "Level of significance, after the correction over methods.")
    epochs: int = setting(3, "Epochs of the copy of the model that is trained on shuffled labels.")

    def __post_init__(self) -> None:
        check_types(self)

    def check(self) -> None:
        """Refuse what cannot be carried out, all at once."""
        rules = [
            (1 <= self.draws <= MOST_DRAWS, f"from 1 to {MOST_DRAWS:,} draws", str(self.draws)),
            (
                1 <= self.span_draws <= MOST_DRAWS,
                f"from 1 to {MOST_DRAWS:,} span draws",
                str(self.span_draws),
            ),
            (0 < self.level < 1, "a level between 0 and 1", str(self.level)),
            (self.epochs >= 1, "at least 1 epoch", str(self.epochs)),
        ]
        if faults := [Fault(expected, got) for holds, expected, got in rules if not holds]:
            raise InputError(*faults)


@dataclass(frozen=True)
class Finding:
    """What one test found of one method.

    `value` with its interval `low` to `high` is what the sentence says, over `n` texts; NaN where there is
    none. `details` are all other numbers, as JSON holds them.
    """

    test: str
    method: str
    value: float
    low: float
    high: float
    n: int
    outcome: Outcome
    sentence: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(  # noqa: PLR0913 (a field each)
        cls, test: str, method: str, found: Estimate, outcome: Outcome, sentence: str, **details: Any
    ) -> Self:
        """Return a finding whose number is an estimate."""
        return cls(test, method, found.value, found.low, found.high, found.n, outcome, sentence, details)

    @classmethod
    def unknown(cls, test: str, method: str, why: str, n: int = 0, **details: Any) -> Self:
        """Return that nothing can be told, and why."""
        return cls(test, method, nan, nan, nan, n, "cannot tell", f"Cannot tell: {why}.", details)

    @property
    def number(self) -> str:
        """The value with its interval and n, in words; "" where there is none."""
        if isnan(self.value):
            return ""
        interval = "" if isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}, n = {self.n}"

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON holds it: None for a number that is none."""
        found: dict[str, Any] = _plain({**vars(self), "details": dict(self.details)})
        return found

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_record` gave."""
        numbers = {n: nan if record[n] is None else record[n] for n in ("value", "low", "high")}
        return cls(**{**record, **numbers})


@dataclass(frozen=True)
class TestResult:
    """The findings of one test, one for each method; its seconds of CPU, texts read and texts explained.

    They are those of the computation, also where the findings were on disk already.
    """

    test: str
    findings: tuple[Finding, ...]
    seconds: float
    read: int
    explained: int

    __test__ = False  # not pytest's

    def of(self, method: str) -> Finding:
        """Return the finding of a method."""
        (found,) = (f for f in self.findings if f.method == method)
        return found

    def to_row(self) -> dict[str, Any]:
        """Return its row of a part."""
        return {**vars(self), "findings": json.dumps([f.to_record() for f in self.findings])}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what `to_row` gave."""
        findings = tuple(map(Finding.from_record, json.loads(row["findings"])))
        return replace(cls(**{**row, "findings": ()}), findings=findings)


def _plain(value: Any) -> Any:
    """Return a value without NaN and NumPy's kinds, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and value - value != 0 else value
