"""Attention as attribution: what the first position ([CLS]) looks at.

Every function returns scores [B,T]. All but attention × gradient come from one forward pass, made once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eraser import Fault, InputError
from rationale.attribution.request import Request
from rationale.heads import explained
from rationale.passes import once
from rationale.text import Batch

if TYPE_CHECKING:
    from rationale.hf import Classifier


@contextmanager
def eager_attention(classifier: Classifier) -> Iterator[None]:
    """Let the model return its attention weights, which fused attention never forms."""
    before = classifier.model.config._attn_implementation
    classifier.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        classifier.model.set_attn_implementation(before)


def _summaries(classifier: Classifier, request: Request) -> dict[str, Tensor]:
    """Return every score [B,T] that one forward pass with attention weights gives."""
    return once(classifier.passes, request.key("attention"), partial(_summarise, classifier, request.batch))


def _summarise(classifier: Classifier, batch: Batch) -> dict[str, Tensor]:
    with torch.inference_mode(), eager_attention(classifier), classifier.autocast():
        output = classifier.model(
            input_ids=batch.ids,
            **classifier.inputs(batch),
            output_attentions=True,
            output_hidden_states=True,
        )
        maps = tuple(a.float() for a in _weights(output))
    flow = torch.zeros_like(maps[0][:, 0, 0])
    flow[:, 0] = 1
    for layer in reversed(maps):
        flow = (torch.einsum("bs,bst->bt", flow, layer.mean(1)) + flow) / 2
    return {
        "last": maps[-1].mean(1)[:, 0],
        "max": maps[-1].amax(1)[:, 0],
        "layers": torch.cat([m[:, :, 0] for m in maps], 1).mean(1),
        "rollout": flow,
        "by_head": maps[-1][:, :, 0],
        "entering": output.hidden_states[-2],
    }


def _weights(output: Any) -> tuple[Tensor, ...]:
    """Return each layer's weights [B,H,T,T]; a layer whose heads are all cut away is left out."""
    if not output.attentions:
        raise InputError(Fault("an encoder with attention", "one whose heads are all cut away"))
    weights: tuple[Tensor, ...] = output.attentions
    return weights


def attention(classifier: Classifier, request: Request) -> Tensor:
    """Last layer's attention from the first position ([CLS]), mean over heads."""
    return _summaries(classifier, request)["last"]


def attention_max(classifier: Classifier, request: Request) -> Tensor:
    """Last layer's attention from the first position, largest of the heads."""
    return _summaries(classifier, request)["max"]


def attention_layers(classifier: Classifier, request: Request) -> Tensor:
    """Attention from the first position, mean over all layers and heads."""
    return _summaries(classifier, request)["layers"]


def rollout(classifier: Classifier, request: Request) -> Tensor:
    """Attention multiplied through the layers, half of each layer passing by on the residual path.

    A~ = (A + I) / 2 with A the head mean; scores = row [CLS] of A~_L … A~_1 (Abnar, Zuidema 2020, eq. 1).
    """
    return _summaries(classifier, request)["rollout"]


def value_norm(classifier: Classifier, request: Request) -> Tensor:
    """Length of what the last layer carries from the piece to [CLS]: weight times projected value.

    ‖Σ_h α_h W_O v_h‖: the heads' vectors are added before the norm is taken (Kobayashi et al. 2020, eq. 5).

    Raises:
        InputError: the encoder's layers are not built as BERT's are.
    """
    from rationale.models.encoder import layers_of

    try:
        layer: Any = layers_of(classifier.model)[-1]
        to_value, projection = layer.attention.self.value, layer.attention.output.dense.weight.float()
    except AttributeError:
        expected = "an encoder with layers as BERT's, for method value_norm"
        raise InputError(Fault(expected, type(classifier.model).__name__)) from None
    known = _summaries(classifier, request)
    with torch.inference_mode(), classifier.autocast():
        values: Tensor = to_value(known["entering"]).float()
    weights = known["by_head"].transpose(1, 2)
    by_head = values.view(*weights.shape, -1) * weights[..., None]
    norms: Tensor = torch.linalg.vector_norm(by_head.flatten(-2) @ projection.T, dim=-1)
    return norms


def attention_x_gradient(classifier: Classifier, request: Request) -> Tensor:
    """Last layer's attention from [CLS] times its gradient, negatives cut off, mean over heads."""
    batch = request.batch
    with torch.enable_grad(), eager_attention(classifier), classifier.autocast():
        # The weights are frozen: the graph starts at the embeddings.
        vectors = classifier.model.get_input_embeddings()(batch.ids).detach().requires_grad_()
        inputs = classifier.inputs(batch)
        output = classifier.model(inputs_embeds=vectors, **inputs, output_attentions=True)
        how = request.settings.explain, classifier.head
        chosen = explained(output.logits.float(), request.target, *how).sum()
        last = _weights(output)[-1]
        (gradient,) = torch.autograd.grad(chosen, last)
    product = last.detach().float() * gradient.float()
    scores: Tensor = product.clamp(min=0).mean(1)[:, 0]
    return scores
