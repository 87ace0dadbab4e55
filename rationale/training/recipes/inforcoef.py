"""Train Infor-Coef's token samplers: masks are drawn and only hide tokens; then, ours, hard removal."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.capabilities import has_dial
from rationale.models.inforcoef import BOTTLENECKS, InforCoefForSequenceClassification, share_kept
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups
from rationale.training.recipes.settings import InforCoefSettings
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage, RemovalStage


def _model(inner: PreTrainedModel, settings: InforCoefSettings) -> InforCoefForSequenceClassification:
    if has_dial(inner):
        raise InputError(Fault("a dense or cut model to build on", type(inner).__name__))
    return InforCoefForSequenceClassification.wrap(inner)


class SampledStage(PackedStage):
    """Masks are drawn by Gumbel softmax on padded batches; the bottleneck pushes them down."""

    name = "sampled"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, InforCoefSettings)
        self.settings, self.model = run.settings, run.model_as(InforCoefForSequenceClassification)
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
