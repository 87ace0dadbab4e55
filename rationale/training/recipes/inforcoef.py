"""Train Infor-Coef's token samplers: masks are drawn and only hide tokens; then, ours, hard removal."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.adaptive import AdaptiveForSequenceClassification
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.inforcoef_losses import BOTTLENECKS, share_kept
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.settings import AdaptiveSettings, Rule, StepSettings
from rationale.training.stage import PackedStage, RemovalStage


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
    bottleneck: str = "corrected"
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
            (self.bottleneck in BOTTLENECKS, f"a bottleneck of {', '.join(BOTTLENECKS)}", self.bottleneck),
        ]


def _model(inner: PreTrainedModel, settings: InforCoefSettings) -> InforCoefForSequenceClassification:
    if isinstance(inner, AdaptiveForSequenceClassification):
        raise InputError(Fault("a dense or cut model to build on", type(inner).__name__))
    return InforCoefForSequenceClassification.wrap(inner)


class SampledStage(PackedStage):
    """Masks are drawn by Gumbel softmax on padded batches; the bottleneck pushes them down."""

    name = "sampled"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, InforCoefSettings)
        assert isinstance(run.model, InforCoefForSequenceClassification)
        self.settings, self.model = run.settings, run.model
        s, named = self.settings, list(self.model.named_parameters())
        groups = decay_groups([w for w in named if not w[0].startswith("samplers")], s.step.weight_decay)
        fresh = decay_groups([w for w in named if w[0].startswith("samplers")], s.step.weight_decay)
        lr = s.step.lr if s.sampler_lr is None else s.sampler_lr
        super().__init__(run, place, s.epochs, groups + [g | {"lr": lr} for g in fresh], s.step.lr)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the task loss, the two terms of the bottleneck, and the share of tokens kept."""
        s = self.settings
        with self.run.classifier.autocast():
            found = self.model.soft(batch.ids, batch.types, batch.real)
        size, entropy = BOTTLENECKS[s.bottleneck](found.layers, batch.real)
        norm = s.norm if self.loop.progress["epoch"] else 0.0
        share = share_kept(found.layers, batch.real)
        weighed = {"norm": norm * size, "entropy": s.entropy * entropy, "share": s.share * share}
        return {"task": self.task(found.logits, batch), **weighed}


INFORCOEF = Recipe(InforCoefSettings, _model, {"sampled": SampledStage, "hard": RemovalStage})
