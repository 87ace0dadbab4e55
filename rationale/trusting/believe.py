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
from rationale.evaluation.explained import explained_by, reading_as
from rationale.evaluation.plan import plan
from rationale.explanations.of_run import NO_IMPORTS, Imports
from rationale.report.command import model_name
from rationale.report.summary import tables_of
from rationale.settings import BASELINES, EvaluateSettings, as_record
from rationale.text_classifier import TextClassifier, labelled_as
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
    settings, begin = with_baselines(choices).settings, time.process_time()
    classifier = labelled_as(classifier, dataset.labels, settings.model)
    others = _trainings(classifier, dataset, models or {})
    of = _made_of(dataset, settings, trust, names) | _asked(classifier, others, imports)
    of |= {"content_of_dense": _explained(classifier, dataset, settings, explained).identity()}
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


def _trainings(
    classifier: TextClassifier, dataset: Dataset, models: Mapping[str, TextClassifier]
) -> dict[str, TextClassifier]:
    """Return other trainings as readers of the classifier's pieces; refuse what is no training of it."""
    remedy = "give another training of --model, with the same tokenizer and labels"
    labelled = {name: labelled_as(other, dataset.labels, name) for name, other in models.items()}
    return {n: reading_as(classifier, other, f"--models {n}", remedy) for n, other in labelled.items()}


def _explained(
    classifier: TextClassifier, dataset: Dataset, settings: EvaluateSettings, dense: TextClassifier | None
) -> TextClassifier:
    """Return what methods explain that need no dropped tokens."""
    if dense is not None:
        dense = labelled_as(dense, dataset.labels, settings.dense or settings.model)
    return explained_by(classifier, dense)


def _made_of(
    dataset: Dataset, settings: EvaluateSettings, trust: TrustSettings, names: Sequence[str]
) -> dict[str, Any]:
    """Return all settings, and the data, that a card depends on."""
    of = {k: v for k, v in as_record(settings).items() if k not in ("model", "dense")}
    of |= {f"trust_{name}": value for name, value in asdict(trust).items()}
    of |= {"tests": list(names)}
    of |= {"content_of_data": content_of_examples(dataset, dataset.examples(settings.split))}
    return of | codes_of(settings.methods)


def _asked(
    classifier: TextClassifier, others: Mapping[str, TextClassifier], imports: Imports
) -> dict[str, Any]:
    """Return the models and the explanations made elsewhere that a card depends on, by their content."""
    of: dict[str, Any] = {"content_of_model": classifier.identity()}
    of |= {"content_of_tokenizer": classifier.encoder.identity()}
    of |= {"models": {name: other.identity() for name, other in others.items()}}
    return of | {f"content_of_{one.method}": one.identity for one in imports.methods}


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
