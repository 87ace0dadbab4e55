"""AdapLeR's own data sets: what the paper reports for each, and how its models are trained here.

A new data set is a line of SETS. There are limits because training runs on a CPU; the written table gives the
number of texts used and the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eraser import Fault, InputError
from rationale.settings import names_in
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.settings import PruneSettings
from rationale.training.settings import TrainSettings


@dataclass(frozen=True)
class Limits:
    """The most texts read of train, of test and of val (drawn from train); None: all."""

    train: int | None = None
    test: int | None = None
    val: int | None = 1000

    def check(self) -> None:
        """Refuse limits that leave no texts."""
        bad = {name: n for name, n in vars(self).items() if n is not None and n < 1}
        if bad:
            raise InputError(*(Fault(f"a {name} limit of at least 1", str(n)) for name, n in bad.items()))


# Gradual removal: from 1 to the target in two fifths of the hard stage, set four times per epoch.
GRADUAL: dict[str, Any] = {
    "predictor_epochs": 1, "epochs": 0, "hard_epochs": 12, "anneal": 0.4, "scalings": 4, "decline": 0.6,
    "gate": 1.0, "eta_max": 1000.0, "predictor_lr": 1e-3, "hard_lr": 1e-4, "distill": 0.7,
    "saliency_epochs": 1,
}  # fmt: skip
PRUNED: dict[str, Any] = {"sparsity": 0.8, "lr": 1e-4, "hard_lr": 1e-4, "epochs": 4, "hard_epochs": 3}
DENSE: dict[str, Any] = {"epochs": 2, "lr": 1e-4, "batch_size": 16}
PAIRS: dict[str, Any] = {**DENSE, "epochs": 4}


@dataclass(frozen=True)
class PublishedSet:
    """A data set: AdapLeR's published FLOPs speed-up, limits, and how its models are trained.

    `aim` is the target speed-up in training, a little above the published one, as test may reach less.
    `of_stack` is the target of AdapLeR on a pruned model.
    """

    speedup: float
    aim: float
    of_stack: float
    limits: Limits
    pairs: bool = False
    dense: Mapping[str, Any] = field(default_factory=lambda: DENSE)
    more: Mapping[str, Any] = field(default_factory=dict)  # AdapLeR's settings that are not GRADUAL's

    def dense_settings(self, **run: Any) -> TrainSettings:
        """Return how the dense model is trained; `run` holds the command's settings."""
        return replace(TrainSettings(), **self.dense, **run)

    def adapler_settings(self, **run: Any) -> AdaplerSettings:
        """Return how AdapLeR is trained on the dense model."""
        return AdaplerSettings.of({**GRADUAL, "speedup": self.aim, **self.more, **run})

    def pruned_settings(self, **run: Any) -> PruneSettings:
        """Return how the stack's base model is pruned."""
        return PruneSettings.of({**PRUNED, **run})

    def stack_settings(self, **run: Any) -> AdaplerSettings:
        """Return how AdapLeR is trained on the pruned model."""
        return replace(self.adapler_settings(**run), speedup=self.of_stack)


SETS: dict[str, PublishedSet] = {  # in the order of the paper's table
    "sst2": PublishedSet(1.49, 1.6, 6, Limits(6400, None, 500)),
    "imdb": PublishedSet(3.21, 3.5, 15, Limits(1000, 1000, 200)),
    "hatexplain": PublishedSet(4.73, 4.9, 20, Limits(val=None)),
    "mrpc": PublishedSet(1.27, 1.35, 6, Limits(val=400), pairs=True, dense=PAIRS),
    "mnli": PublishedSet(1.42, 1.5, 6, Limits(val=400), pairs=True, dense=PAIRS),
    "qnli": PublishedSet(1.47, 1.6, 6, Limits(val=400), pairs=True, dense=PAIRS),
    "agnews": PublishedSet(7.73, 8.2, 30, Limits(6000, None, 1000), more={"decline": 0.45}),
    "dbpedia14": PublishedSet(22.23, 23.5, 60, Limits(6000, None, 1000), more={"decline": 0.45}),
}


def named_sets(text: str | None) -> dict[str, PublishedSet]:
    """Return the data sets named in a comma-separated list; all if none is named.

    Raises:
        InputError: one is unknown.
    """
    names = list(SETS) if text is None else names_in(text)
    if unknown := [name for name in names if name not in SETS]:
        raise InputError(Fault(f"data sets of {', '.join(SETS)}", repr(unknown[0])))
    return {name: SETS[name] for name in names}
