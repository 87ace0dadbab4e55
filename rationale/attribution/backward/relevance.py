"""AttnLRP and GIM: e ⊙ gradient at the words, with rules in the backward pass. Scores [B,T].

Axes: B window, T piece, D embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eraser import InputError, Text
from eraser.errors import first_line
from rationale.attribution.backward.conservation import ROUNDED_TOLERANCE, TOLERANCE, Met, Watched
from rationale.attribution.backward.rules import Ruled, Rules
from rationale.attribution.gradients import ruled_gradient_x_input
from rationale.attribution.request import AttributionBatch
from rationale.models.packed.alone import sparse
from rationale.models.packed.known import known, rounded

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier

ATTN_LRP = Rules(freeze_norms=True, share_attention=True, share_gates=True, pass_activations=True)
GIM = Rules(freeze_norms=True, share_attention=True)  # its temperature is a setting
WATCHED = tuple(f"{'xyz'[n % 3]}{n}" for n in range(6))  # words of the text that is watched


def attn_lrp(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Layer-wise relevance propagation through attention (Achtibat et al. 2024), with ε = 0.

    Linear functions pass relevance back in proportion to their inputs, activations pass all of it, products
    half to each factor; a norm's divisor is a constant, softmax is expanded around its logits.
    """
    return ruled_gradient_x_input(classifier, request, Ruled(ATTN_LRP))


def gim(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Gradient interaction modifications (Edin et al. 2025).

    The gradient with norms frozen, halved for each factor of attention's products, and with softmaxes at a
    higher temperature, so that weights near 0 or 1 still pass gradient.
    """
    return ruled_gradient_x_input(classifier, request, Ruled(gim_rules(request.settings.gim_temperature)))


def gim_rules(temperature: float) -> Rules:
    """Return the rules of GIM at a temperature."""
    return Rules(GIM.freeze_norms, GIM.share_attention, temperature=temperature)


def not_conserved(classifier: Classifier) -> str | None:
    """Return why AttnLRP's rules do not cover a classifier, or None if they do."""
    met = _met(classifier)
    if isinstance(met, str):
        return met
    if met.unruled:
        name = met.unruled[-1].strip("_")
        return f"it has no rule for {name}, where relevance would be lost; leave_one_out works"
    return None


def no_softmax(classifier: Classifier) -> str | None:
    """Return why GIM has nothing to modify in a classifier, or None if it has."""
    met = _met(classifier)
    if isinstance(met, str):
        return met
    return None if met.softmaxes else "it needs a softmax of attention weights; leave_one_out works"


def _met(classifier: Classifier) -> Met | str:
    return known(classifier.model, ("met", classifier.bf16), lambda: _watch(classifier))


def _watch(classifier: Classifier) -> Met | str:
    """Return what a backward pass of AttnLRP met on a short text, or why it failed."""
    if any(map(sparse, classifier.model.modules())):
        return "a short text does not show its attention over blocks of tokens; leave_one_out works"
    try:
        windows = classifier.encoder.encode([Text("", WATCHED, {"": 0}, (0,))])[0][:1]
    except InputError:  # an encoder that reads nothing, which is told when it is asked for more
        return Met(softmaxes=1)
    close = ROUNDED_TOLERANCE if classifier.bf16 or rounded(classifier.model) else TOLERANCE
    batch = classifier.encoder.collate(list(windows)).to(classifier.device)
    request = AttributionBatch(batch, torch.zeros(1, dtype=torch.long, device=classifier.device), (0,))
    mode = Watched(ATTN_LRP, close)
    try:
        ruled_gradient_x_input(classifier, request, mode)
    except Exception as error:  # whatever layers of another kind say to it
        return f"it fails on this model ({first_line(error)}); leave_one_out works"
    return mode.met
