"""Does a toxicity score serve every community alike? HateXplain's three AUCs for each, and their mean.

A post is toxic if its label is hatespeech or offensive; its score is P(hatespeech) + P(offensive). The AUC
is the share of (toxic, other) pairs that the score has in the right order, a tie half, of these posts:

    subgroup_auc   toxic posts about the community, other posts about it
    bpsn_auc       toxic posts of the background, other posts about it: low where harmless talk looks toxic
    bnsp_auc       toxic posts about it, other posts of the background: low where attacks look harmless

(Borkan et al. 2019, https://arxiv.org/abs/1903.04561). Overall: the generalised mean with power -5, which
leans towards the communities served worst.

Source: Bias_Calculation_NB.ipynb (commit 2d804e2) and testing_for_bias.py (2377748) of
https://github.com/hate-alert/HateXplain (Mathew et al. 2021). Followed: the ten most frequent communities, of
which "Other" is none; a post is about those that two annotators name; the background are the posts about
another of the ten, so that a post about none of them is in no AUC; the power. Different here:

- the communities are those of the examples given. There they are counted over all splits, and a post that
  no two annotators agree on counts for whichever community was named last. On the published test split the
  ten are the same;
- the score comes from three classes, there from a model trained on two;
- a community that lacks one of the classes has no AUC and is left out of the mean; there it is an error;
- intervals, and `background="all"`: every post that is not about the community, as Borkan et al. have it.

Axes: N example, R resample, G community.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eraser.data.hatexplain import TOXIC
from eraser.errors import Fault, InputError, short_repr
from eraser.metrics.bootstrap import interval, resamples
from eraser.metrics.ranking import roc_auc
from eraser.types import Example, Floats, Mask, Prediction

Background = Literal["targeted", "all"]

N_COMMUNITIES = 10
NO_COMMUNITY = frozenset({"None", "Other"})
POWER = -5.0


@dataclass(frozen=True)
class Community:
    """A community with its posts, the toxic ones among them, and its AUCs: NaN where a class is missing."""

    name: str
    n: int
    n_toxic: int
    subgroup_auc: float
    bpsn_auc: float
    bnsp_auc: float


@dataclass(frozen=True)
class CommunityMean:
    """The generalised mean of an AUC over `n` communities, `left_out` more having none.

    `low` to `high` is its 95 % interval over examples.
    """

    metric: str
    value: float
    low: float
    high: float
    n: int
    left_out: int


@dataclass(frozen=True)
class Bias:
    """The communities, most frequent first, the means of their AUCs, and the examples these stand on.

    `n` examples were given, `n_targeted` of them are about at least one of the communities.
    """

    communities: tuple[Community, ...]
    means: tuple[CommunityMean, ...]
    n: int
    n_targeted: int


def score_bias(
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    background: Background = "targeted",
    seed: int = 0,
) -> Bias:
    """Return the AUCs of the ten most frequent communities and their generalised means, each in [0, 1].

    Args:
        examples: with labels and `tags`; those of a whole split.
        predictions: one for each example, in any order; `probs` must name both toxic classes.
        background: HateXplain's own, or all posts that are not about the community.
        seed: of the 1,000 resamples of examples. The communities stay those of the full sample; one that
            lacks a class in a resample is left out of that resample's mean.

    Raises:
        InputError: no example has a community, all or none are toxic, or probabilities are missing.
    """
    if background not in ("targeted", "all"):
        raise InputError(Fault("background targeted or all", short_repr(background)))
    toxic, toxicity = _toxic(examples), _toxicity(examples, predictions)
    names = frequent_communities(examples)
    about = np.array([[name in e.tags for e in examples] for name in names])  # [G,N]
    targeted = np.any(about, axis=0)
    pool = targeted if background == "targeted" else np.ones_like(targeted)
    compared = [_compared(toxic, of, pool) for of in about]
    aucs = [{m: roc_auc(toxic[posts], toxicity[posts]) for m, posts in c.items()} for c in compared]
    weights = resamples(len(examples), seed)
    means = [
        _mean(m, np.array([a[m] for a in aucs]), _drawn(toxic, toxicity, [c[m] for c in compared], weights))
        for m in aucs[0]
    ]
    communities = tuple(
        Community(name, int(of.sum()), int((of & toxic).sum()), **found)
        for name, of, found in zip(names, about, aucs, strict=True)
    )
    return Bias(communities, tuple(means), len(examples), int(targeted.sum()))


def frequent_communities(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the ten communities that most examples are about, most frequent first, ties by name.

    Raises:
        InputError: no example is about any.
    """
    counts = Counter(tag for e in examples for tag in e.tags - NO_COMMUNITY)
    if not counts:
        raise InputError(Fault.of("no example names a target community (tags)"))
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:N_COMMUNITIES])


