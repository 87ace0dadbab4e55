"""Attribution methods: each a function (classifier, request) → one score per word piece [B,T].

To add one: a function here and a line in METHODS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients
from torch import Tensor

from rationale.attribution import survivors as adaptive
from rationale.hf import Classifier
from rationale.predict import window_probs
from rationale.text import OUTSIDE, Batch, Window

IG_STEPS = 20  # Gauss-Legendre nodes, which converge fast
Reduce = Literal["sum", "max", "max_magnitude", "first"]


@dataclass(frozen=True)
class Request:
    """What is to be explained: padded windows, the class of each [B], a seed for each [B]."""

    batch: Batch
    target: Tensor
    seeds: tuple[int, ...]
    ig_steps: int = IG_STEPS
    step_rows: int = 16


Scores = Callable[[Classifier, Request], Tensor]


@dataclass(frozen=True)
class Method:
    """A method: its function, how pieces become words, whether scores have a sign, where it is from.

    `own` gives the score from which on a word is the method's own choice, for methods that choose;
    `adaptive` marks what only a token-dropping model can do.
    """

    scores: Scores
    reduce: Reduce
    signed: bool
    gradients: bool
    source: str
    adaptive: bool = False
    own: Callable[[Classifier], float] | None = None


@contextmanager
def eager_attention(classifier: Classifier) -> Iterator[None]:
    """Let the model return its attention weights, which fused attention never forms."""
    before = classifier.model.config._attn_implementation
    classifier.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        classifier.model.set_attn_implementation(before)


def attention_maps(classifier: Classifier, batch: Batch) -> tuple[Tensor, ...]:
    """Return for each layer the attention [B,H,T,T] from row to column."""
    with torch.inference_mode(), eager_attention(classifier), classifier.autocast():
        output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch), output_attentions=True)
    return tuple(a.float() for a in output.attentions)


def attention(classifier: Classifier, request: Request) -> Tensor:
    """Last layer's attention from the first position ([CLS]), mean over heads."""
    return attention_maps(classifier, request.batch)[-1].mean(1)[:, 0]


def rollout(classifier: Classifier, request: Request) -> Tensor:
    """Attention multiplied through the layers, half of each layer passing by on the residual path.

    A~ = (A + I) / 2 with A the head mean; scores = row [CLS] of A~_L … A~_1 (Abnar, Zuidema 2020, eq. 1).
    """
    maps = attention_maps(classifier, request.batch)
    identity = torch.eye(maps[0].shape[-1], device=maps[0].device)
    flow = identity.expand(len(maps[0]), -1, -1)
    for layer in maps:
        flow = (layer.mean(1) + identity) / 2 @ flow
    return flow[:, 0]


def embed(classifier: Classifier, batch: Batch) -> Tensor:
    """Return the word embeddings [B,T,D] of a batch."""
    vectors: Tensor = classifier.model.get_input_embeddings()(batch.ids).detach()
    return vectors


def logits_of(classifier: Classifier) -> Callable[..., Tensor]:
    """Return the function (embeddings, attention mask, token types) → logits [B,C] that captum calls."""
    takes_types = getattr(classifier.model.config, "type_vocab_size", 0) > 1

    def forward(embeddings: Tensor, real: Tensor, types: Tensor) -> Tensor:
        extra = {"token_type_ids": types} if takes_types else {}
        with classifier.autocast():
            logits = classifier.model(inputs_embeds=embeddings, attention_mask=real, **extra).logits
        return logits.float()  # type: ignore[no-any-return]

    return forward


def _gradient_x_input(classifier: Classifier, request: Request) -> Tensor:
    """Return e ⊙ ∂logit/∂e [B,T,D], e the word embeddings."""
    batch = request.batch
    product: Tensor = InputXGradient(logits_of(classifier)).attribute(
        embed(classifier, batch).requires_grad_(),
        target=request.target,
        additional_forward_args=(batch.real.long(), batch.types),
    )
    return product.detach()


def gradient_x_input(classifier: Classifier, request: Request) -> Tensor:
    """Sum over dimensions of e ⊙ ∂logit/∂e: first-order effect of the piece on the logit."""
    return _gradient_x_input(classifier, request).sum(-1)


def gradient_x_input_l2(classifier: Classifier, request: Request) -> Tensor:
    """Euclidean norm of e ⊙ ∂logit/∂e: how much the piece matters, whatever the direction."""
    norm: Tensor = torch.linalg.vector_norm(_gradient_x_input(classifier, request), dim=-1)
    return norm


def integrated_gradients(classifier: Classifier, request: Request) -> Tensor:
    """Gradients averaged on the straight way from [PAD]-for-every-word to the text (Sundararajan 2017)."""
    batch = request.batch
    pad = torch.full_like(batch.ids, classifier.encoder.pad_id)
    blank = torch.where(batch.word == OUTSIDE, batch.ids, pad)  # specials and query stay
    baseline: Tensor = classifier.model.get_input_embeddings()(blank).detach()
    scores: Tensor = IntegratedGradients(logits_of(classifier)).attribute(
        embed(classifier, batch),
        baselines=baseline,
        target=request.target,
        additional_forward_args=(batch.real.long(), batch.types),
        n_steps=request.ig_steps,
        internal_batch_size=max(request.step_rows, len(batch.ids)),
    )
    return scores.detach().float().sum(-1)


