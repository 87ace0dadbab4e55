"""A run's folder: tables, figures, official predictions, and one HTML page that needs no network."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from eraser import Dataset
from eraser.types import Floats
from eraser.write import write_json, write_predictions, write_text, write_whole
from rationale.disagreement import MIN_WORDS, Found, furthest_apart, furthest_from_people, method_taus
from rationale.evaluate import Evaluation
from rationale.figures import FIGURES
from rationale.people import PEOPLE_TABLES, people_tables
from rationale.plots import png
from rationale.results import (
    NO_BUDGET,
    PER_EXAMPLE,
    Measured,
    Tables,
    all_tables,
    example_table,
    headline,
    latex,
    markdown,
    measured,
    ranking,
    summary_cells,
)
from rationale.rich import fragment
from rationale.settings import as_record

TEMPLATE = "report.html"
RANKED = (
    ("token_f1", True),
    ("false_positive_rate", True),
    ("iou_f1_eraser", True),
    ("average_precision", False),
    ("aopc_comprehensiveness", False),
    ("aopc_sufficiency", False),
)
N_EXAMPLES = 3  # of each kind


def write_run(evaluation: Evaluation, dataset: Dataset, folder: Path) -> pd.DataFrame:
    """Write everything a run has to show; return its score table."""
    columns, taus = measured(evaluation), method_taus(evaluation)
    tables = all_tables(evaluation, columns, taus)
    facts = run_facts(evaluation)
    budget = evaluation.budgets[0]
    figures = {name: drawn for name, d in FIGURES.items() if (drawn := d.make(tables, budget)) is not None}
    images = {name: png(figure) for name, figure in figures.items()}
    write_tables(tables, facts, folder)
    people = people_tables(evaluation, dataset)
    for name in PEOPLE_TABLES:
        if name in people:
            write_text(folder / f"{name}.csv", people[name].to_csv(index=False))
        else:
            (folder / f"{name}.csv").unlink(missing_ok=True)  # of an earlier run into this folder
    write_images(images, folder / "figures")
    write_official(evaluation, dataset, folder)
    values = pa.table(example_table(evaluation, columns))
    write_whole(folder / PER_EXAMPLE, lambda p: pq.write_table(values, p))
    examples = chosen_examples(evaluation, columns, taus)
    write_text(folder / "report.html", render(evaluation, tables, facts, images, examples, people))
    return tables.scores


def write_tables(tables: Tables, facts: dict[str, Any], folder: Path) -> None:
    """Write every table as CSV, the scores also as JSON, the summary as Markdown and LaTeX."""
    for name, table in vars(tables).items():
        if table.empty:
            (folder / f"{name}.csv").unlink(missing_ok=True)  # of an earlier run into this folder
        else:
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
    scores, paired = records(tables.scores), records(tables.paired)
    write_json(folder / "scores.json", {"run": facts, "scores": scores, "paired": paired})
    cells = summary_cells(tables.scores, tables.paired, facts["budgets"][0])
    basis = stands_on(tables.scores, facts)
    write_text(folder / "summary.md", f"{basis}\n\n{markdown(cells)}\n" + "".join(map(_line, legend(facts))))
    comments = "".join(f"% {_line(text)}" for text in (basis, *legend(facts)))
    write_text(folder / "summary.tex", comments + latex(cells))


def _line(text: str) -> str:
    return " ".join(text.split()) + "\n"


def write_images(images: dict[str, bytes], folder: Path) -> None:
    """Write the figures as PNG, and take away those of an earlier run that this one does not have."""
    for name in FIGURES:
        if name in images:
            write_whole(folder / f"{name}.png", lambda p, data=images[name]: p.write_bytes(data))  # type: ignore[misc]
        else:
            (folder / f"{name}.png").unlink(missing_ok=True)


def stands_on(scores: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Return in one line what the run's main table stands on."""
    accuracy = scores[scores.metric == "accuracy"].iloc[0]
    s = facts["settings"]
    only = "".join(f", {name} {s[name]}" for name in ("limit", "sample") if s[name] is not None)
    parts = [
        f"{s['dataset']} {s['split']}{only}",
        f"{facts['examples']} examples, {facts['with_human_evidence']} with human evidence",
        f"{facts['words_unread']} of {facts['words']} words not read",
        facts["device"],
        f"accuracy {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]",
        f"budget {facts['budgets'][0]}",
        f"long texts: {s['long_texts']}, removal: {s['replace']}, ig_steps {s['ig_steps']}, seed {s['seed']}",
    ]
    return "; ".join(parts) + "."


