"""The command `rationale trust`: can a method's explanations be believed?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rationale.cli.evaluate import default_model, named_classifier, read_data
from rationale.cli.from_settings import from_settings
from rationale.cli.options import (
    AsJson,
    Budgets,
    DataPath,
    DatasetName,
    DenseModel,
    Encoding,
    Explains,
    Explanations,
    ExplanationsMissing,
    LabelNames,
    Methods,
    ModelPath,
    Overwrite,
    Separator,
    SkipInvalid,
)
from rationale.process.terminal import digits, say, say_json, say_lines, say_next
from rationale.settings import EvaluateSettings
from rationale.trusting.contract import TrustSettings

CardFolder = Annotated[
    Path | None, typer.Option(help="Folder for the card; default runs/trust-DATASET-SPLIT.")
]
Tests = Annotated[str | None, typer.Option(help="Tests, comma-separated; by default all.")]
OtherModels = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        help="Another training of the model (a folder), for tests that compare trainings; may be repeated.",
    ),
]


@from_settings()
def trust_command(  # noqa: PLR0913 (one option each)
    dataset: DatasetName = None,
    data: DataPath = None,
    model: ModelPath = None,
    dense: DenseModel = None,
    out: CardFolder = None,
    methods: Methods = None,
    tests: Tests = None,
    models: OtherModels = None,
    budget: Budgets = None,
    explain: Explains = None,
    explanations: Explanations = None,
    explanations_missing: ExplanationsMissing = "refuse",
    labels: LabelNames = None,
    skip_invalid: SkipInvalid = False,
    encoding: Encoding = None,
    separator: Separator = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    *,
    settings: partial[EvaluateSettings],
    trust: TrustSettings,
) -> None:
    """Test whether explanations can be believed; ends in sentences. An interrupted run resumes."""
    from eraser.data.custom.options import ImportOptions
    from eraser.load import named
    from rationale.evaluation.choices import DEFAULT, choose
    from rationale.explanations.of_run import read_imports
    from rationale.hf.memory import keep_freed_memory
    from rationale.trusting.believe import BUDGET, believe
    from rationale.trusting.run import names_of

    names = names_of(tests)
    keep_freed_memory()
    asked = settings(dataset=named(dataset, data), model=model or default_model(dataset, data), dense=dense)
    reading = ImportOptions(skip_invalid=skip_invalid, encoding=encoding, separator=separator)
    loaded = read_data(dataset, data, asked.split, reading)
    classifier = named_classifier(asked.model, asked, labels)
    explained = None if dense is None else named_classifier(dense, asked, labels)
    others = {name: named_classifier(name, asked, labels) for name in models or ()}
    imports = read_imports(explanations or (), explanations_missing)
    choices = choose(asked, classifier, explained, methods or DEFAULT, budget or BUDGET, explain, imports)
    folder = out or Path("runs") / f"trust-{loaded.name}-{asked.split}"
    for line in choices.left_out:
        say(line, err=True)
    more = (explained, others, overwrite, imports, tuple(others))
    card = believe(classifier, loaded, choices, trust, names, folder, *more)
    if as_json:
        say_json(card.to_record())
        return
    say_lines(repr(card))
    say(f"{digits(card.seconds)} s of CPU in all; each test's numbers: {folder}/card.html")
    say_next("app", "--run", folder / "scores")
