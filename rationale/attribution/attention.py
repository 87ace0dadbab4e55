"""Attention as attribution: how much the token that the head reads attends to each piece.

That token is the first ([CLS]) in most encoders and the last in decoders; models that average read all.
`reads_of` finds out which. Every function returns scores [B,T]. All but attention × gradient come from one
forward pass, made once.

Axes: B window, T piece, H head, L layer, D hidden width, d head width. In einsum: b window, h head, s query
piece, t key piece.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eraser import Fault, InputError
from rationale.attribution.carried import by_head, carrier_of, eager_attention, maps_of, no_maps, noting
from rationale.attribution.request import AttributionBatch
from rationale.heads import explained
from rationale.models.packed.entry import entering
from rationale.models.packed.reads import read_mask, reads_of
from rationale.pass_cache import once
from rationale.text.encode import Batch

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier

NO_VALUES = "which vectors its attention carries cannot be found; attention and rollout work"


def no_rows(classifier: Classifier) -> str | None:
    """Return why a classifier has no attention to read, or None if it has."""
    if reason := no_maps(classifier):
        return f"{reason}; gradient_x_input and leave_one_out work"
    if reads_of(classifier.model) is None:
        return "which token its head reads cannot be told; gradient_x_input and leave_one_out work"
    return None


def no_values(classifier: Classifier) -> str | None:
    """Return why a classifier's value vectors cannot be weighed, or None if they can."""
    return no_rows(classifier) or (NO_VALUES if carrier_of(classifier) is None else None)


def reading_weights(classifier: Classifier, batch: Batch) -> Tensor:
    """Return each token's share [B,T] of what the head reads."""
    reads = reads_of(classifier.model)
    if reads is None:
        raise InputError(
            Fault.of("the model's head reads neither the first token, nor the last, nor all of them")
        )
    mask = read_mask(reads, classifier.model, batch.ids, batch.real).float()  # [B,T]
    return mask / mask.sum(1, keepdim=True)  # [B,T]


def _maps(output: object, batch: Batch) -> tuple[Tensor, ...]:
    maps = maps_of(output, batch.ids.shape[1])  # [B,H,T,T] of each layer
    if isinstance(maps, str):
        raise InputError(Fault("an attention map [T,T] of each head in every layer", maps))
    return maps


def _summaries(classifier: Classifier, request: AttributionBatch) -> dict[str, Tensor]:
    """Return every score [B,T] that one forward pass with attention weights gives."""
    return once(classifier.passes, request.key("attention"), partial(_summarise, classifier, request.batch))


def _summarise(classifier: Classifier, batch: Batch) -> dict[str, Tensor]:
    with torch.inference_mode(), noting(classifier) as noted, classifier.autocast():
        output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch), output_attentions=True)
        maps = tuple(a.float() for a in _maps(output, batch))  # [B,H,T,T] of each layer
    flow = read = reading_weights(classifier, batch)  # [B,T]
    for layer in reversed(maps):
        flow = (torch.einsum("bs,bst->bt", flow, layer.mean(1)) + flow) / 2  # [B,T]
    rows = [torch.einsum("bs,bhst->bht", read, m) for m in maps]  # [B,H,T] each
    found = {
        "last": rows[-1].mean(1),  # [B,T]
        "max": rows[-1].amax(1),  # [B,T]
        "layers": torch.cat(rows, 1).mean(1),  # [B,L·H,T] → [B,T]
        "rollout": flow,  # [B,T]
        "by_head": rows[-1],  # [B,H,T]
    }
    return found if noted.values is None else found | {"values": noted.values}


def attention(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Last layer's attention from the token that the head reads, mean over heads."""
    return _summaries(classifier, request)["last"]


def attention_max(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Last layer's attention from the token that the head reads, largest of the heads."""
    return _summaries(classifier, request)["max"]


def attention_layers(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Attention from the token that the head reads, mean over all layers and heads."""
    return _summaries(classifier, request)["layers"]


def rollout(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Attention multiplied through the layers, half of each layer being the residual connection.

    A~ = (A + I) / 2 with A the head mean; scores = row r of A~_L … A~_1, r the token that the head reads
    (Abnar, Zuidema 2020, eq. 1).
    """
    return _summaries(classifier, request)["rollout"]


def value_norm(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Norm of what the last layer carries from the piece to where the head reads: weight × projected value.

    ‖Σ_h α_h W_O v_h‖: the heads' vectors are added before the norm is taken (Kobayashi et al. 2020, eq. 5);
    so are those of several tokens that the head averages.
    """
    carrier, known = carrier_of(classifier), _summaries(classifier, request)
    assert carrier is not None  # else refused
    weights, matrix = known["by_head"], carrier.matrix()  # [B,H,T], [H·d,D]
    heads = weights.shape[1]
    values = by_head(known["values"].float(), heads, matrix.shape[0] // heads)  # [B,H,T,d]
    carried = (values * weights[..., None]).transpose(1, 2).flatten(2)  # [B,T,H·d]
    norms: Tensor = torch.linalg.vector_norm(carried @ matrix, dim=-1)  # [B,T]
    return norms


def attention_x_gradient(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Last layer's attention from what the head reads × its gradient, negatives cut off, mean over heads."""
    batch = request.batch
    with torch.enable_grad(), eager_attention(classifier), classifier.autocast():
        # The weights are frozen: the graph starts at the embeddings.
        with entering(classifier.model):
            output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch), output_attentions=True)
        how = request.settings.explain, classifier.head
        chosen = explained(output.logits.float(), request.target, *how).sum()
        last = _maps(output, batch)[-1]  # [B,H,T,T]
        (gradient,) = torch.autograd.grad(chosen, last)  # [B,H,T,T]
    product = (last.detach().float() * gradient.float()).clamp(min=0).mean(1)  # [B,T,T]
    scores: Tensor = torch.einsum("bs,bst->bt", reading_weights(classifier, batch), product)  # [B,T]
    return scores
