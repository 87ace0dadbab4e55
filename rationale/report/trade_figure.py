"""What plausibility costs: a mark for each model, agreement with annotators against all else."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from rationale.hatexplain.protocol import OF_MODEL
from rationale.hatexplain.table import HEADS
from rationale.report.label_placement import label_marks
from rationale.report.plots import new_figure, scatter

PLAUSIBLE = "token_f1"
AGAINST = ("comprehensiveness", "sufficiency", "accuracy", "gmb_bpsn")  # faithfulness, the task, fairness
LOWER = frozenset({"sufficiency"})


def trade_figure(table: pd.DataFrame, unit: str = "words", method: str = "attention") -> Figure:
    """Return token F1 of a method's rationales against faithfulness, accuracy and fairness.

    Args:
        table: of `as_table`; a mark is a model's mean over trainings. Its bars are the interval, or the
            lowest and the highest training where a number has none.
        unit: words or pieces.
        method: whose rationales.
    """
    rows = table[(table.unit == unit) & table.method.isin([method, OF_MODEL])]
    figure, axes = new_figure(len(AGAINST), width=3.6, height=3.4)
    for ax, metric in zip(axes, AGAINST, strict=True):
        scatter(ax, _as_scores(rows, metric), (PLAUSIBLE, ""), (metric, ""))
        ax.set_xlabel(f"{HEADS[PLAUSIBLE]} of {method}, in {unit}; higher is better", fontsize=8)
        better = "lower" if metric in LOWER else "higher"
        ax.set_ylabel(f"{HEADS[metric].removesuffix(' ↓')}; {better} is better", fontsize=8)
    for ax in axes:  # when all is drawn that takes room
        label_marks(ax)
    return figure


def _as_scores(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the rows of token F1 and another number in the form of a run's scores, a model as a method."""
    two = rows[rows.metric.isin([PLAUSIBLE, metric])]
    ends = {"low": two.low.fillna(two.lowest), "high": two.high.fillna(two.highest)}
    n = two.n.fillna(0) if "n" in two else 0
    return two.assign(**ends, n=n, method=two.model, budget="", better="higher")
