"""Attribution by gradients with respect to the word embeddings e → scores [B,T], by captum where it serves.

A pass is given the ids, and e instead of what the model's embedding table makes of them (see
`rationale.models.packed.entry`).

Axes: B window, T piece, D embedding width, C logit; S sample of a window, s samples done at once.
"""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn

from rationale.attribution.backward.rules import Ruled, ruled
from rationale.attribution.carried import eager_attention
from rationale.attribution.request import AttributionBatch
from rationale.heads import explained
from rationale.models.packed.entry import embed, entering, takes_types, two_stacks
from rationale.models.packed.known import as_held, known
from rationale.models.packed.reads import PROBED, probe_ids
from rationale.pass_cache import once
from rationale.text.windows import OUTSIDE

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier

SCALING_TOLERANCE = 1e-3  # of logits, as a share of one more than the largest
Arguments = tuple[Tensor, Tensor, Tensor, Tensor]  # ids, real, types [B,T], target [B]


def _blank(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Return the baseline's embeddings [B,T,D]."""
    batch = request.batch
    pad = torch.full_like(batch.ids, classifier.encoder.pad_id)  # [B,T]
    return embed(classifier.model, torch.where(batch.word == OUTSIDE, batch.ids, pad))  # [B,T,D]


class Explained(nn.Module):
    """(embeddings, ids, real, types, target) → what is explained [B]: a module, as DeepLIFT hooks modules.

    `mode`: rules that stand in for the model's gradients.
    """

    def __init__(self, classifier: Classifier, request: AttributionBatch, mode: Ruled | None = None) -> None:
        super().__init__()
        self.mode = mode
        self.model = classifier.model
        self.autocast = classifier.autocast
        self.explain, self.head = request.settings.explain, classifier.head
        self.takes_types = takes_types(classifier.model, classifier.encoder.tokenizer)

    def forward(self, embeddings: Tensor, ids: Tensor, real: Tensor, types: Tensor, target: Tensor) -> Tensor:
        """Run the model from its word embeddings on."""
        extra = {"token_type_ids": types} if self.takes_types else {}
        rules = nullcontext() if self.mode is None else ruled(self.model, self.mode)
        with self.autocast(), entering(self.model, embeddings), rules:
            logits = self.model(input_ids=ids, attention_mask=real, **extra).logits  # [B,C]
        return explained(logits.float(), target, self.explain, self.head)  # [B]


@torch.no_grad()
def expected_sum(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Return what the scores of path methods should sum to [B]: the answer minus that for the empty text."""
    answer = Explained(classifier, request)
    full, blank = embed(classifier.model, request.batch.ids), _blank(classifier, request)  # [B,T,D], [B,T,D]
    value: Tensor = answer(full, *_arguments(request)) - answer(blank, *_arguments(request))  # [B]
    return value


@torch.no_grad()
def full_answer(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Return what is explained of the text as it is [B]."""
    value: Tensor = Explained(classifier, request)(
        embed(classifier.model, request.batch.ids), *_arguments(request)
    )
    return value  # [B]


def _arguments(request: AttributionBatch) -> Arguments:
    batch = request.batch
    return batch.ids, batch.real.long(), batch.types, request.target


def _backward(classifier: Classifier, mode: Ruled | None = None) -> AbstractContextManager[None]:
    """Return the context for passes with gradients.

    Fused attention is slow backwards in bf16 on a CPU, and hides what rules are for.
    """
    slow = classifier.bf16 and classifier.device.type == "cpu"
    return eager_attention(classifier) if slow or mode is not None else nullcontext()


def _gradient(
    classifier: Classifier,
    request: AttributionBatch,
    at: Tensor,
    arguments: Arguments,
    mode: Ruled | None = None,
) -> Tensor:
    """Return the gradient [B,T,D] at embeddings [B,T,D], or what the rules of `mode` make of it."""
    with _backward(classifier, mode):
        found: Tensor = Saliency(Explained(classifier, request, mode)).attribute(
            at.requires_grad_(), abs=False, additional_forward_args=arguments
        )
    return found.detach()  # [B,T,D]


def ruled_gradient_x_input(classifier: Classifier, request: AttributionBatch, mode: Ruled) -> Tensor:
    """Return e ⊙ gradient, summed over dimensions [B,T], with the rules of `mode` in the backward pass."""
    e = embed(classifier.model, request.batch.ids)  # [B,T,D]
    gradient = _gradient(classifier, request, e, _arguments(request), mode)  # [B,T,D]
    return (e.detach() * gradient).float().sum(-1)  # [B,T]


def _first_order(classifier: Classifier, request: AttributionBatch) -> dict[str, Tensor]:
    """Return every score [B,T] that one backward pass gives."""

    def compute() -> dict[str, Tensor]:
        e = embed(classifier.model, request.batch.ids)  # [B,T,D]
        exact = torch.promote_types(e.dtype, torch.float32)  # half precision is too coarse to add up
        gradient = _gradient(classifier, request, e, _arguments(request)).to(exact)  # [B,T,D]
        product = e.detach().to(exact) * gradient  # [B,T,D]
        return {
            "norm": torch.linalg.vector_norm(gradient, dim=-1),  # [B,T]
            "sum": product.sum(-1),  # [B,T]
            "l1": product.abs().sum(-1),  # [B,T]
            "l2": torch.linalg.vector_norm(product, dim=-1),  # [B,T]
        }

    return once(classifier.passes, request.key("gradient"), compute)


def saliency(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Euclidean norm of the gradient: how steeply the answer changes with the piece."""
    return _first_order(classifier, request)["norm"]


def gradient_x_input(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Sum over dimensions of e ⊙ gradient: first-order effect of the piece."""
    return _first_order(classifier, request)["sum"]


def gradient_x_input_l1(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Sum of absolute values of e ⊙ gradient."""
    return _first_order(classifier, request)["l1"]


def gradient_x_input_l2(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Euclidean norm of e ⊙ gradient: how much the piece matters, whatever the direction."""
    return _first_order(classifier, request)["l2"]


def integrated_gradients(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Gradients averaged along the straight line from all [PAD] to the text (Sundararajan 2017)."""
    with _backward(classifier):
        scores: Tensor = IntegratedGradients(Explained(classifier, request)).attribute(
            embed(classifier.model, request.batch.ids),
            baselines=_blank(classifier, request),
            additional_forward_args=_arguments(request),
            n_steps=request.settings.ig_steps,
            internal_batch_size=max(request.step_rows, len(request.target)),
        )
    return scores.detach().float().sum(-1)  # [B,T,D] → [B,T]


def gradient_shap(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Gradients averaged at random points of that line (Lundberg, Lee 2017; one baseline, no noise).

    captum samples from one global generator, so that a text's scores would depend on its neighbours; here
    each text has its own.
    """
    samples, rows = request.settings.gradient_shap_samples, request.rows
    drawn = [np.random.default_rng(request.seeds[row]).random(samples) for row in rows]
    at = torch.tensor(np.array(drawn), dtype=torch.float32, device=request.target.device)  # [B,S]
    e, blank = embed(classifier.model, request.batch.ids), _blank(classifier, request)  # [B,T,D] twice
    total = torch.zeros_like(e)  # [B,T,D]
    size = max(1, request.step_rows // len(rows))
    for part in torch.split(at, size, dim=1):
        points = blank[:, None] + part[:, :, None, None] * (e - blank)[:, None]  # [B,s,T,D]
        ids, real, types, target = (a.repeat_interleave(part.shape[1], 0) for a in _arguments(request))
        flat = points.flatten(0, 1)  # [B·s,T,D]
        gradient = _gradient(classifier, request, flat, (ids, real, types, target))  # [B·s,T,D]
        total += gradient.view_as(points).sum(1)  # [B,T,D]
    return ((e - blank) * total / samples).float().sum(-1)  # [B,T]


@torch.inference_mode()
def lengths_count(classifier: Classifier) -> bool:
    """Return whether an answer changes with the lengths of the words' vectors e.

    It does not where a norm reads them. Then e · gradient is 0, and what is computed may be rounding errors.
    """
    model, answers = classifier.model, []
    ids = probe_ids(model, max(PROBED))  # [1,T]
    for times in (1.0, 2.0):
        with entering(model, times * embed(model, ids)), as_held(model):
            answers.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float())
    one, other = answers  # [1,C], [1,C]
    return bool((one - other).abs().max() > SCALING_TOLERANCE * (1 + one.abs().max()))


def no_rescaling(classifier: Classifier) -> str | None:
    """Return why DeepLIFT's scores need not add up for a classifier, or None if they do.

    Its rule follows one chain of modules, each called once: captum keeps what entered and left its last call.
    """
    if two_stacks(classifier.model):
        return "it follows one stack of layers, not an encoder and a decoder; integrated_gradients works"
    if again := known(classifier.model, "called again", lambda: _called_again(classifier.model)):
        return f"it needs each {again} to be called once in a pass; integrated_gradients works"
    return None


@torch.inference_mode()
def _called_again(model: nn.Module) -> str | None:
    """Return the class of a module that DeepLIFT has a rule for and that a pass calls more than once."""
    calls: Counter[nn.Module] = Counter()
    ids = probe_ids(model, max(PROBED))  # [1,T]
    with suppress(Exception), as_held(model), ExitStack() as hooks:  # what fails is tried all the same
        for module in model.modules():
            if type(module) in SUPPORTED_NON_LINEAR:
                hooks.callback(module.register_forward_hook(lambda m, *_: calls.update([m])).remove)
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return next((type(module).__name__ for module, n in calls.items() if n > 1), None)


def deeplift(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """DeepLIFT's rescale rule against the same baseline (Shrikumar et al. 2017).

    captum has no rule for GELU, layer normalisation and fused attention: they pass plain gradients, so that
    on such encoders the scores need not add up; the reported delta says by how much they miss.
    """
    with warnings.catch_warnings(), _backward(classifier):
        warnings.filterwarnings("ignore", "Setting forward, backward hooks")  # which it takes away again
        scores: Tensor = DeepLift(Explained(classifier, request)).attribute(
            embed(classifier.model, request.batch.ids).requires_grad_(),
            baselines=_blank(classifier, request),
            additional_forward_args=_arguments(request),
        )
    return scores.detach().float().sum(-1)  # [B,T,D] → [B,T]