def random(classifier: Classifier, request: Request) -> Tensor:
    """Uniform numbers, one a word, from the example's own seed: the floor every method must beat."""
    word = request.batch.word.cpu().numpy()
    scores = np.zeros(word.shape)
    for row, seed in enumerate(request.seeds):
        drawn = np.random.default_rng(seed).random(max(int(word[row].max()), 0) + 1)
        scores[row] = np.where(word[row] == OUTSIDE, 0.0, drawn[word[row]])
    return torch.from_numpy(scores)


def attention_x_gradient(classifier: Classifier, request: Request) -> Tensor:
    """Last layer's attention from [CLS] times its gradient, negatives cut off, mean over heads."""
    batch = request.batch
    with torch.enable_grad(), eager_attention(classifier), classifier.autocast():
        vectors = embed(classifier, batch).requires_grad_()  # weights are frozen: the graph starts here
        inputs = classifier.inputs(batch)
        output = classifier.model(inputs_embeds=vectors, **inputs, output_attentions=True)
        chosen = output.logits.float().gather(1, request.target[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, output.attentions[-1])
    product = output.attentions[-1].detach().float() * gradient.float()
    scores: Tensor = product.clamp(min=0).mean(1)[:, 0]
    return scores


def leave_one_out(classifier: Classifier, request: Request) -> Tensor:
    """How much the class's probability falls when a word's pieces are deleted; a pass for each word."""
    rows = [_window(request.batch, row) for row in range(len(request.target))]
    words = [(row, int(w)) for row, window in enumerate(rows) for w in np.unique(window.word) if w != OUTSIDE]
    shorter = [_without_word(classifier, rows[row], word) for row, word in words]
    probs = window_probs(classifier, [*rows, *shorter])
    target = request.target.cpu().numpy()
    scores = np.zeros(request.batch.ids.shape)
    for (row, word), left in zip(words, probs[len(rows) :], strict=True):
        pieces = np.flatnonzero(rows[row].word == word)
        scores[row, pieces] = probs[row, target[row]] - left[target[row]]
    return torch.from_numpy(scores)


def _window(batch: Batch, row: int) -> Window:
    real = batch.real[row]
    return Window(*(t[row][real].cpu().numpy() for t in (batch.ids, batch.word, batch.types)))


def _without_word(classifier: Classifier, window: Window, word: int) -> Window:
    removed = np.arange(window.word.max() + 1) == word
    return classifier.encoder.remove([window], removed)[0]


def survivors(classifier: Classifier, request: Request) -> Tensor:
    """How many layers of a token-dropping model each piece survived; its own choice: all of them."""
    return adaptive.survivors(classifier, request.batch)


def contribution(classifier: Classifier, request: Request) -> Tensor:
    """Mean over layers of a token-dropping model's predicted contributions."""
    return adaptive.contribution(classifier, request.batch)


METHODS: dict[str, Method] = {
    "attention": Method(attention, "max", signed=False, gradients=False, source="HateXplain 2021"),
    "rollout": Method(rollout, "max", signed=False, gradients=False, source="arXiv 2005.00928"),
    "gradient_x_input": Method(
        gradient_x_input, "sum", signed=True, gradients=True, source="arXiv 1605.01713"
    ),
    "gradient_x_input_l2": Method(
        gradient_x_input_l2, "max", signed=False, gradients=True, source="arXiv 1605.01713"
    ),
    "integrated_gradients": Method(
        integrated_gradients, "sum", signed=True, gradients=True, source="arXiv 1703.01365"
    ),
    "attention_x_gradient": Method(
        attention_x_gradient, "max", signed=False, gradients=True, source="arXiv 2103.15679, one layer"
    ),
    "leave_one_out": Method(
        leave_one_out, "max_magnitude", signed=True, gradients=False, source="arXiv 1612.08220"
    ),
    "survivors": Method(
        survivors,
        "max",
        signed=False,
        gradients=False,
        source="AdapLeR 2022",
        adaptive=True,
        own=adaptive.n_layers,
    ),
    "contribution": Method(
        contribution, "max", signed=False, gradients=False, source="AdapLeR 2022", adaptive=True
    ),
    "random": Method(random, "max", signed=False, gradients=False, source="floor"),
}


def method_named(name: str) -> Method | None:
    """Return a method of METHODS, or `survivors@K`, whose own choice is what reached layer K; else None."""
    base, at, layer = name.partition("@")
    if base == "survivors" and at and layer.isdecimal():
        return replace(METHODS[base], own=partial(adaptive.at_layer, int(layer)))
    return METHODS.get(name)