def generalised_mean(values: Floats) -> Floats:
    """Return (mean of x^-5)^(-1/5) over the last axis, NaN left out; 0 where any x is 0.

    >>> round(float(generalised_mean(np.array([0.5, 1.0, np.nan]))), 4)
    0.5708
    """
    known = ~np.isnan(values)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = np.where(known, np.where(known, values, 1.0) ** POWER, 0.0).sum(axis=-1)
        mean: Floats = (total / known.sum(axis=-1)) ** (1 / POWER)
    return mean


def _toxic(examples: Sequence[Example]) -> Mask:
    """Return where an example [N] is toxic."""
    toxic = np.array([e.label in TOXIC for e in examples], dtype=bool)
    if toxic.all() or not toxic.any():
        expected = f"examples labelled {' or '.join(sorted(TOXIC))} beside others"
        raise InputError(Fault(expected, f"only labels {sorted({e.label for e in examples})}"))
    return toxic


def _toxicity(examples: Sequence[Example], predictions: Sequence[Prediction]) -> Floats:
    """Return P(hatespeech) + P(offensive) of each example [N]."""
    by_id = {p.example_id: p for p in predictions}
    probs = [by_id[e.id].probs if e.id in by_id else {} for e in examples]
    toxicity = np.array([sum(p.get(label, np.nan) for label in sorted(TOXIC)) for p in probs])
    if missing := np.flatnonzero(~np.isfinite(toxicity)).tolist():
        expected = f"a prediction with probabilities of {' and '.join(sorted(TOXIC))}"
        raise InputError(*(Fault(expected, short_repr(dict(probs[i])), id=examples[i].id) for i in missing))
    return toxicity


def _compared(toxic: Mask, of: Mask, pool: Mask) -> dict[str, Mask]:
    """Return for each AUC which posts [N] it compares; `of` are the community's, `pool` may be background."""
    outside = pool & ~of
    return {
        "subgroup_auc": of,
        "bpsn_auc": (of & ~toxic) | (outside & toxic),
        "bnsp_auc": (of & toxic) | (outside & ~toxic),
    }


def _drawn(toxic: Mask, toxicity: Floats, compared: Sequence[Mask], weights: Floats) -> Floats:
    """Return the AUC of each community in each resample [R,G]."""
    aucs = [weighted_aucs(toxic[p], toxicity[p], weights[:, p]) for p in compared]
    return np.stack(aucs, axis=1)


def weighted_aucs(toxic: Mask, toxicity: Floats, weights: Floats) -> Floats:
    """Return the AUC [R] of posts that count `weights` times [R,N], NaN where one class does not count."""
    order = np.argsort(toxicity, kind="stable")
    _, levels = np.unique(toxicity[order], return_index=True)  # equal scores are one level
    weights, toxic = weights[:, order], toxic[order]
    right = np.add.reduceat(weights * toxic, levels, axis=1)
    other = np.add.reduceat(weights * ~toxic, levels, axis=1)
    below = other.cumsum(axis=1) - other / 2  # others that score lower, a tie half
    with np.errstate(invalid="ignore"):
        aucs: Floats = (right * below).sum(axis=1) / (right.sum(axis=1) * other.sum(axis=1))
    return aucs


def _mean(metric: str, aucs: Floats, drawn: Floats) -> CommunityMean:
    """Return the mean of AUCs [G] with its interval from those of the resamples [R,G]."""
    missing = np.isnan(aucs)
    low, high = interval(generalised_mean(drawn))
    value, n = float(generalised_mean(aucs)), int((~missing).sum())
    return CommunityMean(metric, value, low, high, n, int(missing.sum()))
