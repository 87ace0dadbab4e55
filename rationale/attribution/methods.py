"""Attribution methods: each a function (classifier, request) → one score per word piece [B,T].

To add one: a function and a line in METHODS.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rationale.attribution import attention as attn
from rationale.attribution import gradients as grad
from rationale.attribution import perturbation as pert
from rationale.attribution import survivors as adaptive
from rationale.attribution.backward import relevance as rel
from rationale.attribution.learned import learned, no_head
from rationale.attribution.request import AttributionBatch
from rationale.explanations.pooling import Reduce
from rationale.text.windows import OUTSIDE

if TYPE_CHECKING:
    from rationale.hf.classifier import Classifier
    from rationale.text_classifier import TextClassifier

Scores = Callable[[Any, AttributionBatch], Tensor]  # …, of a Classifier, or of whatever can be asked
Need = Callable[[Any], str | None]  # why not, in words that end in what does work; None where it fits


@dataclass(frozen=True)
class Method:
    """A method: its function, how scores of pieces become a word's, whether they have a sign, its source.

    `uses` names the settings its scores depend on (`seed` too). `expected_sum` is what the scores of a window
    should sum to, for methods that promise that. `selection_threshold` gives the score from which a word is
    selected, for methods that select; `adaptive` marks what only a token-dropping model can do, `asks` what
    needs no more than answers to texts, and so explains a function too. `needs` says why a classifier lacks
    what the method needs, or None; a method that is `tried` must also score two short texts alone as it does
    together before it is used on a model (see `rationale.attribution.fit`). `taught` marks what only a model
    with a rationale head can do.
    """

    scores: Scores
    reduce: Reduce
    signed: bool
    source: str
    uses: tuple[str, ...] = ()
    expected_sum: Scores | None = None
    adaptive: bool = False
    selection_threshold: Callable[[Any], float] | None = None
    asks: bool = False
    needs: Need | None = None
    tried: bool = False
    taught: bool = False

    @property
    def code(self) -> str:
        """The source of a function from outside this package, on which its parts on disk depend."""
        if not inspect.isfunction(self.scores) or self.scores.__module__.startswith("rationale."):
            return ""
        try:
            return inspect.getsource(self.scores)
        except OSError:  # typed at a prompt
            return self.scores.__code__.co_code.hex()


def random(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """Uniform random scores, one per word, from the example's own seed: the baseline to beat."""
    word = request.batch.word.cpu().numpy()
    scores = np.zeros(word.shape)
    for row, seed in enumerate(request.seeds):
        drawn = np.random.default_rng(seed).random(max(int(word[row].max()), 0) + 1)
        scores[row] = np.where(word[row] == OUTSIDE, 0.0, drawn[word[row]])
    return torch.from_numpy(scores)


