"""The rationale head's own output: how probably annotators would mark a piece, for models that have one.

Axes: B window, T piece, D hidden width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rationale.attribution.request import AttributionBatch

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier
    from rationale.models.packed.layers import LayerCall


def no_head(classifier: Classifier) -> str | None:
    """Return why a classifier has no output of a rationale head, or None if it has."""
    if classifier.rationale_head is not None:
        return None
    return "the model has no rationale head (train dense --align human --align-form head); attention works"


@torch.inference_mode()
def learned(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Probability that annotators would mark the piece, by the head trained on their marks."""
    from rationale.models.packed.layers import anatomy_of, standing_in  # not for a function of texts

    last = torch.empty(0)

    def note(layer: int, states: Tensor, run: LayerCall) -> Tensor:
        nonlocal last
        last = run(states)  # [B,T,D]
        return last

    batch, head = request.batch, classifier.rationale_head
    assert head is not None  # else refused
    with classifier.autocast(), standing_in(anatomy_of(classifier.model).calls, note):
        classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
    scores: Tensor = head(last).sigmoid()  # [B,T]
    return scores
