"""A dense classifier taught by annotators' marks, in its attention or in a rationale head.

Form `attention`: the attention (before dropout) of the token that the head reads is trained by cross-entropy
against the marks, scaled to sum to 1 (as HateXplain, Mathew et al. 2021, trains the last layer's [CLS] row).
Form `head`: a linear unit on the last states predicts whether each piece is marked, trained by binary
cross-entropy. Special tokens count as unmarked pieces. Windows without marks add nothing.

Axes: B window, H head, T piece, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Dataset, Example, Fault, InputError
from eraser.types import Floats
from rationale.attribution.attention import reading_weights
from rationale.hf.classifier import Classifier
from rationale.hf.rationale_head import RationaleHead
from rationale.models.packed.layers import LayerCall, depth_of, width_of
from rationale.models.packed.soft import run_padded, weighed
from rationale.text.encode import Batch
from rationale.text.windows import OUTSIDE, Window
from rationale.training.loop import TrainingWindow
from rationale.training.settings import AlignSettings

SMALLEST = 1e-6  # added to a share before its logarithm: a mark that is not looked at costs no more than this
GOLDS: dict[str, Callable[[Dataset, Example], Floats]] = {
    "union": lambda dataset, example: dataset.truth(example).gold.astype(np.float64),
    "share": Dataset.votes,
}


def with_marks(
    windows: Sequence[TrainingWindow], dataset: Dataset, settings: AlignSettings
) -> list[TrainingWindow]:
    """Return the windows of the train split with the annotators' marks of each, 0 where there are none.

    Raises:
        InputError: there are no marks, or single annotators are asked for and there are none.
    """
    found = {e.id: GOLDS[settings.align_gold](dataset, e) for e in dataset.splits["train"]}
    known = {id: share for id, share in found.items() if np.nansum(share) > 0}
    if not known:
        of = "the marks of single annotators" if settings.align_gold == "share" else "human evidence"
        raise InputError(Fault.of(f"--align human needs {of} on train, and there is none", dataset.source))
    return [replace(w, marks=_on_pieces(w.window, known.get(w.id))) for w in windows]


def _on_pieces(window: Window, share: Floats | None) -> NDArray[np.float32]:
    """Return the largest mark of the words [W] that each piece [T] belongs to."""
    marks = np.zeros(len(window), dtype=np.float32)
    if share is not None:
        for i in np.flatnonzero(window.word != OUTSIDE):
            marks[i] = share[window.word[i] : window.end[i]].max()
    return marks


def attention_loss(looks: Tensor, marks: Tensor) -> Tensor:
    """Return the mean over windows of the cross-entropy between marks and attention.

    Args:
        looks: attention [B,T] of the token that the head reads; rows sum to 1.
        marks: 0 and more [B,T].
    """
    wanted = marks / marks.sum(1, keepdim=True).clamp(min=SMALLEST)  # [B,T], 0s where nobody marked
    return -(wanted * (looks + SMALLEST).log()).sum(1).mean()  # a number


def head_loss(logits: Tensor, marks: Tensor, real: Tensor) -> Tensor:
    """Return the mean over windows of the binary cross-entropy of their pieces; all arguments [B,T]."""
    each = nn.functional.binary_cross_entropy_with_logits(logits, marks, reduction="none")  # [B,T]
    per_window = each.masked_fill(~real, 0.0).sum(1) / real.sum(1)  # [B]
    return per_window.masked_fill(~(marks > 0).any(1), 0.0).mean()  # a number


@dataclass
class Alignment:
    """The training on marks beside the labels; `head` if the form has one."""

    settings: AlignSettings
    classifier: Classifier
    head: RationaleHead | None = None
    layers: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.layers = self.settings.layers(depth_of(self.classifier.model))

    def losses(self, batch: Batch, marks: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B,C] of a batch, and the weighted loss of its marks [B,T]."""
        noted = _Noted(self.classifier, batch, self.layers)
        with self.classifier.autocast():
            logits = run_padded(self.classifier.model, batch.ids, batch.types, batch.real, noted.step)
        terms = [] if self.head is None else [head_loss(self.head(noted.states), marks, batch.real)]
        if noted.looks:
            of_layers = [attention_loss(self._mean(looks), marks) for looks in noted.looks]
            terms.append(torch.stack(of_layers).mean())
        return logits, self.settings.align_weight * torch.stack(terms).sum()

    def _mean(self, looks: Tensor) -> Tensor:
        """Return the mean [B,T] over the trained heads."""
        heads = self.settings.heads(looks.shape[1])
        return looks[:, heads].mean(1)  # [B,T]


class _Noted:
    """Records a pass: the attention [B,H,T] of chosen layers, and the states [B,T,D] of the last."""

    def __init__(self, classifier: Classifier, batch: Batch, layers: frozenset[int]) -> None:
        self.read, self.layers = reading_weights(classifier, batch), layers  # [B,T]
        self.looks: list[Tensor] = []
        self.states = torch.empty(0)

    def step(self, layer: int, states: Tensor, run: LayerCall) -> Tensor:
        """Run a layer, and record its attention if it is one of the trained ones."""
        self.states = weighed(run, states, self._weigh) if layer in self.layers else run(states)  # [B,T,D]
        return self.states

    def _weigh(self, logits: Tensor) -> Tensor:
        """Return the weights [B,H,T,T] of attention's logits, as they would be."""
        weights = logits.softmax(-1)  # [B,H,T,T]
        self.looks.append(torch.einsum("bs,bhst->bht", self.read, weights))
        return weights


def head_of(model: PreTrainedModel, settings: AlignSettings) -> RationaleHead | None:
    """Return a new rationale head for a model, or None if none is trained."""
    return RationaleHead(width_of(model)) if settings.has_head else None


def alignment_of(
    classifier: Classifier, settings: AlignSettings, head: RationaleHead | None
) -> Alignment | None:
    """Return the training on marks, or None if there is none."""
    return None if settings.align == "none" else Alignment(settings, classifier, head)
