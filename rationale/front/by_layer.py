"""Average precision of the survivors' ranking after each layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from eraser import Prediction
from eraser.metrics.agreement import MetricColumns
from eraser.metrics.table import measure, score
from rationale.evaluation.per_example import SURVIVORS
from rationale.evaluation.plan import Evaluation
from rationale.report.plots import layer_curves, new_figure, shared_legend

METRIC = "average_precision"


def ranking_by_layer(batches: Iterable[Evaluation], methods: Sequence[str], seed: int) -> pd.DataFrame:
    """Return average precision by layer: the words that remain share the first place.

    Other methods have one ranking, the same in every layer, or none, where words were only picked. Empty
    without the method survivors.
    """
    columns: dict[tuple[int, str], list[MetricColumns]] = defaultdict(list)
    shares: dict[int, list[float]] = defaultdict(list)
    for batch in batches if SURVIVORS in methods else ():
        truths = [item.truth for item in batch.items]
        for method in methods:
            known = batch.predictions[method, batch.budgets[0]]
            for layer in range(1, batch.layers + 1):
                at = [after(p, layer) for p in known] if method == SURVIVORS else list(known)
                ranked = method not in batch.unranked
                columns[layer, method] += measure(METRIC, truths, at) if ranked else [None] * len(at)
                if method == SURVIVORS:
                    shares[layer] += [float(np.mean(np.nan_to_num(p.scores) >= layer)) for p in known]
    rows = []
    for (layer, method), of_key in columns.items():
        s = score(METRIC, of_key, seed)
        rows.append((layer, float(np.mean(shares[layer])), METRIC, method, s.value, s.low, s.high, s.n))
    names = ["layer", "words", "metric", "method", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=names).sort_values(["layer"], kind="stable", ignore_index=True)


def after(prediction: Prediction, layer: int) -> Prediction:
    """Return a prediction with its scores after a layer."""
    return replace(prediction, scores=np.minimum(prediction.scores, layer))


def ranking_figure(table: pd.DataFrame) -> Figure:
    """Draw the table of `ranking_by_layer`; the band is the survivors' 95 % interval."""
    figure, (axes,) = new_figure(1, width=6.4)
    layer_curves(axes, table, METRIC)
    shared_legend(figure)
    return figure
