"""What an attribution method is given: windows, classes to explain, seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rationale.heads import HEADS, Head, explained
from rationale.settings import AttributionSettings, Explain
from rationale.text.encode import Batch
from rationale.text.windows import OUTSIDE, Window
from rationale.text_classifier import TextClassifier


def usual(classifier: TextClassifier) -> AttributionSettings:
    """Return the default settings: of a function the probability is explained."""
    return AttributionSettings(explain=HEADS[classifier.head].usual)


@dataclass(frozen=True)
class AttributionBatch:
    """What is to be explained: padded windows, the class of each [B], a seed for each [B].

    `step_rows` is how many rows a gradient pass may hold.
    """

    batch: Batch
    target: Tensor
    seeds: tuple[int, ...]
    settings: AttributionSettings = field(default_factory=AttributionSettings)
    step_rows: int = 16

    def key(self, name: str) -> tuple[str, bytes, bytes, Explain]:
        """Return the key under which an answer to this request is cached."""
        ids = self.batch.ids.where(self.batch.real, OUTSIDE)
        return name, ids.cpu().numpy().tobytes(), self.target.cpu().numpy().tobytes(), self.settings.explain

    def windows(self) -> list[Window]:
        """Return the windows again, without padding."""
        b = self.batch
        fields = (b.ids, b.word, b.types, b.end)
        return [Window(*(t[i][b.real[i]].cpu().numpy() for t in fields)) for i in self.rows]

    @property
    def rows(self) -> range:
        """The rows of the batch."""
        return range(len(self.target))


def explained_values(
    logits: np.ndarray[tuple[int, int], np.dtype[np.float64]], target: int, explain: Explain, head: Head
) -> Tensor:
    """Return the explained numbers [N] of texts that share a class.

    Args:
        logits: [N,L].
        target: the class.
        explain: which number, see `rationale.heads.HEADS`.
        head: of the model.
    """
    return explained(torch.from_numpy(logits), torch.full((len(logits),), target), explain, head)
