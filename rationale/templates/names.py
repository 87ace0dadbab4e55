"""What metrics are called where they are read: on axes, in tables, below figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from eraser.metrics.table import METRICS

NAMES = {
    "token_f1": "token F1",
    "token_f1_micro": "token F1 (pooled)",
    "token_iou": "token IOU",
    "iou_f1_eraser": "IOU F1",
    "iou_f1_one_to_one": "IOU F1 (one to one)",
    "false_positive_rate": "false-positive rate",
    "auprc_trapezoid": "area under precision-recall",
    "roc_auc": "ROC AUC",
    "aopc_comprehensiveness": "AOPC comprehensiveness",
    "aopc_sufficiency": "AOPC sufficiency",
    "normalised_aopc_comprehensiveness": "normalised AOPC comprehensiveness",
    "normalised_aopc_sufficiency": "normalised AOPC sufficiency",
    "tau_leave_one_out": "Kendall's τ with leave-one-out",
    "sentence_f1": "sentence F1",
    "sentence_auprc": "sentence area under precision-recall",
    "sentence_roc_auc": "sentence ROC AUC",
    "cost": "cost, ms per example (median)",
}  # others are read as they are written, without underscores
BETTER = {True: "higher", False: "lower", None: ""}


def metric_name(metric: str) -> str:
    """Return what a metric is called.

    >>> metric_name("average_precision"), metric_name("token_f1")
    ('average precision', 'token F1')
    """
    return NAMES.get(metric, metric.replace("_", " "))


def budget_name(budget: str, asked: Collection[str] = (), unit: str = "word") -> str:
    """Return what a rationale length is called; `asked` are the lengths that a run was asked for.

    >>> budget_name("ratio=0.1677", ("ratio",)), budget_name("ratio=0.1677"), budget_name("match=attention")
    ('as many words as annotators mark on average', '16.8 % of the words', 'as many words as attention picks')
    """
    kind, _, value = budget.partition("=")
    if kind == "ratio" and "ratio" in asked and budget not in asked:
        return f"as many {unit}s as annotators mark on average"
    if kind == "ratio" and value.replace(".", "", 1).isdecimal():
        return f"{100 * float(value):.3g} % of the {unit}s"
    names = {
        "own": f"as many {unit}s as the method itself chose",
        "gold": f"as many {unit}s as annotators marked",
        "match": f"as many {unit}s as {value} picks",
        "top": f"{value} {unit}s",
    }
    return names.get(kind, budget)


def budget_names(budgets: Sequence[str], asked: Collection[str] = (), unit: str = "word") -> dict[str, str]:
    """Return what rationale lengths are called, each by a name of its own.

    >>> list(budget_names(("ratio=0.1677", "gold"), ("ratio",)).values())
    ['as many words as annotators mark on average', 'as many words as annotators marked']
    >>> budget_names(("ratio=0.1677", "ratio=0.25"), ("ratio",))["ratio=0.25"]
    'as many words as annotators mark on average (25 % of the words)'
    """
    names = {b: budget_name(b, asked, unit) for b in budgets}
    known = list(names.values())
    return {
        b: name if known.count(name) == 1 else f"{name} ({budget_name(b, (), unit)})"
        for b, name in names.items()
    }


def in_words(metric: str, better: str | None = None) -> str:
    """Return a metric as axes name it: with which way is better, where one is; `better` as a table has it.

    >>> in_words("average_precision"), in_words("cost", "lower")
    ('average precision, higher is better', 'cost, ms per example (median), lower is better')
    """
    known = METRICS.get(metric)
    own = BETTER[known.higher_is_better] if known else ""
    way = own if better is None else better
    return f"{metric_name(metric)}, {way} is better" if way else metric_name(metric)
