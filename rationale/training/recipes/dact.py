"""Train DACT-BERT: heads, halting units and encoder together; nothing stops while training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.adaptive import AdaptiveForSequenceClassification
from rationale.models.dact import EXIT_RULES, TINY, DactForSequenceClassification
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.settings import AdaptiveSettings, Rule
from rationale.training.stage import PackedStage


@dataclass(frozen=True)
class DactSettings(AdaptiveSettings):
    """How DACT-BERT is trained: `tau` weighs the ponder cost Σ p_n, published between 1e-3 and 5e-2.

    `heads` (ours) weighs the mean task loss of the layers' own answers: without it heads whose answers weigh
    little in a_N learn little.
    """

    tau: float = 5e-3
    heads: float = 0.0
    halting_lr: float = 1e-3  # of heads and halting units, which start from nothing or nearly
    exit_rule: str = "published"
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
            (self.exit_rule in EXIT_RULES, f"an exit rule of {', '.join(EXIT_RULES)}", self.exit_rule),
            (self.hard_epochs == 0, "hard_epochs 0 for DACT, which has one stage", self.hard_epochs),
        ]


def _model(inner: PreTrainedModel, settings: DactSettings) -> DactForSequenceClassification:
    if isinstance(inner, AdaptiveForSequenceClassification) and inner.exit_heads():
        raise InputError(Fault("a model without early exits to build on", type(inner).__name__))
    return DactForSequenceClassification.wrap(
        inner, exit_rule=settings.exit_rule, shared_head=settings.shared_head
    )


class DactStage(PackedStage):
    """Every layer is run; the loss is that of a_N, and τ Σ p_n."""

    name = "dact"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, DactSettings)
        assert isinstance(run.model, DactForSequenceClassification)
        self.settings, self.model = run.settings, run.model
        s, own = self.settings, ("heads", "halting_units")
        named = list(self.model.named_parameters())
        fresh = [(n, p) for n, p in named if n.startswith(own)]
        groups = decay_groups([(n, p) for n, p in named if not n.startswith(own)], s.step.weight_decay)
        groups += [g | {"lr": s.halting_lr} for g in decay_groups(fresh, s.step.weight_decay)]
        super().__init__(run, place, s.epochs, groups, s.step.lr)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the task loss of a_N and the ponder cost."""
        accumulator = self.model.accumulator(halts=False)
        logits = self.forward(batch, self.model.select_tokens, accumulator).logits
        s, ponder = self.settings, torch.stack(accumulator.ponder).sum(0).mean()
        terms = {"task": self.task(logits, batch), "ponder": s.tau * ponder}
        if s.heads:
            own = [self.task((y + TINY).log(), batch) for y in accumulator.answers]
            terms["heads"] = s.heads * torch.stack(own).mean()
        return terms


DACT = Recipe(DactSettings, _model, {"dact": DactStage})
