"""Rules for early exits side by side: dials are chosen on one split within a budget, measured on another.

There may be several trainings to choose from, each with several models that differ in their seed. Results
are means over the seeds for each text; intervals are over texts, paired between rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from eraser import Dataset, Fault, InputError
from eraser.metrics.bootstrap import Estimate, difference, estimate
from eraser.progress import progress
from eraser.types import Floats, Mask
from rationale.bench.clock import clock_on
from rationale.bench.exits import Point, check_exits, chosen, commonest, line, take_notes
from rationale.hf.classifier import Classifier
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import exits_early, under_exit
from rationale.models.exits.rules import EXITS
from rationale.text.encode import Batch
from rationale.text.windows import Window
from rationale.text_classifier import labelled_as

STEPS = 60  # budgets from nothing to all of the dense model's FLOPs
HALF = 0.5
NO_POINT = "–"  # in place of a seed's dial and model


@dataclass(frozen=True)
class ExitSettings:
    """What is compared: the first of `rules` with the others, at `budgets`, shares of the dense FLOPs."""

    rules: tuple[str, ...] = tuple(EXITS)
    budgets: tuple[float, ...] = (1 / 6, 1 / 4, 1 / 3, 1 / 2)
    choose_on: str = "val"
    split: str = "test"
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be compared."""
        if strange := [r for r in self.rules if r not in EXITS]:
            raise InputError(Fault(f"rules of {', '.join(EXITS)}", repr(strange[0])))
        if bad := [b for b in self.budgets if not 0 < b <= 1]:
            raise InputError(Fault("budgets above 0 and at most 1", str(bad[0])))
        if self.choose_on == self.split:
            raise InputError(Fault("two splits: one to choose on, one to measure on", repr(self.split)))


@dataclass(frozen=True)
class Lines:
    """All points of a rule with the models of one seed: the same points on both splits."""

    models: list[str] = field(default_factory=list)
    choosing: list[Point] = field(default_factory=list)
    measured: list[Point] = field(default_factory=list)

    def within(self, budget: float) -> int | None:
        """Return the index of the point chosen within a budget."""
        return chosen(self.choosing, budget)


@dataclass(frozen=True)
class Compared:
    """Lines by rule and seed [rule][seed]; the texts for which the most frequent label is correct."""

    lines: dict[str, list[Lines]]
    nothing: Mask
    settings: ExitSettings

    def right(self, rule: str, budget: float) -> Floats:
        """Return each text's accuracy, averaged over seeds, at the points chosen within a budget."""
        found = [(of, of.within(budget)) for of in self.lines[rule]]
        seeds = [self.nothing if i is None else of.measured[i].right for of, i in found]
        right: Floats = np.mean(seeds, axis=0)
        return right

    def credit(self, rule: str, up_to: float) -> Floats:
        """Return each text's mean over the budgets up to a share; the mean over texts is the area."""
        count = round(STEPS * up_to)
        credit: Floats = np.mean([self.right(rule, i / STEPS) for i in range(1, count + 1)], axis=0)
        return credit

    def points(self, rule: str, budget: float) -> list[tuple[str, Point] | None]:
        """Return for each seed the model and the chosen point; None for a seed that has none."""
        found = [(of, of.within(budget)) for of in self.lines[rule]]
        return [None if i is None else (of.models[i], of.measured[i]) for of, i in found]


def compare_exits(
    models: Mapping[str, Sequence[Callable[[], Classifier]]], dataset: Dataset, settings: ExitSettings
) -> Compared:
    """Return the results of every rule on every model.

    Args:
        models: for each training its models, one per seed, loaded when their turn comes.
        dataset: has both splits.
        settings: what is compared.

    Raises:
        InputError: trainings with different numbers of seeds, or a model without early exits.
    """
    settings.check()
    seeds, *odd = {len(of) for of in models.values()}
    if odd:
        got = ", ".join(f"{name} {len(of)}" for name, of in models.items())
        raise InputError(Fault("the same number of models for each training", got))
    lines = {rule: [Lines() for _ in range(seeds)] for rule in settings.rules}
    work = [(name, seed, load) for name, of in models.items() for seed, load in enumerate(of)]
    nothing: Mask = np.zeros(0, dtype=bool)
    for name, seed, load in progress(work, "exits", "models"):
        classifier = labelled_as(load(), dataset.labels, name)
        check_exits(classifier, name)
        choosing, measured = (
            take_notes(classifier, dataset, s) for s in (settings.choose_on, settings.split)
        )
        nothing = commonest(measured.labels, choosing.labels)
        for rule in settings.rules:
            of = lines[rule][seed]
            of.choosing.extend(line(classifier, choosing, rule))
            of.measured.extend(line(classifier, measured, rule))
            of.models.extend([name] * (len(of.measured) - len(of.models)))
    return Compared(lines, nothing, settings)


