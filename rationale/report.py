"""A run's folder: tables, figures, official predictions, and one HTML page that needs no network."""

from __future__ import annotations

import base64
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from eraser import Dataset
from eraser.write import write_json, write_predictions, write_text, write_whole
from rationale import plots
from rationale.evaluate import Evaluation
from rationale.results import (
    NO_BUDGET,
    headline,
    markdown,
    measured,
    paired_table,
    ranking,
    score_table,
)
from rationale.settings import as_record

TEMPLATE = Path(__file__).parent / "report.html"
RANKED = (
    ("token_f1", True),
    ("false_positive_rate", True),
    ("iou_f1_eraser", True),
    ("average_precision", False),
    ("aopc_comprehensiveness", False),
    ("aopc_sufficiency", False),
)
N_EXAMPLES = 4


def write_run(evaluation: Evaluation, dataset: Dataset, folder: Path) -> pd.DataFrame:
    """Write everything a run has to show; return its score table."""
    columns = measured(evaluation)
    scores, paired = score_table(evaluation, columns), paired_table(evaluation, columns)
    curves = curve_table(evaluation)
    budget = evaluation.budgets[0]
    facts = run_facts(evaluation)
    figures = {name: plots.png(make(scores, curves, budget)) for name, make in plots.FIGURES.items()}
    for name, data in figures.items():
        write_whole(folder / "figures" / f"{name}.png", lambda p, data=data: p.write_bytes(data))  # type: ignore[misc]
    write_official(evaluation, dataset, folder)
    for name, table in (("scores", scores), ("paired", paired), ("curves", curves)):
        write_text(folder / f"{name}.csv", table.to_csv(index=False))
    write_text(folder / "summary.md", summary(scores, paired, facts))
    write_json(folder / "scores.json", {"run": facts, "scores": records(scores), "paired": records(paired)})
    write_text(folder / "report.html", render(evaluation, scores, paired, facts, figures))
    return scores


def summary(scores: pd.DataFrame, paired: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Return the run's main table in Markdown with what it stands on."""
    accuracy = scores[scores.metric == "accuracy"].iloc[0]
    s = facts["settings"]
    parts = [
        f"{s['dataset']} {s['split']}",
        f"{facts['examples']} examples, {facts['with_human_evidence']} with human evidence",
        f"{facts['words_unread']} of {facts['words']} words not read",
        facts["device"],
        f"accuracy {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]",
        f"budget {facts['budgets'][0]}",
        f"long texts: {s['long_texts']}, removal: {s['replace']}, ig_steps {s['ig_steps']}, seed {s['seed']}",
    ]
    lines = [
        "; ".join(parts) + ".",
        "",
        markdown(scores, paired, facts["budgets"][0]),
        f"Brackets: {facts['intervals']}. Bold: the best, and those whose paired difference to it spans 0.",
        *(f"Note: {note}." for note in facts["notes"]),
    ]
    return "\n".join(lines) + "\n"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows; NaN, which JSON does not know, as null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in rows]


def run_facts(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a reader needs to make the numbers again."""
    libraries = ("torch", "transformers", "captum", "numpy", "scikit-learn", "rationale-suite")
    return {
        "settings": as_record(evaluation.settings),
        "budgets": list(evaluation.budgets),
        "examples": len(evaluation.items),
        "with_human_evidence": sum(bool(i.truth.spans) for i in evaluation.items),
        "words": sum(i.truth.n_words for i in evaluation.items),
        "words_unread": evaluation.words_unread,
        "intervals": "95 % percentile bootstrap over examples, 1000 resamples",
        "device": evaluation.device,
        "notes": list(evaluation.notes),
        "versions": {name: version(name) for name in libraries} | {"python": platform.python_version()},
    }


def write_official(evaluation: Evaluation, dataset: Dataset, folder: Path) -> None:
    """Write the official prediction file of each method, for the examples that have human evidence.

    The official scorer counts a prediction for any other example as wrong.
    """
    budget = evaluation.budgets[0]
    for old in (folder / "predictions").glob("*.jsonl"):
        if old.stem not in evaluation.settings.methods:
            old.unlink()  # of an earlier run into this folder: it would look like one of this run
    for method in evaluation.settings.methods:
        pairs = [
            (item.text, prediction)
            for item, prediction in zip(evaluation.items, evaluation.predictions[method, budget], strict=True)
            if item.truth.spans
        ]
        write_predictions(folder / "predictions" / f"{method}.jsonl", pairs)


def curve_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the mean drop of the predicted class's probability at each share of words."""
    rows = []
    for method in evaluation.settings.methods:
        predictions = evaluation.predictions[method, evaluation.budgets[0]]
        for i, fraction in enumerate(evaluation.settings.fractions):
            drops = [
                (p.probs[p.label] - a.without[p.label], p.probs[p.label] - a.only[p.label])
                for p in predictions
                for a in [p.ablations[i]]
            ]
            without, only = np.mean(drops, axis=0)
            rows.append((method, fraction, float(without), float(only), len(drops)))
    return pd.DataFrame(rows, columns=["method", "fraction", "without", "only", "n"])


def marked_words(evaluation: Evaluation, method: str, index: int) -> list[tuple[str, str]]:
    """Return (word, hit | missed | extra | '') of one example, people against the method."""
    item = evaluation.items[index]
    picked = evaluation.predictions[method, evaluation.budgets[0]][index].rationale
    kinds = {(True, True): "hit", (True, False): "missed", (False, True): "extra", (False, False): ""}
    return [
        (word, kinds[bool(g), bool(p)])
        for word, g, p in zip(item.text.words, item.truth.gold, picked, strict=True)
    ]


def render(
    evaluation: Evaluation,
    scores: pd.DataFrame,
    paired: pd.DataFrame,
    facts: dict[str, Any],
    figures: dict[str, bytes],
) -> str:
    """Return the report as one HTML page, every text escaped."""
    budget = evaluation.budgets[0]
    rankings = []
    for metric, has_budget in RANKED:
        for at in evaluation.budgets if has_budget else (NO_BUDGET,):
            rankings.append((metric, at, records(ranking(scores, paired, metric, at))))
    accuracy = records(scores[scores.metric == "accuracy"])[0]
    chosen = [i for i, item in enumerate(evaluation.items) if item.truth.spans][:N_EXAMPLES]
    methods = [m for m in evaluation.settings.methods if m != "random"] or list(evaluation.settings.methods)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        facts=facts,
        budget=budget,
        accuracy=accuracy,
        headline=headline(scores, budget).reset_index(names="method").to_dict("records"),
        rankings=rankings,
        images={name: base64.b64encode(data).decode() for name, data in figures.items()},
        examples=[
            {
                "item": evaluation.items[i],
                "predicted": evaluation.predictions[methods[0], budget][i].label,
                "rows": [(m, marked_words(evaluation, m, i)) for m in methods],
            }
            for i in chosen
        ],
    )
