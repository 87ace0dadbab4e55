"""Train a pruned model: gates learn what to prune as the sparsity rises (CoFi), then fine-tuning.

Both stages imitate the dense model: 0.1 · KL of logits (T = 2) + 0.9 · MSE of layers' states in the first,
KL alone in the second.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.models.capabilities import has_dial, is_cut
from rationale.models.gates import Gates, Lagrangian, gated, target
from rationale.models.packed.attention import PackedLayout
from rationale.models.packed.encoder import Output, keep_all, run_packed
from rationale.models.packed.layers import depth_of, width_of
from rationale.models.packed.matrices import dimensions
from rationale.models.pruning import check_cuttable, cut
from rationale.training.adaptive import Recipe
from rationale.training.loop import decay_groups
from rationale.training.recipes.settings import PruneSettings
from rationale.training.run import TrainingBatch, TrainingRun
from rationale.training.stage import PackedStage

CUT = "cut"  # the folder of the model as the gates left it


def _model(inner: PreTrainedModel, settings: PruneSettings) -> PreTrainedModel:
    if has_dial(inner) or is_cut(inner):
        raise InputError(Fault("a dense model to cut", type(inner).__name__))
    check_cuttable(inner)
    if depth_of(inner) < 2:  # noqa: PLR2004 (distillation reads even layers)
        raise InputError(Fault("a model of at least 2 layers to cut", str(depth_of(inner))))
    return copy.deepcopy(inner)  # the dense model stays the teacher


def nearest_layers(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Return Σ over teacher states of the smallest MSE to a student's, all [P,D], order kept.

    From the last teacher state to the first: the nearest student state before the one taken last.
    """
    total, last = torch.zeros((), device=teacher[0].device), len(student)
    for i in reversed(range(len(teacher))):
        errors = torch.stack([mse_loss(s.float(), teacher[i].float()) for s in student[i:last]])
        nearest = int(errors.argmin())
        total, last = total + errors[nearest], i + nearest
    return total


class GateStage(PackedStage):
    """All gates are drawn again for each micro-batch; the Lagrangian holds the sparsity at its target."""

    name = "gates"

    def __init__(self, run: TrainingRun, place: int) -> None:
        assert isinstance(run.settings, PruneSettings)
        self.settings, model = run.settings, run.model
        own, teacher = dimensions(model), run.teachers[0].model
        if (own.layers, own.hidden) != (depth_of(teacher), width_of(teacher)):
            theirs = f"{depth_of(teacher)} layers of width {width_of(teacher)}"
            message = (
                f"the model to prune has {own.layers} layers of width {own.hidden}, the dense one {theirs}"
            )
            raise InputError(Fault.of(message))
        self.gates, self.lagrangian = Gates.of(model), Lagrangian().to(model.device)
        self.map = nn.Linear(own.hidden, own.hidden, bias=False).to(model.device)
        nn.init.eye_(self.map.weight)
        s, none = self.settings, {"weight_decay": 0.0}
        groups = decay_groups([*model.named_parameters(), *self.map.named_parameters()], s.step.weight_decay)
        groups += [{"params": list(self.gates.parameters()), "lr": s.gate_lr} | none]
        climbing = {"params": list(self.lagrangian.parameters()), "lr": s.multiplier_lr, "maximize": True}
        parts = {"model": model, "gates": self.gates, "lagrangian": self.lagrangian, "map": self.map}
        self.whole = nn.ModuleDict(parts)
        super().__init__(run, place, s.epochs, [*groups, climbing | none], s.step.lr)

    @property
    def trained(self) -> nn.Module:
        """Return all that this stage trains."""
        return self.whole

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return logits' and layers' imitation, and the penalty on the sparsity."""
        s, model = self.settings, self.run.model
        with gated(model, self.gates.sample()):
            output, states = self._read(model, batch)
        with torch.no_grad():
            _, wanted = self._read(self.run.teachers[0].model, batch)
        chosen = wanted[2::2] or wanted[-1:]
        imitation = nearest_layers([self.map(x.float()) for x in states[1:]], chosen)
        steps = self.run.steps * s.epochs
        done = self.loop.progress["epoch"] * self.run.steps + self.loop.progress["step"]
        goal = target(done, round(s.sparsity_warmup * steps), s.sparsity)
        return {
            "task": (1 - s.layers) * self.task(output.logits, batch),
            "layer": s.layers * imitation,
            "sparsity": self.lagrangian(self.gates.sparsity(), goal),
        }

    def _read(self, model: PreTrainedModel, batch: TrainingBatch) -> tuple[Output, list[Tensor]]:
        """Return the output and the states [P,D] entering each layer."""
        states: list[Tensor] = []

        def watch(layer: int, entering: Tensor, rows: PackedLayout) -> tuple[Tensor, None]:
            states.append(entering)
            return keep_all(layer, entering, rows)

        with self.run.classifier.autocast():
            return run_packed(model, batch.ids, batch.types, batch.real, watch), states

    def apply(self) -> None:
        """Take a step; log-alphas stay within their limits."""
        super().apply()
        self.gates.clamp()

    def close_epoch(self, entry: dict[str, Any]) -> None:
        """Prune a copy and measure it; the last one goes to the next stage."""
        run, progress = self.run, self.loop.progress
        run.model.eval()  # type: ignore[no-untyped-call]
        small = replace(run.classifier, model=cut(run.model, self.gates.expected()))
        entry |= {"sparsity": round(self.gates.sparsity().item(), 4), "cut": small.model.config.cut}
        entry |= run.measure_on_val(small)[1]
        if progress["epoch"] == self.epochs - 1:
            folder = run.out / CUT
            folder.mkdir(parents=True, exist_ok=True)
            save_classifier(small.model, small.encoder.tokenizer, folder)
        self.loop.next_epoch(entry)
        self.loop.save()


class CutStage(PackedStage):
    """Fine-tuning of what the gates left."""

    name = "cut"

    def __init__(self, run: TrainingRun, place: int) -> None:
        found = load_classifier(run.out / CUT, device=run.settings.device)
        run.classifier = replace(run.classifier, model=found.model.requires_grad_(True))
        groups = decay_groups(run.model.named_parameters(), run.settings.step.weight_decay)
        super().__init__(run, place, run.settings.hard_epochs, groups, run.settings.hard_lr)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the task loss."""
        return {"task": self.task(self.forward(batch, keep_all).logits, batch)}


PRUNE = Recipe(PruneSettings, _model, {"gates": GateStage, "cut": CutStage})
