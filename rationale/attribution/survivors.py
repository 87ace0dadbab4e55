"""Rationales of models that drop tokens: which tokens survived, and the scores that decided it.

One forward pass of the shrinking model; nothing else is computed. Where texts may stop early, what survived
all the layers that its text ran counts as having survived all there are.

Axes: B window, T piece, L layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eraser import Fault, InputError
from rationale.text.word_scores import BELOW_ONE

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier
    from rationale.models.packed.encoder import Output
    from rationale.text.encode import Batch


def drops_none(classifier: Classifier) -> str | None:
    """Return why a classifier has no survivors, or None if it has."""
    from rationale.inference.capabilities import drops_tokens

    return None if drops_tokens(classifier) else "the model drops no tokens; every other method works"


def run(classifier: Classifier, batch: Batch, method: str) -> Output:
    """Run a token-dropping model.

    Raises:
        InputError: the model drops none.
    """
    from rationale.inference.capabilities import drops_tokens

    if not drops_tokens(classifier):
        expected = f"a model that drops tokens, for method {method}"
        raise InputError(Fault(expected, type(classifier.model).__name__))
    with torch.inference_mode(), classifier.autocast():
        output: Output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
    return output


def layers_run(output: Output) -> Tensor:
    """Return how many layers each window ran [B]."""
    if output.exit_layer is not None:
        return output.exit_layer  # [B]
    kept = output.trace[0].kept  # [B,T]
    return torch.full((len(kept),), len(output.trace), device=kept.device)  # [B]


def survivors(classifier: Classifier, batch: Batch) -> Tensor:
    """Return for each piece the number of layers it survived [B,T], ties broken by contribution.

    The tie-break is the score at the layer that dropped the piece, or at the last one its text ran.
    """
    output = run(classifier, batch, "survivors")
    kept = torch.stack([layer.kept for layer in output.trace])  # [L,B,T]
    ran = layers_run(output)[:, None]  # [B,1]
    survived = kept.sum(0)  # [B,T]
    layers = torch.where(survived == ran, len(kept), survived)  # [B,T]
    if output.trace[0].contribution is None:
        return layers.float()  # [B,T]
    scores = torch.stack([layer.contribution for layer in output.trace])  # type: ignore[misc]  # [L,B,T]
    decisive = survived.minimum(ran - 1)  # [B,T]
    return layers + scores.gather(0, decisive[None])[0].clamp(max=BELOW_ONE)  # [B,T]


def contribution(classifier: Classifier, batch: Batch) -> Tensor:
    """Return the mean over the layers run of the predictors' scores [B,T]; 0 where a piece was gone."""
    output = run(classifier, batch, "contribution")
    if output.trace[0].contribution is None:
        raise InputError(Fault("a model with contribution predictors", type(classifier.model).__name__))
    total = torch.stack([layer.contribution for layer in output.trace]).sum(0)  # type: ignore[misc]  # [B,T]
    return total / layers_run(output)[:, None]  # [B,T]


def n_layers(classifier: Classifier) -> float:
    """Return the score of a piece that survived to the end."""
    from rationale.models.adaptive import unwrap
    from rationale.models.packed.layers import depth_of

    return float(depth_of(unwrap(classifier.model)))


def at_layer(layer: int, classifier: Classifier) -> float:
    """Return the lowest score of a piece that reached that layer (from 1), or its text's last.

    Raises:
        InputError: the model has no such layer.
    """
    last = int(n_layers(classifier))
    if not 1 <= layer <= last:
        raise InputError(Fault(f"a layer of 1 to {last} after survivors@", str(layer)))
    return float(layer)
