"""What adaptive models save in compute and lose in accuracy: the numbers of `rationale speeds`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from eraser import Dataset, Fault, InputError
from eraser.errors import short_repr
from rationale.bench.dial import dial_table
from rationale.bench.removal import bench
from rationale.bench.side_by_side import SideBySide, side_by_side
from rationale.bench.speeds import SpeedSettings, area, speed_table
from rationale.evaluation.plan import chosen
from rationale.front.data import load_data
from rationale.front.explanations import load
from rationale.hf.classifier import Classifier, cast_once, without_removal
from rationale.inference.savings import predict_split
from rationale.models.flops import parts_by_layer
from rationale.report.plots import dial_figure, layer_parts, new_figure, shared_legend, speed_figure
from rationale.report.ways_figure import ways_figure
from rationale.settings import EvaluateSettings

PLOTS = ("dial", "layers", "frontier", "ways")


@dataclass(frozen=True)
class Speeds:
    """Cost and accuracy of models; each table is computed on first access."""

    models: Mapping[str, Classifier]  # the first is the one that `dial`, `timed` and `layers` look at
    dense: Classifier
    dataset: Dataset
    settings: SpeedSettings

    @property
    def _first(self) -> Classifier:
        return next(iter(self.models.values()))

    @cached_property
    def dial(self) -> pd.DataFrame:
        """A row for each dial of the first model: FLOPs speed-up, accuracy and agreement with intervals."""
        s = self.settings
        return dial_table(self._first, self.dataset, s.split, s.dials, s.seed)

    @cached_property
    def timed(self) -> pd.DataFrame:
        """A row for each way to run the first model: GFLOPs and seconds of a round, and both speed-ups.

        `dense` is Hugging Face's forward pass on padded batches, `packed` this suite's with nothing removed,
        `removal` drops tokens; `low` and `high` are the least and most of the rounds.
        """
        s, windows = self.settings, predict_split(self._first, self.dataset, self.settings.split).windows
        found = bench(self._first, windows[: s.windows], s.batch_size, s.rounds)
        rows = [
            (
                t.way,
                found.gflops(t),
                found.ratio(t.way, lambda other: other.flops),
                t.median,
                found.ratio(t.way, lambda other: other.median),
                *found.spread(t.way),
            )
            for t in found.timings
        ]
        names = ["way", "GFLOPs", "FLOPs speed-up", "seconds", "measured speed-up", "low", "high"]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Each layer's GFLOPs per window: the dense model's, and the first model's by what they are for."""
        found = predict_split(self._first, self.dataset, self.settings.split)
        lengths = np.array([len(w) for w in found.windows])
        parts = parts_by_layer(self._first.model, lengths, found.kept)
        a_window = {name: flops / len(lengths) / 1e9 for name, flops in parts.items()}
        return pd.DataFrame({"layer": range(1, len(found.kept) + 1), **a_window})

    @cached_property
    def points(self) -> pd.DataFrame:
        """A row for the dense model and one for each model and dial, see `rationale.bench.speeds`."""
        return speed_table(self.dense, self.models, self.dataset, self.settings)

    @cached_property
    def beside(self) -> SideBySide:
        """The models beside common runtimes of the dense one: `rationale.bench.side_by_side`."""
        return side_by_side(self.dense, self.models, self.dataset, self.settings)

    @property
    def areas(self) -> pd.DataFrame:
        """Each model's area under accuracy over the share of the dense model's FLOPs; 1 is best."""
        labels = [e.label for e in self.dataset.examples(self.settings.split)]
        commonest = max(map(labels.count, set(labels))) / len(labels)
        return area(self.points, commonest).rename_axis("model").reset_index(name="area")

    def plot(self, figure: str = "frontier") -> Figure:
        """Return a figure of PLOTS: dial, layers, frontier or ways.

        Raises:
            InputError: there is none of that name.
        """
        if figure not in PLOTS:
            raise InputError(Fault(f"a figure of {', '.join(PLOTS)}", short_repr(figure)))
        if figure == "dial":
            return dial_figure(self.dial)
        if figure == "frontier":
            return speed_figure(self.points)
        if figure == "ways":
            return ways_figure(self.beside.table)
        drawing, (axes,) = new_figure(1, width=5.4)
        layer_parts(axes, self.layers)
        shared_legend(drawing)
        return drawing


def speeds(
    models: Any = None,
    dataset: str | Path | Mapping[str, str | Path] | Dataset = "sample",
    *,
    dense: Any = None,
    sample: int | None = None,
    dials: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0),
    **settings: Any,
) -> Speeds:
    """Measure accuracy, agreement and cost of models that drop tokens, stop early or are pruned.

    Args:
        models: one that `load` takes or returned, or several by name; default the shipped model.
        dataset: what `load_data` takes, or returned; a single file of rows is divided, as there.
        dense: the model they were made from; default the first with nothing removed.
        sample: a random sample of that size of the split, drawn with `seed`.
        dials: of models that have a dial: 0 drops nothing, 1 is as trained.
        settings: other fields of `rationale.bench.speeds.SpeedSettings`: `split`, `windows`, `batch_size`,
            `rounds`, `seed`.

    Raises:
        InputError: something does not fit, a fault each.
    """
    given = models if isinstance(models, Mapping) else {"model": models}
    if not given:
        raise InputError(Fault("at least one model", "none"))
    known = sorted(set(SpeedSettings.__dataclass_fields__) - {"dials"})
    if unknown := sorted(settings.keys() - set(known)):
        raise InputError(*(Fault(f"a setting of {', '.join(known)}", name) for name in unknown))
    asked = SpeedSettings(dials=tuple(dials), **settings)
    asked.check()
    if sample is not None and sample < 1:
        raise InputError(Fault("a sample of at least 1 example", str(sample)))
    data = dataset if isinstance(dataset, Dataset) else load_data(dataset)
    wanted = EvaluateSettings(data.name, "", sample=sample, seed=asked.seed)
    examples = chosen(data.examples(asked.split), wanted)
    few = replace(data, splits={**data.splits, asked.split: tuple(examples)})
    found = {name: _loaded(model) for name, model in given.items()}
    whole = without_removal(next(iter(found.values()))) if dense is None else _loaded(dense)
    return Speeds(found, whole, few, asked)


def _loaded(model: Any) -> Classifier:
    """Return a classifier whose inside is available."""
    found = model if hasattr(model, "encoder") and hasattr(model, "head") else load(model)
    if not isinstance(found, Classifier):
        raise InputError(Fault("a model whose layers can be counted", type(found).__name__))
    return cast_once(found)
