"""What data with several annotators, or with communities, tell beyond the gold rationale.

Tables by name; one that the data cannot give is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import pandas as pd

from eraser import Dataset, Example, InputError, Prediction
from eraser.data.hatexplain import TOXIC
from eraser.metrics.annotators import annotator_agreement, human_ceiling
from eraser.metrics.answers import marked_for
from eraser.metrics.bias import NO_COMMUNITY, score_bias
from eraser.official.hatexplain_protocol import TOP, score_hatexplain
from rationale.evaluation.plan import Evaluation

COUNTS = "_communities"  # ends the names of columns that count
PEOPLE = "people"  # as a method: each annotator against the others


def fairness(evaluation: Evaluation, dataset: Dataset) -> pd.DataFrame | None:
    """Return subgroup, BPSN and BNSP AUC of each community, and their generalised means with intervals."""
    examples = _examples(evaluation)
    predictions = evaluation.predictions[evaluation.settings.methods[0], evaluation.budgets[0]]
    labels = {e.label in TOXIC for e in examples}
    if evaluation.kind != "class":  # whose probabilities could be added
        return None
    if not any(e.tags - NO_COMMUNITY for e in examples) or labels != {True, False}:
        return None
    bias = score_bias(examples, predictions, seed=evaluation.settings.seed)
    communities = pd.DataFrame([asdict(c) for c in bias.communities]).rename(columns={"name": "community"})
    means = pd.DataFrame([asdict(m) for m in bias.means])
    rows = {"community": "generalised mean, power -5", "n": bias.n_targeted, "n_toxic": pd.NA}
    for _, mean in means.iterrows():
        rows |= {mean.metric: mean.value, f"{mean.metric}_low": mean.low, f"{mean.metric}_high": mean.high}
        rows |= {f"{mean.metric}_communities": mean.n}
    table = pd.concat([pd.DataFrame([rows]), communities], ignore_index=True)
    return table.astype(
        {name: "Int64" for name in map(str, table) if name.startswith("n_") or name.endswith(COUNTS)}
    )


def annotators(evaluation: Evaluation, dataset: Dataset) -> pd.DataFrame | None:
    """Return how well each annotator does against the others, and each method against every annotator.

    All rows are of the same examples.
    """
    seed = evaluation.settings.seed
    if not any(len(e.annotators) > 1 for e in _examples(evaluation)):
        return None
    of_all = next(iter(evaluation.predictions.values()))  # every method explains the same answers
    examples, _ = _marked(evaluation, of_all)
    rows = [
        {"method": PEOPLE, "against": f"the others ({others})", "budget": "-", **asdict(score)}
        for others in ("union", "majority")
        for score in human_ceiling(dataset, examples, others=others, seed=seed)
    ]
    rows += [
        {"method": method, "against": "each annotator", "budget": budget}
        | asdict(annotator_agreement(dataset, *_marked(evaluation, predictions), seed=seed))
        for (method, budget), predictions in evaluation.predictions.items()
    ]
    return pd.DataFrame(rows)


def _marked(
    evaluation: Evaluation, predictions: Sequence[Prediction]
) -> tuple[list[Example], list[Prediction]]:
    """Return the examples whose marks are for the label explained: of several labels not all are."""
    pairs = [
        (item.example, p)
        for item, p in zip(evaluation.items, predictions, strict=True)
        if p.kind != "labels" or marked_for(item.truth, p.subject).spans
    ]
    return [e for e, _ in pairs], [p for _, p in pairs]


def hatexplain_protocol(evaluation: Evaluation, dataset: Dataset) -> pd.DataFrame | None:
    """Return HateXplain's own explainability numbers of each method.

    Comprehensiveness and sufficiency need the run's budgets to have `top=5`, as theirs.
    """
    examples = _examples(evaluation)
    if evaluation.kind != "class" or not any(e.label in TOXIC and e.annotators for e in examples):
        return None
    theirs = f"top={TOP}"
    budget = theirs if theirs in evaluation.budgets else evaluation.budgets[0]
    return pd.DataFrame(
        {"method": m, **score_hatexplain(dataset, examples, evaluation.predictions[m, budget])}
        for m in evaluation.settings.methods
    )


def _examples(evaluation: Evaluation) -> list[Example]:
    return [item.example for item in evaluation.items]


Make = Callable[[Evaluation, Dataset], pd.DataFrame | None]
ANNOTATOR_TABLES: dict[str, tuple[Make, str]] = {
    "fairness": (
        fairness,
        "How well P(hatespeech) + P(offensive) tells toxic posts from others: among posts about a community "
        "(subgroup), its harmless posts against toxic ones about others (BPSN: low where harmless talk looks "
        "toxic), its toxic posts against harmless ones about others (BNSP: low where attacks look harmless).",
    ),
    "annotators": (
        annotators,
        "Each annotator against the others, a baseline for human agreement, and each method against "
        "every annotator alone.",
    ),
    "hatexplain_protocol": (
        hatexplain_protocol,
        "As HateXplain's own code has it: toxic posts, union of the marks, five highest words, each a span "
        "of its own.",
    ),
}


def has_annotators_or_groups(dataset: Dataset) -> bool:
    """Return whether any example has single annotators or communities."""
    return any(e.annotators or e.tags for examples in dataset.splits.values() for e in examples)


def _made(make: Make, evaluation: Evaluation, dataset: Dataset) -> pd.DataFrame | None:
    """Return a table; in its place why it cannot be made: hours of computing must not end here."""
    try:
        return make(evaluation, dataset)
    except InputError as error:
        return pd.DataFrame({"not made": str(error).splitlines()})


def annotator_tables(evaluation: Evaluation, dataset: Dataset) -> dict[str, pd.DataFrame]:
    """Return every table of ANNOTATOR_TABLES that the data give."""
    made = {name: _made(make, evaluation, dataset) for name, (make, _) in ANNOTATOR_TABLES.items()}
    return {name: table for name, table in made.items() if table is not None}
