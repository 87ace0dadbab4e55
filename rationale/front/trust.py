"""`rationale.trust`: can a method's explanations be believed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eraser import Dataset
from eraser.errors import strings_of
from rationale.evaluation.choices import DEFAULT, choose
from rationale.explanations.of_run import Given, Missing, read_imports
from rationale.front.explanations import OF_MODELS
from rationale.front.given import known_settings, loaded, name_of, named_dataset
from rationale.hf.memory import keep_freed_memory
from rationale.settings import EvaluateSettings
from rationale.trusting.believe import BUDGET, believe
from rationale.trusting.card import Card
from rationale.trusting.contract import TrustSettings
from rationale.trusting.run import names_of

OF_TESTS = frozenset(field.name for field in fields(TrustSettings))


def trust(  # noqa: PLR0913 (a setting each)
    model: Any = None,
    dataset: str | Path | Mapping[str, str | Path] | Dataset = "sample",
    methods: str | Sequence[str] = DEFAULT,
    *,
    tests: Sequence[str] | str | None = None,
    models: Mapping[str, Any] | None = None,
    budget: str | Sequence[str] = BUDGET,
    dense: Any = None,
    labels: Sequence[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    explanations: Given | Sequence[Given] = (),
    explanations_missing: Missing = "refuse",
    **settings: Any,
) -> Card:
    """Test whether methods can be believed, as `rationale trust` does; return the card.

    Args:
        model: what `load` takes, or returned; default the shipped model of film reviews.
        dataset: what `load_data` takes, or returned; but a single file of rows is read whole as `split`.
        methods: `default`, `all`, or names of METHODS; `random` and `position` are always tested.
        tests: of TESTS; default all.
        models: other trainings of the model by name, for the tests that compare trainings.
        budget: the rationale length.
        dense: the model that attention and gradients explain where `model` drops tokens.
        labels: names of the model's answers in order, where it does not know them.
        out: the card's folder; an interrupted run there is resumed. Default: nothing is kept.
        overwrite: whether other work of this suite in `out` makes room.
        explanations: made elsewhere, a row each.
        explanations_missing: `refuse` examples without such, or `skip` them.
        settings: fields of TrustSettings, such as `draws`, and of EvaluateSettings, such as `limit`.

    Raises:
        InputError: something does not fit, a fault each.
    """
    keep_freed_memory()
    methods = methods if isinstance(methods, str) else strings_of("methods", methods)
    names = names_of(tests)
    asked = TrustSettings(**{n: settings.pop(n) for n in OF_TESTS & settings.keys()})
    explain, split = settings.pop("explain", None), settings.pop("split", "test")
    how = {name: settings.pop(name) for name in OF_MODELS if name in settings}
    classifier, read = loaded(model, labels, how)
    explained = None if dense is None else loaded(dense, labels, how)[0]
    others = {name: loaded(other, labels, how)[0] for name, other in (models or {}).items()}
    places = tuple(map(name_of, (models or {}).values()))
    data = dataset if isinstance(dataset, Dataset) else named_dataset(dataset, split)
    given = {"split": split, **read, **settings, "dataset": data.name, "model": name_of(model)}
    given |= {"dense": None if dense is None else name_of(dense)}
    budgets = strings_of("budget", budget)
    imports = read_imports(explanations, explanations_missing)
    evaluate = EvaluateSettings(**known_settings(given))
    choices = choose(evaluate, classifier, explained, methods, budgets, explain, imports)
    with TemporaryDirectory(prefix="rationale-") as scratch:
        folder = Path(scratch) / "trust" if out is None else Path(out)
        more = (explained, others, overwrite, imports, places)
        return believe(classifier, data, choices, asked, names, folder, *more)
