"""What the tables of a run, or of two runs side by side, say in sentences: three first, then the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from eraser.metrics.table import METRICS
from rationale.evaluation.per_example import MODEL, NO_BUDGET
from rationale.process.terminal import digits
from rationale.report.summary import of_answers, ranking, with_interval
from rationale.settings import BASELINES
from rationale.templates.names import metric_name

QUESTIONS = (  # (what is asked, metric, whether it depends on the budget)
    ("Ranking words as the annotators do", "average_precision", False),
    ("Picking the annotators' words", "token_f1", True),
    ("Ranking sentences as the annotators do", "sentence_average_precision", False),
    ("Picking the annotators' sentences", "sentence_f1", True),
    ("Finding the words that the model needs", "aopc_comprehensiveness", False),
    ("Finding words that suffice for the model", "aopc_sufficiency", False),
)
PURPOSES = (  # (what a method is wanted for, the metrics that decide: the first that was measured)
    ("To show people", ("sentence_average_precision", "average_precision")),
    ("To know what the model used", ("aopc_comprehensiveness",)),
)
MANY = 3  # methods that tie and are all told their number; of more only the first and the last are
NAMED = 6  # methods that a sentence names; more are counted
FEW = 10  # texts: resamples of fewer are too alike for their 95 % to hold
RANDOM = "random"  # the baseline that has no signal


class Sentences(tuple[str, ...]):
    """Sentences that print one below the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(self)

    __repr__ = __str__


class Claim(NamedTuple):
    """A sentence, and the name of what its number stands in: a metric, or a test of `rationale trust`."""

    text: str
    source: str


class Advice(NamedTuple):
    """Which methods serve a purpose, in a sentence, and which are no better than random at it."""

    purpose: str
    metric: str
    text: str
    weak: tuple[str, ...] = ()
    n: int = 0

    @property
    def what(self) -> str:
        """The purpose within a sentence."""
        return f"{self.purpose[0].lower()}{self.purpose[1:]}"

    @property
    def name(self) -> str:
        """What decides."""
        return metric_name(self.metric)


def verdict(scores: pd.DataFrame, paired: pd.DataFrame) -> tuple[str, ...]:
    """Return three sentences at most: what to show people, what the model used, what not to use or the cost.

    Of few texts a fourth says so.

    Args:
        scores: a run's table of scores.
        paired: its table of paired differences between methods.
    """
    advice = [_advice(scores, paired, *purpose) for purpose in PURPOSES]
    doubts = [f"{_joined(_few(a.weak), 'and')} {a.what} ({a.name})" for a in advice if a.weak]
    last = f"Do not use {', nor '.join(doubts)}: not clearly better than random." if doubts else _cost(scores)
    least = min((a.n for a in advice if a.n), default=FEW)
    few = f"n = {least}: too few texts to rely on these intervals." if least < FEW else ""
    return tuple(text for text in (*(a.text for a in advice), last, few) if text)


def details(scores: pd.DataFrame, paired: pd.DataFrame, budget: str) -> tuple[str, ...]:
    """Return what else a run says: how right the model is, which methods lead on each metric, at what cost.

    Args:
        scores: the run's table of scores.
        paired: its table of paired differences between methods.
        budget: the rationale length at which metrics that need one are read.
    """
    right = "; ".join(f"{with_interval(row)}, n = {row['n']}" for row in of_answers(scores))
    asked = [_answer(scores, paired, *question, budget) for question in QUESTIONS]
    found = [f"The model: {right}." if right else "", *asked, _cost(scores)]
    return tuple(sentence for sentence in found if sentence)


def _answer(
    scores: pd.DataFrame, paired: pd.DataFrame, asked: str, metric: str, has_budget: bool, budget: str
) -> str:
    """Return which methods lead on a metric, and which do not clearly beat random; "" if it has no value."""
    rows = ranking(scores, paired, metric, budget if has_budget else NO_BUDGET)
    rows = rows[rows.value.notna()]
    if len(rows) < 2:
        return ""
    first = rows.iloc[0]
    tied = [m for m in rows.method[rows.tied] if m != first.method]
    where = f"{metric_name(metric)}, {first.better} is better" + f", budget {budget}" * has_budget
    text = f"{asked} ({where}): {first.method} leads with {_value(first)}, n = {first.n}"
    if tied:
        text += f"; not clearly behind: {', '.join(tied)}"
    elif first.tied:  # it was held against the others
        text += "; clearly ahead of all others"
    weak = _no_signal(rows, paired, metric, budget if has_budget else NO_BUDGET)
    return text + (f". Not clearly better than random: {', '.join(weak)}." if weak else ".")


