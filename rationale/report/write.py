"""A run's folder: tables, figures, official predictions, and one HTML page that needs no network."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from eraser import Dataset
from eraser.files.cells import as_csv
from eraser.files.content import content_of_examples
from eraser.files.owned import claim, read_made, together
from eraser.files.whole import write_bytes, write_json, write_text
from eraser.metrics.bootstrap import GROUPS
from rationale.evaluation.collect import RunSummary, collect
from rationale.evaluation.plan import Evaluation
from rationale.report.annotators import annotator_tables, has_annotators_or_groups
from rationale.report.command import explained
from rationale.report.figures import FIGURES
from rationale.report.page import records, render
from rationale.report.plots import png
from rationale.report.summary import (
    Tables,
    all_tables,
    in_markdown,
    latex,
    markdown,
    of_answers,
    summary_cells,
    with_interval,
)
from rationale.settings import as_record


def write_run(
    evaluation: Evaluation | Iterable[Evaluation],
    dataset: Dataset,
    folder: Path,
    inside: pd.DataFrame | None = None,
) -> Tables:
    """Write everything a run has to show; return its tables.

    Args:
        evaluation: all of the run, or its batches, of which one is in memory at a time.
        dataset: that was evaluated.
        folder: to write to; results of an earlier run that has it make room together, or not at all.
        inside: whether the model knows the texts of comprehensiveness and sufficiency (rationale.trusting).
    """
    batches = [evaluation] if isinstance(evaluation, Evaluation) else evaluation
    if read_made(folder) is None:  # of an evaluation that was made elsewhere
        claim(folder, "write_run", {})
    with together(folder) as new:
        found = collect(batches, new, keep=has_annotators_or_groups(dataset))
        return write_report(found, dataset, new, inside)


def write_report(
    found: RunSummary, dataset: Dataset, folder: Path, inside: pd.DataFrame | None = None
) -> Tables:
    """Write tables, figures and the page of what was collected; return the tables."""
    tables = found_tables(found)
    tables = tables if inside is None else replace(tables, inside=inside)
    facts = run_facts(found) | {"content_of_split": content_of_split(dataset, found.settings.split)}
    budget = found.budgets[0]
    figures = {name: drawn for name, d in FIGURES.items() if (drawn := d.make(tables, budget)) is not None}
    images = {name: png(figure) for name, figure in figures.items()}
    write_tables(tables, facts, folder)
    annotators = {} if found.kept is None else annotator_tables(found.kept, dataset)
    for name, table in annotators.items():
        write_text(folder / f"{name}.csv", as_csv(table))
    for name, image in images.items():
        write_bytes(folder / "figures" / f"{name}.png", image)
        write_text(folder / "figures" / f"{name}.csv", as_csv(FIGURES[name].data(tables, budget)))
    write_text(folder / "report.html", render(tables, facts, images, found.sections, annotators))
    return tables


def found_tables(found: RunSummary) -> Tables:
    """Return the tables of what was collected."""
    return all_tables(found.settings, found.columns, found.times, found.kind)


def write_tables(tables: Tables, facts: dict[str, Any], folder: Path) -> None:
    """Write every table as CSV, the scores also as JSON, the summary as Markdown and LaTeX."""
    for name, table in vars(tables).items():
        if not table.empty:
            write_text(folder / f"{name}.csv", as_csv(table))
    scores, paired = records(tables.scores), records(tables.paired)
    write_json(folder / "scores.json", {"run": facts, "scores": scores, "paired": paired})
    cells = summary_cells(tables.scores, tables.paired, facts["budgets"][0])
    basis = stands_on(tables.scores, facts)
    head, *below = (_line(in_markdown(text)) for text in (basis, *legend(facts)))
    write_text(folder / "summary.md", f"{head}\n{markdown(cells)}\n" + "".join(below))
    comments = "".join(f"% {_line(text)}" for text in (basis, *legend(facts)))
    write_text(folder / "summary.tex", comments + latex(cells))


def _line(text: str) -> str:
    return " ".join(text.split()) + "\n"


def stands_on(scores: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Return in one line what the run's main table stands on."""
    s = facts["settings"]
    only = "".join(f", {name} {s[name]}" for name in ("limit", "sample") if s[name] is not None)
    parts = [
        f"{s['dataset']} {s['split']}{only}",
        f"{facts['examples']} examples, {facts['with_human_evidence']} with human evidence",
        f"{facts['words_unread']} of {facts['words']} words not read",
        facts["device"],
        *map(with_interval, of_answers(scores)),
        f"budget {facts['budgets'][0]}",
        *explained(s),
        *(
            [f"whole sentences ({s.get('sentence_score', 'sum')} of words)"]
            if s.get("unit") == "sentence"
            else []
        ),
        f"long texts: {s['long_texts']}, removal: {s['replace']}, ig_steps {s['ig_steps']}, seed {s['seed']}",
    ]
    return "; ".join(parts) + "."


def legend(facts: dict[str, Any]) -> list[str]:
    """Return what the run's main table means, and its notes."""
    best = "Bold: the best, and those whose paired difference to it includes 0."
    return [f"Brackets: {facts['intervals']}. {best}", *(f"Note: {note}." for note in facts["notes"])]


def run_facts(found: RunSummary) -> dict[str, Any]:
    """Return what a reader needs to make the numbers again."""
    libraries = ("torch", "transformers", "captum", "numpy", "scikit-learn", "rationale-suite")
    grouped = f" (above {GROUPS} examples, over that number of groups of them)"
    return {
        "settings": as_record(found.settings),
        "budgets": list(found.budgets),
        **found.counts,
        "intervals": "95 % percentile bootstrap over examples, 1000 resamples"
        + grouped * (found.counts["examples"] > GROUPS),
        "device": found.device,
        "notes": list(found.notes),
        "versions": {name: _version(name) for name in libraries} | {"python": platform.python_version()},
    }


def content_of_split(dataset: Dataset, split: str) -> str:
    """Return a hash of a whole split, which tells runs of other data even where each has a part of them."""
    return content_of_examples(dataset, dataset.examples(split))


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a function of texts needs no transformers
        return "not installed"
