"""What an attribution method is asked, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from eraser import Fault
from rationale.heads import HEADS, Explain, Head, explained
from rationale.inference.ablate import ErasureMode
from rationale.text.encode import OUTSIDE, Batch, Window
from rationale.text_classifier import TextClassifier

EXPLAIN: tuple[Explain, ...] = ("logit", "probability", "margin")


@dataclass(frozen=True, kw_only=True)
class AttributionSettings:
    """What is explained, and how much work methods that sample may do for one window.

    `explain`: the class's logit (a number itself), its probability, or its logit's lead over the best other.
    `ig_steps`: Gauss-Legendre nodes of integrated gradients, which converge fast. `replace`: how
    perturbation methods take words away.
    """

    explain: Explain = "logit"
    ig_steps: int = 20
    gradient_shap_samples: int = 20
    lime_samples: int = 100
    shap_samples: int = 500
    occlusion_words: int = 3
    replace: ErasureMode = "delete"

    def faults(self) -> list[Fault]:
        """Return what is wrong with the settings."""
        at_least = {
            "integrated gradients, steps": self.ig_steps,
            "gradient SHAP, samples": self.gradient_shap_samples,
            "LIME, samples": self.lime_samples,
            "kernel SHAP, samples": self.shap_samples,
            "occlusion, words": self.occlusion_words,
        }
        found = [Fault(f"at least 1 for {what}", str(n)) for what, n in at_least.items() if n < 1]
        if self.explain not in EXPLAIN:
            found.append(Fault(f"explain as one of {', '.join(EXPLAIN)}", repr(self.explain)))
        return found


def usual(classifier: TextClassifier) -> AttributionSettings:
    """Return the settings of one who sets nothing: of a function its probability is explained."""
    return AttributionSettings(explain=HEADS[classifier.head].usual)


@dataclass(frozen=True)
class Request:
    """What is to be explained: padded windows, the class of each [B], a seed for each [B].

    `step_rows` is how many rows a gradient pass may hold.
    """

    batch: Batch
    target: Tensor
    seeds: tuple[int, ...]
    settings: AttributionSettings = field(default_factory=AttributionSettings)
    step_rows: int = 16

    def key(self, name: str) -> tuple[str, bytes, bytes, Explain]:
        """Return what an answer to this request is remembered by."""
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
    """Return what is explained [N] of logits [N,L] of texts that share a class."""
    return explained(torch.from_numpy(logits), torch.full((len(logits),), target), explain, head)