def claims(
    scores: pd.DataFrame, paired: pd.DataFrame, failed: Mapping[str, Sequence[str]] = {}, least: int = 0
) -> tuple[Claim, ...]:
    """Return which methods serve which purpose, ties together, and which do not; baselines are not named.

    Args:
        scores: a run's table of scores; nothing is claimed without a baseline.
        paired: its table of paired differences.
        failed: by purpose, methods that a test has shown not to serve it.
        least: nothing is claimed of fewer texts.
    """
    found = []
    for purpose, metrics in PURPOSES:
        advice = _advice(scores, paired, purpose, metrics, failed.get(purpose, ()))
        if advice.n < least:
            continue
        if RANDOM in set(_measured(scores, paired, advice.metric).method):
            found.append(Claim(advice.text, advice.metric))
        if advice.weak:
            text = (
                f"Do not use {', '.join(advice.weak)} {advice.what}: "
                f"not clearly better than random on {advice.name}."
            )
            found.append(Claim(text, advice.metric))
    return tuple(found)


def _advice(
    scores: pd.DataFrame,
    paired: pd.DataFrame,
    purpose: str,
    metrics: Sequence[str],
    failed: Sequence[str] = (),
) -> Advice:
    """Return who serves one purpose, and who is no better than random; without a baseline, who leads."""
    metric = next((m for m in metrics if len(_measured(scores, paired, m))), metrics[0])
    rows = _measured(scores, paired, metric)
    if RANDOM not in set(rows.method):
        asked = next(question for question in QUESTIONS if question[1] == metric)
        n = int(rows.n.min()) if len(rows) > 1 else 0
        return Advice(purpose, metric, _answer(scores, paired, *asked, NO_BUDGET), n=n)
    weak = tuple(m for m in _no_signal(rows, paired, metric, NO_BUDGET) if m not in BASELINES)
    able = rows[~rows.method.isin((*BASELINES, *weak, *failed))]
    name = metric_name(metric)
    if able.empty:
        text = f"{purpose}: none of these methods ({name}, n = {rows.iloc[0].n})."
        return Advice(purpose, metric, text, weak, int(rows.n.min()))
    best = _leaders(able, paired, metric)
    tie = "tie; " * (len(best) > 1)
    text = (
        f"{purpose}: {_joined(_few(best.method), 'or')} ({tie}{name} {_values(best)}, n = {best.iloc[0].n})."
    )
    return Advice(purpose, metric, text, weak, int(rows.n.min()))


