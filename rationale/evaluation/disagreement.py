"""Where methods disagree, with each other and with the human rationales."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from eraser.metrics.agreement import MetricColumns
from eraser.types import Floats

if TYPE_CHECKING:  # the tables that use this are read without torch
    from rationale.evaluation.plan import Evaluation

BLOCK = 32  # words compared with all later ones at once: what bounds the memory
MIN_WORDS = 5  # rankings of fewer words differ at random
Found = tuple[int, float]  # (index of an example, how much it agrees)


def kendall(scores: Floats) -> Floats:
    """Return Kendall's τ-b between all methods [M,M] from their word scores [M,W], NaN where one is constant.

    τ-b = Σ sᵢsⱼ / √(Σ sᵢ² Σ sⱼ²) over the pairs of words, s = −1, 0 or 1 as a method ranks the pair: a matrix
    product. Of two methods, words that one has no score of are left out.
    """
    known = ~np.isnan(scores)
    if (known == known[0]).all():
        return _kendall(scores[:, known[0]])
    tau: Floats = np.full((len(scores), len(scores)), np.nan)
    for i, j in combinations_with_replacement(range(len(scores)), 2):
        tau[i, j] = tau[j, i] = _kendall(scores[[i, j]][:, known[i] & known[j]])[0, 1]
    return tau


def _kendall(read: Floats) -> Floats:
    """Return τ-b between all methods [M,M] from scores [M,W] without NaN."""
    n_methods, n_words = read.shape
    ranks = rankdata(read, method="dense", axis=1).astype(np.float32)
    same_order = np.zeros((n_methods, n_methods))
    for start in range(0, n_words, BLOCK):
        steps = ranks[:, None, start:] - ranks[:, start : start + BLOCK, None]
        signs = np.triu(np.clip(steps, -1, 1)).reshape(n_methods, -1)
        same_order += signs @ signs.T
    untied = np.diag(same_order)
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: Floats = same_order / np.sqrt(np.outer(untied, untied))
    return tau


def method_taus(evaluation: Evaluation) -> Floats:
    """Return Kendall's τ-b of each example between all methods of the run [N,M,M], in the settings' order."""
    first = evaluation.budgets[0]  # scores are the same under every budget
    of_methods = [evaluation.predictions[method, first] for method in evaluation.settings.methods]
    return np.array([kendall(np.stack([p.scores for p in row])) for row in zip(*of_methods, strict=True)])


def furthest_from_annotators(by_method: Sequence[Sequence[MetricColumns]], n: int) -> list[Found]:
    """Return the n examples whose average precision, mean over methods, is lowest, that first.

    Methods without one, which pick words and rank none, have no say.

    Args:
        by_method: for each method the columns of average precision of each example.
        n: how many; fewer where fewer have human evidence.
    """
    rows = enumerate(zip(*by_method, strict=True))
    known = ((i, [c[0] for c in row if c is not None]) for i, row in rows)
    found = [(i, float(np.mean(precisions))) for i, precisions in known if precisions]
    return sorted(found, key=lambda pair: pair[1])[:n]


def furthest_apart(pairs: Sequence[Sequence[MetricColumns]], n_words: Sequence[int], n: int) -> list[Found]:
    """Return the n examples whose τ, mean over pairs of methods, is lowest, that first.

    Texts of fewer than MIN_WORDS words, and pairs whose τ is undefined, have no say.

    Args:
        pairs: for each two methods the column of τ of each example.
        n_words: of each example.
        n: how many.
    """
    found = []
    for i, words in enumerate(n_words):
        known = [tau[0] for pair in pairs if (tau := pair[i]) is not None]
        if known and words >= MIN_WORDS:
            found.append((i, float(np.mean(known))))
    return sorted(found, key=lambda pair: pair[1])[:n]