def legend(facts: dict[str, Any]) -> list[str]:
    """Return what the run's main table means, and its notes."""
    best = "Bold: the best, and those whose paired difference to it spans 0."
    return [f"Brackets: {facts['intervals']}. {best}", *(f"Note: {note}." for note in facts["notes"])]


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

    The official scorer counts a prediction for any other example as wrong, and has no use for an empty file.
    """
    budget = evaluation.budgets[0]
    marked = any(item.truth.spans for item in evaluation.items)
    for old in (folder / "predictions").glob("*.jsonl"):
        if old.stem not in evaluation.settings.methods or not marked:
            old.unlink()  # of an earlier run into this folder: it would look like one of this run
    if not marked:
        return
    for method in evaluation.settings.methods:
        pairs = [
            (item.text, prediction)
            for item, prediction in zip(evaluation.items, evaluation.predictions[method, budget], strict=True)
            if item.truth.spans
        ]
        write_predictions(folder / "predictions" / f"{method}.jsonl", pairs)


def marked_words(evaluation: Evaluation, method: str, index: int) -> list[tuple[str, str]]:
    """Return (words, hit | missed | extra | '') of one example, people against the method.

    Words after one another that are alike stand together.
    """
    item = evaluation.items[index]
    picked = evaluation.predictions[method, evaluation.budgets[0]][index].rationale
    kinds = {(True, True): "hit", (True, False): "missed", (False, True): "extra", (False, False): ""}
    marks = [kinds[bool(g), bool(p)] for g, p in zip(item.truth.gold, picked, strict=True)]
    alike = groupby(zip(item.text.words, marks, strict=True), key=lambda pair: pair[1])
    return [(" ".join(word for word, _ in pairs), kind) for kind, pairs in alike]


def chosen_examples(evaluation: Evaluation, columns: Measured, taus: Floats) -> list[dict[str, Any]]:
    """Return the examples worth a look, by why they are: title, what the number is, examples."""
    names = evaluation.settings.methods
    methods = [m for m in names if m != "random"] or list(names)
    precision = {m: columns["average_precision", NO_BUDGET, m] for m in methods}
    rows = [i for i, name in enumerate(names) if name in methods]
    sizes = [item.truth.n_words for item in evaluation.items]
    far = furthest_from_people(list(precision.values()), N_EXAMPLES)
    apart = furthest_apart(taus[:, rows][:, :, rows], sizes, N_EXAMPLES)
    marked = [(i, None) for i, item in enumerate(evaluation.items) if item.truth.spans][:N_EXAMPLES]

    def shown(found: Sequence[Found] | Sequence[tuple[int, None]]) -> list[dict[str, Any]]:
        return [_example(evaluation, precision, i, number) for i, number in found]

    return [
        {
            "title": "Where methods and people disagree most",
            "number": "mean average precision of methods but random, lowest first",
            "examples": shown(far),
        },
        {
            "title": "Where methods disagree most with each other",
            "number": f"mean Kendall's τ-b of methods but random, lowest first, {MIN_WORDS} words or more",
            "examples": shown(apart),
        },
        {"title": "First examples", "number": "with human evidence", "examples": shown(marked)},
    ]


def _example(
    evaluation: Evaluation, precision: dict[str, Any], index: int, number: float | None
) -> dict[str, Any]:
    """Return one example as the page shows it, a row a method with its average precision."""
    item, first = evaluation.items[index], next(iter(precision))
    return {
        "item": item,
        "number": number,
        "predicted": evaluation.predictions[first, evaluation.budgets[0]][index].label,
        "rows": [
            (
                method,
                None if columns[index] is None else columns[index][0],
                marked_words(evaluation, method, index),
            )
            for method, columns in precision.items()
        ],
    }


def render(
    evaluation: Evaluation,
    tables: Tables,
    facts: dict[str, Any],
    images: dict[str, bytes],
    examples: list[dict[str, Any]],
    people: dict[str, pd.DataFrame],
) -> str:
    """Return the report as one HTML page, every text escaped."""
    scores, paired, budget = tables.scores, tables.paired, evaluation.budgets[0]
    rankings = []
    for metric, has_budget in RANKED:
        for at in evaluation.budgets if has_budget else (NO_BUDGET,):
            rankings.append((metric, at, records(ranking(scores, paired, metric, at))))
    return fragment(
        TEMPLATE,
        facts=facts,
        budget=budget,
        accuracy=records(scores[scores.metric == "accuracy"])[0],
        headline=headline(scores, budget).reset_index(names="method").to_dict("records"),
        rankings=rankings,
        figures=[(n, FIGURES[n].says, base64.b64encode(data).decode()) for n, data in images.items()],
        sections=examples,
        people=[(n, PEOPLE_TABLES[n][1], list(t), records(t)) for n, t in people.items()],
    )
