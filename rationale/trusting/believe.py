"""A model, data and methods → the card, in a folder that a killed run goes on in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eraser import Dataset
from eraser.errors import printable
from eraser.files.content import content_of_examples
from eraser.files.owned import claim, together
from rationale.attribution import codes_of
from rationale.evaluation.choices import Choices
from rationale.evaluation.plan import plan
from rationale.explanations.of_run import NO_IMPORTS, Imports
from rationale.report.command import model_name
from rationale.report.summary import tables_of
from rationale.settings import BASELINES, as_record
from rationale.text_classifier import TextClassifier
from rationale.trusting.card import Card, facts_of
from rationale.trusting.contract import TestResult, TrustSettings
from rationale.trusting.run import run_tests
from rationale.trusting.subject import Subject, subject_of
from rationale.trusting.table import TESTS
from rationale.trusting.turns import correlation

SCORES, PARTS = "scores", "parts"  # folders inside that of a card
BUDGET = ("ratio",)  # as many words as people mark on average


def with_baselines(choices: Choices) -> Choices:
    """Return the choices with the baselines among the methods: tests that they pass are none."""
    asked = choices.settings
    methods = (*asked.methods, *(m for m in BASELINES if m not in asked.methods))
    return replace(choices, settings=replace(asked, methods=methods))


def believe(  # noqa: PLR0913 (what a card is made of)
    classifier: TextClassifier,
    dataset: Dataset,
    choices: Choices,
    trust: TrustSettings,
    names: Sequence[str],
    folder: Path,
    explained: TextClassifier | None = None,
    models: Mapping[str, TextClassifier] | None = None,
    overwrite: bool = False,
    imports: Imports = NO_IMPORTS,
    places: Iterable[str] = (),
) -> Card:
    """Run the tests and write the card; what is in `folder` already is not computed again.

    `places` are the folders of `models`, which are never written to.

    Raises:
        InputError: something does not fit, a fault each; nothing is written then.
    """
    trust.check()
    settings, others, begin = with_baselines(choices).settings, models or {}, time.process_time()
    of = _made_of(classifier, dataset, settings, trust, names, others)
    reads = (settings.model, settings.dense, dataset.source, *places)
    claim(folder, "trust", of, reads, (), overwrite)  # parts stay: their names say what they hold
    planned = plan(classifier, dataset, settings, folder / SCORES, explained, True, imports)
    subject = subject_of(planned, trust, folder / PARTS, others)
    seconds = _seconds(subject, time.process_time() - begin)
    results = tuple(run_tests(subject, names))
    card = _card(subject, results, choices.left_out, seconds)
    with together(folder) as new:
        card.write(new)
    return card


def _seconds(subject: Subject, now: float) -> float:
    """Return the seconds of CPU that the scores took when they were computed: this time, or before."""
    depends = [subject.identity_of(m) for m in subject.methods]
    (row,) = subject.part("seconds", depends, lambda: [{"seconds": now}])
    return float(row["seconds"])


def _made_of(
    classifier: TextClassifier,
    dataset: Dataset,
    settings: Any,
    trust: TrustSettings,
    names: Sequence[str],
    models: Mapping[str, TextClassifier],
) -> dict[str, Any]:
    """Return all that a card depends on."""
    of = {k: v for k, v in as_record(settings).items() if k not in ("model", "dense")}
    of |= {f"trust_{name}": value for name, value in asdict(trust).items()}
    of |= {"tests": list(names), "content_of_model": classifier.identity()}
    of |= {"content_of_data": content_of_examples(dataset, dataset.examples(settings.split))}
    return of | {"models": {n: m.identity() for n, m in models.items()}} | codes_of(settings.methods)


def _card(
    subject: Subject, results: tuple[TestResult, ...], left_out: tuple[str, ...], seconds: float
) -> Card:
    assert subject.evaluation is not None
    tables, settings = tables_of(subject.evaluation), subject.run.settings
    failed = (f"{method} did not run: {why}" for method, why in subject.failed.items())
    facts = facts_of(
        as_record(settings) | {"model": model_name(settings.model)},
        examples=len(subject.items),
        with_human_evidence=sum(bool(i.truth.spans) for i in subject.items),
        budget=subject.budget,
        device=subject.run.classifier.where(),
        seconds_of_scores=seconds,
        trust=asdict(subject.settings),
        correlation=correlation(subject.evaluation),
        notes=[printable(n) for n in (*subject.evaluation.notes, *left_out, *failed)],
    )
    lines = {name: test.line for name, test in TESTS.items()}
    return Card(results, lines, tables.scores, tables.paired, facts)