def frontier_table(found: Compared) -> pd.DataFrame:
    """Return a row per rule and budget: accuracy with its interval, FLOPs used, and the chosen points."""
    return pd.DataFrame([
        {"rule": rule, "budget": i / STEPS, **_cell(found, rule, i / STEPS)}
        for rule in found.settings.rules
        for i in range(1, STEPS + 1)
        if any(found.points(rule, i / STEPS))
    ])  # fmt: skip


def _cell(found: Compared, rule: str, budget: float) -> dict[str, Any]:
    """Return means over all seeds: one without a point gives the commonest label, which costs nothing."""
    points = found.points(rule, budget)
    there, seeds = [of[1] for of in points if of], len(points)
    accuracy = _estimated(found.right(rule, budget), found.settings.seed)
    return {
        "share": sum(p.share for p in there) / seeds,
        "layers": sum(p.layers for p in there) / seeds,
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "n": accuracy.n,
        "dials": " ".join(f"{of[1].dial:.4g}" if of else NO_POINT for of in points),
        "models": " ".join(of[0] if of else NO_POINT for of in points),
    }


def difference_table(found: Compared) -> pd.DataFrame:
    """Return the first rule's accuracy minus that of each other rule, at each budget and as areas.

    An area is the mean accuracy over the budgets up to half of the dense FLOPs, or up to all of them.
    """
    first, *others = found.settings.rules
    measured: dict[str, Callable[[str], Floats]] = {
        f"at {budget:.3f}": lambda rule, budget=budget: found.right(rule, budget)  # type: ignore[misc]
        for budget in found.settings.budgets
    }
    measured |= {
        "area to 0.5": lambda rule: found.credit(rule, HALF),
        "area to 1": lambda rule: found.credit(rule, 1.0),
    }
    rows = []
    for name, of in measured.items():
        ours = of(first)
        rows.append({"what": name, "rule": first, **_told("value", _estimated(ours, found.settings.seed))})
        for rule in others:
            theirs = of(rule)
            apart = difference(ours[:, None], theirs[:, None], _alone, found.settings.seed)
            value = _estimated(theirs, found.settings.seed)
            rows.append({"what": name, "rule": rule, **_told("value", value), **_told("ahead", apart)})
    return pd.DataFrame(rows)


def _alone(means: Floats) -> Floats:
    found: Floats = means[..., 0]
    return found


def _estimated(values: Floats, seed: int) -> Estimate:
    return estimate(values.astype(np.float64)[:, None], _alone, seed)


def _told(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


# Real passes


@torch.inference_mode()
def time_exits(
    classifier: Classifier,
    windows: Sequence[Window],
    dials: Mapping[str, float],
    batch_size: int = 32,
    rounds: int = 5,
) -> pd.DataFrame:
    """Return the measured speed-up of each rule at its dial over Hugging Face's dense pass.

    Rounds alternate between the passes; `wall` is the median ratio of their times, with lowest and highest,
    `where` says on what they ran, and which time it is.
    """
    model = classifier.model
    assert exits_early(model)
    ordered = sorted(windows, key=len)
    starts = range(0, len(ordered), batch_size)
    batches = [classifier.encoder.collate(ordered[i : i + batch_size]).to(classifier.device) for i in starts]
    spent: dict[str, list[float]] = {way: [] for way in ("dense", *dials)}
    with classifier.autocast():
        for _ in progress(range(rounds + 1), "time exits", "rounds"):  # the first warms up
            spent["dense"].append(_seconds(classifier, unwrap(model), batches))
            for rule, dial in dials.items():
                with under_exit(model, rule, dial):
                    spent[rule].append(_seconds(classifier, model, batches))
    dense = np.array(spent.pop("dense")[1:])
    ratios = {rule: dense / np.array(of[1:]) for rule, of in spent.items()}
    where = f"{classifier.where()}, {clock_on(classifier.device)[1]}"
    return pd.DataFrame([
        {"rule": rule, "wall": np.median(r), "wall_low": r.min(), "wall_high": r.max(), "where": where}
        for rule, r in ratios.items()
    ])  # fmt: skip


def _seconds(classifier: Classifier, model: Any, batches: Sequence[Batch]) -> float:
    """Return the seconds for all batches; on a GPU until it has finished them."""
    clock, _ = clock_on(classifier.device)
    begin = clock()
    for batch in batches:
        model(input_ids=batch.ids, **classifier.inputs(batch))
    if classifier.device.type == "cuda":
        torch.cuda.synchronize(classifier.device)
    return clock() - begin