def position(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """The text's first words first: 1 / (1 + place of the word)."""
    word = request.batch.word.double()
    return torch.where(word == OUTSIDE, 0.0, 1 / (1 + word.clamp(min=0)))


def survivors(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """How many layers of a token-dropping model each piece survived; selected are those that survived all."""
    return adaptive.survivors(classifier, request.batch)


def contribution(classifier: Classifier, request: AttributionBatch) -> Tensor:
    """Mean over layers of a token-dropping model's predicted contributions."""
    return adaptive.contribution(classifier, request.batch)


def _weights(scores: Scores, source: str, uses: tuple[str, ...] = (), needs: Need | None = None) -> Method:
    """How much a word matters, for or against: scores without a sign, a word's the largest of its pieces."""
    return Method(scores, "max", False, source, uses, needs=needs, tried=True)


def _effects(
    scores: Scores,
    source: str,
    uses: tuple[str, ...],
    expected_sum: Scores | None = None,
    needs: Need | None = None,
) -> Method:
    """What a word adds to the answer: signed scores, a word's the sum of its pieces."""
    return Method(scores, "sum", True, source, uses, expected_sum, needs=needs, tried=True)


def _chosen(scores: Scores, selection_threshold: Callable[[Classifier], float] | None = None) -> Method:
    """What a model that drops tokens says of them itself."""
    return Method(
        scores,
        "max",
        False,
        "AdapLeR 2022",
        adaptive=True,
        selection_threshold=selection_threshold,
        needs=adaptive.drops_none,
    )


def _asking(
    scores: Scores, source: str, uses: tuple[str, ...] = (), expected_sum: Scores | None = None
) -> Method:
    """What a word adds to the answer, found from answers to changed texts alone."""
    return Method(scores, "sum", True, source, ("explain", "replace", *uses), expected_sum, asks=True)


def _baseline(scores: Scores, uses: tuple[str, ...] = ()) -> Method:
    return Method(scores, "max", False, "baseline", uses, asks=True)


METHODS: dict[str, Method] = {
    "attention": _weights(attn.attention, "HateXplain 2021", needs=attn.no_rows),
    "attention_max": _weights(attn.attention_max, "largest head", needs=attn.no_rows),
    "attention_layers": _weights(attn.attention_layers, "mean of layers", needs=attn.no_rows),
    "rollout": _weights(attn.rollout, "arXiv 2005.00928", needs=attn.no_rows),
    "value_norm": _weights(attn.value_norm, "arXiv 2004.10102", needs=attn.no_values),
    "attention_x_gradient": _weights(
        attn.attention_x_gradient, "arXiv 2103.15679, one layer", uses=("explain",), needs=attn.no_rows
    ),
    "saliency": _weights(grad.saliency, "arXiv 1312.6034", uses=("explain",)),
    "gradient_x_input": _effects(grad.gradient_x_input, "arXiv 1605.01713", uses=("explain",)),
    "gradient_x_input_l1": _weights(grad.gradient_x_input_l1, "arXiv 1605.01713", uses=("explain",)),
    "gradient_x_input_l2": _weights(grad.gradient_x_input_l2, "arXiv 1605.01713", uses=("explain",)),
    "integrated_gradients": _effects(
        grad.integrated_gradients,
        "arXiv 1703.01365",
        uses=("explain", "ig_steps"),
        expected_sum=grad.expected_sum,
    ),
    "gradient_shap": _effects(
        grad.gradient_shap,
        "arXiv 1705.07874",
        uses=("explain", "gradient_shap_samples", "seed"),
        expected_sum=grad.expected_sum,
    ),
    "deeplift": _effects(
        grad.deeplift,
        "arXiv 1704.02685",
        uses=("explain",),
        expected_sum=grad.expected_sum,
        needs=grad.no_rescaling,
    ),
    "attn_lrp": _effects(
        rel.attn_lrp,
        "arXiv 2402.05602",
        uses=("explain",),
        expected_sum=grad.full_answer,
        needs=rel.not_conserved,
    ),
    "gim": _effects(rel.gim, "arXiv 2505.17630", uses=("explain", "gim_temperature"), needs=rel.no_softmax),
    "leave_one_out": _asking(pert.leave_one_out, "arXiv 1612.08220"),
    "occlusion": _asking(pert.occlusion, "arXiv 1311.2901", uses=("occlusion_words",)),
    "lime": _asking(pert.lime, "arXiv 1602.04938", uses=("lime_samples", "seed")),
    "kernel_shap": _asking(
        pert.kernel_shap, "arXiv 1705.07874", uses=("shap_samples", "seed"), expected_sum=pert.expected_sum
    ),
    "learned": Method(
        learned, reduce="max", signed=False, source="a rationale head", needs=no_head, tried=True, taught=True
    ),
    "survivors": _chosen(survivors, adaptive.n_layers),
    "contribution": _chosen(contribution),
    "position": _baseline(position),
    "random": _baseline(random, uses=("seed",)),
}


def method_named(name: str) -> Method | None:
    """Return a method of METHODS, or `survivors@K`, which selects what reached layer K; else None."""
    base, at, layer = name.partition("@")
    if base == "survivors" and at and layer.isdecimal():
        return replace(METHODS[base], selection_threshold=partial(adaptive.at_layer, int(layer)))
    return METHODS.get(name)


def codes_of(names: Iterable[str]) -> dict[str, str]:
    """Return a hash of the code of each method from outside this package."""
    codes = {name: method.code for name in names if (method := method_named(name)) is not None}
    return {f"code_of_{n}": sha256(code.encode()).hexdigest() for n, code in codes.items() if code}
