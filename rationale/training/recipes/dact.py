"""Train DACT-BERT: heads, halting units and encoder together; nothing stops while training."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.capabilities import exits_early
from rationale.models.dact import DactForSequenceClassification
from rationale.models.exits.rules import TINY
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups
from rationale.training.recipes.settings import DactSettings, ExitsSettings
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage


def with_exits(
    inner: PreTrainedModel, settings: DactSettings | ExitsSettings
) -> DactForSequenceClassification:
    """Return a model with heads and halting units around another one."""
    if exits_early(inner):
        raise InputError(Fault("a model without early exits to build on", type(inner).__name__))
    how: dict[str, bool] = {"standardised": True}  # stored states
    if isinstance(settings, DactSettings):
        how = {"shared_head": settings.shared_head}
    return DactForSequenceClassification.wrap(inner, exit_rule=settings.exit_rule, **how)


class DactStage(PackedStage):
    """Every layer is run; the loss is that of a_N, and τ Σ p_n."""

    name = "dact"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, DactSettings)
        self.settings, self.model = run.settings, run.model_as(DactForSequenceClassification)
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


DACT = Recipe(DactSettings, with_exits, {"dact": DactStage})
