"""FIGURES: the figures of a run, each made from its tables, with the sentence that stands below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from rationale.evaluation.per_example import NO_BUDGET, OF_LAYERS
from rationale.report.label_placement import label_marks
from rationale.report.plots import (
    ablation_curves,
    heat_map,
    intervals,
    layer_curves,
    new_figure,
    scatter,
    shared_legend,
)
from rationale.report.summary import Tables, in_sentences

Place = tuple[str, str]  # metric, budget
TRUSTED = ("aopc_comprehensiveness", NO_BUDGET)
COST = ("cost", NO_BUDGET)


def agreement_places(scores: pd.DataFrame, budget: str) -> tuple[Place, Place, Place]:
    """Return what says how well annotators agree: two of what is picked, then one of the whole ranking."""
    if in_sentences(scores):
        ranked = ("sentence_average_precision", NO_BUDGET)
        return ("sentence_f1", budget), ("sentence_precision", budget), ranked
    return ("token_f1", budget), ("false_positive_rate", budget), ("average_precision", NO_BUDGET)


def agrees(scores: pd.DataFrame) -> Place:
    """Return what says it of the whole ranking."""
    return agreement_places(scores, NO_BUDGET)[-1]


def annotators_figure(tables: Tables, budget: str) -> Figure:
    """Return agreement with human rationales."""
    n_methods = tables.curves.method.nunique()
    figure, axes = new_figure(3, width=4.4, height=max(3.2, 0.6 + 0.2 * n_methods))
    for ax, place in zip(axes, agreement_places(tables.scores, budget), strict=True):
        intervals(ax, tables.scores, *place)
    return figure


def faithfulness_figure(tables: Tables, budget: str) -> Figure:
    """Return comprehensiveness and sufficiency over the shares of words, or of sentences."""
    figure, axes = new_figure(2, width=4.8)
    unit = "sentences" if in_sentences(tables.scores) else "words"
    for ax, side in zip(axes, ("without", "only"), strict=True):
        ablation_curves(ax, tables.curves, side, unit)
    shared_legend(figure)
    return figure


def tradeoff_figure(tables: Tables, budget: str) -> Figure:
    """Return plausibility against faithfulness."""
    figure, (axes,) = new_figure(1, width=8.0, height=4.8)
    label_marks(scatter(axes, tables.scores, agrees(tables.scores), TRUSTED))
    return figure


def cost_figure(tables: Tables, budget: str) -> Figure:
    """Return plausibility and faithfulness, each against cost."""
    figure, axes = new_figure(2, width=5.4, height=4.8)
    for ax, quality in zip(axes, (agrees(tables.scores), TRUSTED), strict=True):
        scatter(ax, tables.scores, COST, quality)
    for ax in axes:  # when all is drawn that takes room
        label_marks(ax)
    return figure


def methods_figure(tables: Tables, budget: str) -> Figure | None:
    """Return the rank correlation of every two methods; None where there is one method."""
    if tables.agreement.empty:
        return None
    side = 2.2 + 0.42 * tables.curves.method.nunique()
    figure, (axes,) = new_figure(1, width=side, height=side)
    heat_map(axes, tables.agreement)
    return figure


def layers_figure(tables: Tables, budget: str) -> Figure | None:
    """Return how well those that reached each layer agree with human rationales; None without survivors."""
    if tables.layers.empty:
        return None
    figure, axes = new_figure(2, width=4.8, height=3.4)
    for ax, metric in zip(axes, OF_LAYERS, strict=True):
        layer_curves(ax, tables.layers, metric)
    shared_legend(figure)
    return figure


def drawn_scores(
    shown: Callable[[pd.DataFrame, str], Sequence[Place]],
) -> Callable[[Tables, str], pd.DataFrame]:
    """Return what picks the scores that a figure shows of a table of scores, under the leading budget."""

    def pick(tables: Tables, budget: str) -> pd.DataFrame:
        scores = tables.scores
        places = shown(scores, budget)
        kept = [place in places for place in zip(scores.metric, scores.budget, strict=True)]
        return scores[kept]

    return pick


@dataclass(frozen=True)
class Drawing:
    """How a figure is made from tables and the leading budget, what is said below it, and its numbers."""

    make: Callable[[Tables, str], Figure | None]
    says: str
    data: Callable[[Tables, str], pd.DataFrame]


FIGURES = {
    "agreement": Drawing(
        annotators_figure,
        "Agreement with human rationales, with 95 % intervals. Dashed: random.",
        drawn_scores(agreement_places),
    ),
    "tradeoff": Drawing(
        tradeoff_figure,
        "Plausibility (do annotators agree?) against faithfulness (did the model use it?); 95 % intervals.",
        drawn_scores(lambda scores, _: (agrees(scores), TRUSTED)),
    ),
    "cost": Drawing(
        cost_figure,
        "What a method costs against what it gives, with 95 % intervals. The cost axis is logarithmic.",
        drawn_scores(lambda scores, _: (COST, agrees(scores), TRUSTED)),
    ),
    "faithfulness": Drawing(
        faithfulness_figure,
        "How far the answer falls without the best words, and with the best words alone. Means over examples "
        "of the predicted class's probability, of the explained label's, or of the number a model gives.",
        lambda tables, budget: tables.curves,
    ),
    "methods": Drawing(
        methods_figure,
        "Do methods rank words alike? Mean over examples of Kendall's τ-b between word scores; 1 the same "
        "order, 0 none, -1 the reverse.",
        lambda tables, budget: tables.agreement,
    ),
    "layers": Drawing(
        layers_figure,
        "The words that reached each layer, against the same number of words of each other method. "
        "Band: 95 % interval of the survivors.",
        lambda tables, budget: tables.layers,
    ),
}
