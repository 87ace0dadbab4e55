"""Attribution by removing words: all pieces of a word together, deleted or masked. Scores [B,T].

captum's own methods decide which words to remove and what to make of the answers. Each runs twice with the
same random numbers: once to record the texts it asks about, and once with the answers, which the engine of
the faithfulness metrics gives to the texts of all windows together. A word's score is divided among its
pieces, so that they sum to it.

Axes: B window, T piece, Q question, q of one call, U word of a window, C logit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import FeatureAblation, KernelShap, Lime, Occlusion
from numpy.typing import NDArray
from torch import Tensor

from eraser.progress import progress
from eraser.types import Floats
from rationale.attribution.request import AttributionBatch, explained_values
from rationale.inference.ablate import coalition_logits, words_of
from rationale.settings import AttributionSettings
from rationale.text.windows import Window
from rationale.text_classifier import TextClassifier

Answer = Callable[[Tensor], Tensor]  # words present [Q,U] → what is explained [Q]
Explainer = Callable[[Answer, Tensor, AttributionSettings], Tensor]  # …, all words present [1,U] → [1,U]


def expected_sum(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """Return what Shapley values should sum to [B]: the answer minus that without any word."""
    windows = request.windows()
    ends = [np.array([[True], [False]]).repeat(len(words_of(w)), axis=1) for w in windows]
    logits = coalition_logits(classifier, windows, ends, request.settings.replace)  # [2,C] of each window
    values = [
        explained_values(of_window, int(target), request.settings.explain, classifier.head)
        for of_window, target in zip(logits, request.target, strict=True)
    ]
    return torch.stack([full - empty for full, empty in values])  # [B]


def _perturb(explainer: Explainer, classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    windows, s = request.windows(), request.settings
    questions = [_ask(explainer, w, seed, s) for w, seed in zip(windows, request.seeds, strict=True)]
    logits = coalition_logits(classifier, windows, questions, s.replace)  # [Q,C] of each window
    scores = torch.zeros(request.batch.ids.shape, dtype=torch.float64)  # [B,T]
    for row, window in enumerate(progress(windows, explainer.__name__.lstrip("_"), "windows")):
        values = explained_values(logits[row], int(request.target[row]), s.explain, classifier.head)  # [Q]
        found = _hear(explainer, window, request.seeds[row], s, values)  # [U]
        at = np.searchsorted(words_of(window), window.word)  # [T]
        inside = window.word >= 0  # [T]
        pieces = np.bincount(at[inside], minlength=len(found))  # [U]
        scores[row, : len(window)][torch.from_numpy(inside)] = torch.from_numpy((found / pieces)[at[inside]])
    return scores


def _run(explainer: Explainer, answer: Answer, window: Window, seed: int, s: AttributionSettings) -> Tensor:
    """Run a method on one window, with random numbers of its own."""
    words = len(words_of(window))
    if not words:
        return torch.zeros(1, 0)  # [1,U]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        return explainer(answer, torch.ones(1, words, dtype=torch.float64), s)


def _ask(explainer: Explainer, window: Window, seed: int, s: AttributionSettings) -> NDArray[np.bool_]:
    """Return the words present in each question [Q,U] that the method will ask."""
    asked: list[Tensor] = []

    def note(present: Tensor) -> Tensor:
        asked.append(present.bool())  # [q,U]
        return torch.zeros(len(present), dtype=torch.float64)  # [q]

    _run(explainer, note, window, seed, s)
    return torch.cat(asked).numpy() if asked else np.zeros((0, 0), dtype=bool)  # [Q,U]


def _hear(explainer: Explainer, window: Window, seed: int, s: AttributionSettings, values: Tensor) -> Floats:
    """Return the method's score of each word [U], given the answers [Q] to its questions in order."""
    given = 0

    def answer(present: Tensor) -> Tensor:
        nonlocal given
        given += len(present)
        return values[given - len(present) : given]  # [q]

    return _run(explainer, answer, window, seed, s)[0].double().numpy()  # [1,U] → [U]


def _leave_one_out(answer: Answer, words: Tensor, s: AttributionSettings) -> Tensor:
    found: Tensor = FeatureAblation(answer).attribute(words, perturbations_per_eval=words.shape[1])  # [1,U]
    return found


def _occlusion(answer: Answer, words: Tensor, s: AttributionSettings) -> Tensor:
    shape = (min(s.occlusion_words, words.shape[1]),)
    found: Tensor = Occlusion(answer).attribute(
        words, sliding_window_shapes=shape, perturbations_per_eval=words.shape[1]
    )
    return found


def _lime(answer: Answer, words: Tensor, s: AttributionSettings) -> Tensor:
    found: Tensor = Lime(answer, interpretable_model=SkLearnRidge(alpha=1.0)).attribute(
        words, n_samples=s.lime_samples, perturbations_per_eval=s.lime_samples
    )
    return found


def _kernel_shap(answer: Answer, words: Tensor, s: AttributionSettings) -> Tensor:
    if 2 ** words.shape[1] <= s.shap_samples or words.shape[1] == 1:  # captum draws from no coalitions of one
        return _shapley(answer, words.shape[1])
    found: Tensor = KernelShap(answer).attribute(
        words, n_samples=s.shap_samples, perturbations_per_eval=s.shap_samples
    )
    return found


def _shapley(answer: Answer, n: int) -> Tensor:
    """Return the Shapley values [1,U] of n words from all their coalitions, no more than would be drawn.

    A word's value is the mean of what it adds to coalitions of each size (arXiv 1705.07874, equation 4).
    """
    places = torch.arange(n)  # [U]
    present = (torch.arange(2**n)[:, None] >> places) & 1  # [Q,U], Q all coalitions, in binary
    values = answer(present.double())  # [Q]
    found = []
    for place in places.tolist():
        without = torch.nonzero(present[:, place] == 0).squeeze(1)  # [Q/2]
        added = values[without + 2**place] - values[without]  # [Q/2]
        size = present[without].sum(1)  # [Q/2]
        ways = torch.tensor([comb(n - 1, k) for k in size.tolist()], dtype=torch.float64)  # [Q/2]
        found.append((added / ways).sum() / n)
    return torch.stack(found)[None]  # [1,U]


def leave_one_out(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """How much the explained value falls when the word is removed; one pass per word."""
    return _perturb(_leave_one_out, classifier, request)


def occlusion(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """How much it falls when a phrase that covers the word is removed, mean over such phrases."""
    return _perturb(_occlusion, classifier, request)


def lime(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """Weights of a ridge regression on random subsets of the words, those near the text weighing more."""
    return _perturb(_lime, classifier, request)


def kernel_shap(classifier: TextClassifier, request: AttributionBatch) -> Tensor:
    """Shapley values of the words: by regression on random subsets, or from all if those are no more."""
    return _perturb(_kernel_shap, classifier, request)
