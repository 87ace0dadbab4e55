"""What turns with a choice: the methods' order with the way words go, plausibility with faithfulness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from eraser.metrics.answers import correlation as pearson
from eraser.metrics.bootstrap import resamples
from eraser.metrics.table import rows_of
from eraser.types import Floats
from rationale.evaluation.per_example import NO_BUDGET, per_example_metrics
from rationale.evaluation.plan import Evaluation
from rationale.settings import BASELINES
from rationale.trusting.contract import MIN_EXAMPLES, OPERATORS, Finding, TestResult
from rationale.trusting.statistics.agreement import spearman

MATCHED = "matched"
PLAUSIBLE, FAITHFUL = "average_precision", "aopc_comprehensiveness"


def operator_table(results: Sequence[TestResult]) -> pd.DataFrame:
    """Return a row a method: its share of random rationales beaten under each way words go, and its rank.

    `agree` says whether all ways find it better than random, or none. Empty where the test was not run.
    """
    of_test = [f for r in results if r.test == MATCHED for f in r.findings if f.details.get("ways")]
    ways = {f.method: f.details["ways"] for f in of_test}
    rows: dict[str, dict[str, Any]] = {m: {} for m in ways}
    for how in OPERATORS:
        wins = {m: found["value"] for m, of in ways.items() if (found := of.get(f"{how}, words")) is not None}
        ranks = rankdata([-w for w in wins.values()], method="min") if wins else []
        for (method, win), rank in zip(wins.items(), ranks, strict=True):
            rows[method] |= {how: float(win), f"rank_{how}": int(rank)}
    agree = {f.method: {"agree": f.details.get("operators_agree")} for f in of_test}
    return pd.DataFrame.from_dict({m: row | agree[m] for m, row in rows.items() if row}, orient="index")


def operator_agreement(results: Sequence[TestResult]) -> list[dict[str, Any]]:
    """Return Spearman's correlation of the methods' order for each two ways that words go; no baselines.

    Its interval is over the texts, each drawn with all methods and both ways; NaN where a method told words
    apart in other texts than the rest: with fewer than two texts common to all.
    """
    of_test = [f for r in results if r.test == MATCHED for f in r.findings if f.method not in BASELINES]
    wins = {how: _wins(of_test, how) for how in OPERATORS}
    found = []
    for one, other in combinations((how for how in OPERATORS if wins[how]), 2):
        methods = [m for m in wins[one] if m in wins[other]]
        if len(methods) > 2:  # noqa: PLR2004 (two are in one order or the other)
            both = [np.array([wins[how][m] for m in methods]).T for how in (one, other)]  # [N,M] each
            rho = spearman(*(np.nanmean(of, axis=0) for of in both))
            low, high = _interval(*both)
            found.append(
                {"one": one, "other": other, "rho": rho, "low": low, "high": high, "methods": len(methods)}
            )
    return found


def _wins(findings: Sequence[Finding], how: str) -> dict[str, list[float]]:
    """Return each method's share of random rationales beaten in each text [N], where it has any."""
    ways = {f.method: f.details.get("ways", {}).get(f"{how}, words") for f in findings}
    known = {m: [np.nan if w is None else w for w in way["by_text"]] for m, way in ways.items() if way}
    return {m: wins for m, wins in known.items() if not np.isnan(wins).all()}


def _interval(one: Floats, other: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the rank correlation of the columns' means, of wins [N,M]."""
    whole = ~np.isnan(one).any(1) & ~np.isnan(other).any(1)  # [N]: texts that all methods have
    if whole.sum() < 2:  # noqa: PLR2004 (one text alone does not vary)
        return np.nan, np.nan
    drawn = resamples(int(whole.sum()))  # [R,N]
    x, y = (rankdata((drawn @ of[whole]).round(9), axis=1) for of in (one, other))  # [R,M] each
    moments = np.stack([of.mean(1) for of in (x, y, x * x, y * y, x * y)], axis=1)  # [R,5]
    rho = pearson(moments)  # [R]; NaN where all methods tie
    if np.isnan(rho).all():
        return np.nan, np.nan
    low, high = np.nanquantile(rho, [0.025, 0.975])
    return float(low), float(high)


def correlation(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return Pearson's r between agreement and faithfulness over texts, methods' means taken away.

    All methods but the baselines together, with a bootstrap interval over texts; None without either, or of
    fewer than MIN_EXAMPLES texts.
    """
    columns = per_example_metrics(evaluation)
    pairs = []
    for method in (m for m in evaluation.settings.methods if m not in BASELINES):
        one, other = (rows_of(columns[name, NO_BUDGET, method]) for name in (PLAUSIBLE, FAITHFUL))
        if one.size and other.size:
            pairs.append((one[:, 0], other[:, 0]))
    if not pairs:
        return None
    found = [x for x in (_centred(*pair) for pair in pairs) if x is not None]
    if not found:
        return None
    people, model = (np.stack(x, 1) for x in zip(*found, strict=True))  # [N,method]
    n = len(people)
    r = _r(np.ones((1, n)), people, model)[0]
    drawn = _r(resamples(n, evaluation.settings.seed), people, model)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    texts = int((~np.isnan(people)).any(1).sum())
    return {"r": float(r), "low": float(low), "high": float(high), "n": texts, "methods": people.shape[1]}


def _centred(one: Floats, other: Floats) -> tuple[Floats, Floats] | None:
    """Return both without their means over the texts that have both, NaN elsewhere."""
    kept = ~np.isnan(one) & ~np.isnan(other)
    if kept.sum() < MIN_EXAMPLES or not one[kept].std() or not other[kept].std():
        return None
    one, other = np.where(kept, one, np.nan), np.where(kept, other, np.nan)
    return one - np.nanmean(one), other - np.nanmean(other)


def _r(weights: Floats, one: Floats, other: Floats) -> Floats:
    """Return the correlation of columns [N,M] under weights of the texts [R,N] → [R]."""
    x, y = np.nan_to_num(one), np.nan_to_num(other)
    both, own, others = (weights @ (a * b).sum(1) for a, b in ((x, y), (x, x), (y, y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = both / np.sqrt(own * others)
    return found