def _measured(scores: pd.DataFrame, paired: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the ranking of the methods that have a value of a metric without a budget."""
    rows = ranking(scores, paired, metric, NO_BUDGET)
    return rows[rows.value.notna()]


def _joined(parts: Iterable[str], by: str) -> str:
    """Return parts in a row.

    >>> _joined(["a"], "or"), _joined(["a", "b", "c"], "or")
    ('a', 'a, b or c')
    """
    *first, last = parts
    return f"{', '.join(first)} {by} {last}" if first else last


def _few(names: Iterable[str]) -> list[str]:
    """Return the first names, and how many others there are.

    >>> _few("abcdefgh")
    ['a', 'b', 'c', 'd', 'e', '3 others']
    """
    every = list(names)
    return every if len(every) <= NAMED else [*every[: NAMED - 1], f"{len(every) - NAMED + 1} others"]


def _values(rows: pd.DataFrame) -> str:
    """Return the numbers of methods, best first; of many only the ends."""
    numbers = [_value(row) for _, row in rows.iterrows()]
    return _joined(numbers, "and") if len(numbers) <= MANY else f"from {numbers[0]} to {numbers[-1]}"


def _leaders(rows: pd.DataFrame, paired: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the first of some methods, best first, and those that it does not clearly beat."""
    first = rows.iloc[0].method
    at = paired[(paired.metric == metric) & (paired.budget == NO_BUDGET) & paired.tie.astype(bool)]
    ties = {frozenset(pair) for pair in zip(at.method, at.other, strict=True)}
    return rows[[m == first or frozenset((m, first)) in ties for m in rows.method]]


def _no_signal(rows: pd.DataFrame, paired: pd.DataFrame, metric: str, budget: str) -> list[str]:
    """Return the methods that tie with the random baseline, or are worse."""
    if RANDOM not in set(rows.method):
        return []
    value, better = dict(zip(rows.method, rows.value, strict=True)), rows.better.iloc[0]
    at = paired[(paired.metric == metric) & (paired.budget == budget) & paired.tie.astype(bool)]
    ties = {frozenset(pair) for pair in zip(at.method, at.other, strict=True)}
    sign = -1 if better == "lower" else 1
    return [
        m
        for m in rows.method
        if m != RANDOM
        and not np.isnan(value[m])
        and (frozenset((m, RANDOM)) in ties or sign * (value[m] - value[RANDOM]) <= 0)
    ]


def _cost(scores: pd.DataFrame) -> str:
    """Return what the cheapest and the dearest method take."""
    rows = scores[(scores.metric == "cost") & ~scores.method.isin((RANDOM, "position"))]
    rows = rows.dropna(subset="value").sort_values("value")
    if len(rows) < 2:
        return ""
    low, high = rows.iloc[0], rows.iloc[-1]
    ends = (f"{digits(row.value)} ms ({row.method})" for row in (low, high))
    return f"Cost, median per text: from {' to '.join(ends)}."


def _value(row: Any) -> str:
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def sides(table: pd.DataFrame) -> tuple[str, ...]:
    """Return what the table of a comparison says of each pair of runs: answers, then methods.

    Args:
        table: of `rationale.report.several.compare.compare_runs`.
    """
    pairs = table.groupby(["run", "other"], sort=False)
    return tuple(s for (one, other), rows in pairs for s in _sides(str(one), str(other), rows))


def _sides(one: str, other: str, rows: pd.DataFrame) -> list[str]:
    both = rows[rows.difference.notna() & (rows.n > 0)]
    answers, methods = both[both.method == MODEL], both[both.method != MODEL]
    found = [_difference(one, other, row) for _, row in answers.iterrows()]
    sided = methods.metric.map(lambda m: METRICS[m].higher_is_better is not None).astype(bool)
    clear = methods[~methods.tie.astype(bool) & sided]
    if found and rows.method.eq(MODEL).all():  # nothing else was asked about
        return found
    if methods.empty:
        undefined = set(rows.method[rows.value.isna() & rows.other_value.isna()]) - {MODEL}
        none = (
            "measured nothing of a method that is defined in both"
            if undefined
            else "share no method to compare"
        )
        return [*found, f"{one} and {other} {none}."]
    higher = clear.metric.map(lambda m: METRICS[m].higher_is_better).astype(bool)
    wins = int(((clear.difference > 0) == higher).sum())
    text = f"Of {len(methods)} paired differences of methods, {wins} clearly favour {one}, "
    text += f"{len(clear) - wins} {other}; {int(methods.tie.astype(bool).sum())} are ties"
    without = int((~methods.tie.astype(bool) & ~sided).sum())
    found.append(text + (f"; {without} differ in numbers of which neither is better." if without else "."))
    if len(clear):
        row = clear.iloc[int(clear.difference.abs().to_numpy().argmax())]
        found.append(f"The largest clear one: {_difference(one, other, row, f' of {row.method}')}")
    if alone := [*_alone(rows)]:
        found.append(f"Measured by one run alone: {', '.join(alone)}.")
    return found


def only_one(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows of a comparison have a number in one of their two runs alone."""
    return table.difference.isna() & (table.value.notna() | table.other_value.notna())


def _alone(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the methods and budgets of which one run alone has numbers."""
    single, shared = rows[only_one(rows)], rows[rows.difference.notna()]
    yield from sorted({*single.method} - {*shared.method})
    yield from (f"all at budget {b}" for b in sorted({*single.budget} - {*shared.budget}))


def _difference(one: str, other: str, row: pd.Series[Any], whose: str = "") -> str:
    """Return one paired difference as a sentence."""
    better = METRICS[str(row.metric)].higher_is_better
    name = f"{metric_name(str(row.metric))}{whose}"
    values = f"{row.value:.3f} in {one}, {row.other_value:.3f} in {other}"
    interval = f"[{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    gap = f"difference {row.difference:+.3f} {interval}, n = {row.n}"
    if row.tie or better is None or np.isnan(row.difference):
        return f"{name}: {values}; {gap}: no clear difference."
    return f"{name}: {values}; {gap}: {one if (row.difference > 0) == better else other} is better."
