"""The numbers of several trainings, with intervals over posts and trainings, beside published ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from eraser.metrics.bootstrap import Estimate, Fold, difference_over_trainings, estimate_over_trainings
from eraser.metrics.classes import CLASS_FOLDS
from eraser.official.hatexplain_columns import FOLDS
from rationale.hatexplain.protocol import OF_MODEL, ProtocolResult
from rationale.hatexplain.table import HEADS, NONE, OF_ANSWERS, OF_RATIONALES
from rationale.reproduce.hatexplain import PLAIN, Found, of_all

COLUMNS = (
    "model", "unit", "method", "metric", "value", "low", "high", "lowest", "highest", "n", "trainings",
    "against_plain", "against_plain_low", "against_plain_high",
)  # fmt: skip
Key = tuple[str, str, str]  # unit, method, metric


def as_table(found: Found) -> pd.DataFrame:
    """Return a row for each model, unit, method and number.

    `value` is the mean over trainings, `low` and `high` its interval over posts and trainings, `lowest` and
    `highest` the extremes of the trainings. `against_plain` is the paired difference from the same number of
    the model without marks. AUROC and bias are not means over posts: they have only extremes.
    """
    rows = [row for model, results in found.items() for row in _rows(model, results, found)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(model: str, results: Sequence[ProtocolResult], found: Found) -> Iterator[dict[str, Any]]:
    for key, of_key in _by_key(results).items():
        same = dict(zip(("unit", "method", "metric"), key, strict=True)) | {"model": model}
        row = {
            "lowest": of_key.min(),
            "highest": of_key.max(),
            "value": of_key.mean(),
            "trainings": len(of_key),
        }
        fold = (CLASS_FOLDS if key[1] == OF_MODEL else FOLDS).get(key[2])
        yield {**same, **row, **_intervals(key, fold, model, results, found)}


def _by_key(results: Sequence[ProtocolResult]) -> dict[Key, pd.Series[float]]:
    """Return the values of each number that every training has."""
    frames = [r.scores.assign(training=i) for i, r in enumerate(results)]
    grouped = pd.concat(frames).groupby(["unit", "method", "metric"], sort=False)["value"]
    return {key: of_key for key, of_key in grouped if len(of_key) == len(results)}  # type: ignore[misc]


def _intervals(
    key: Key, fold: Fold | None, model: str, results: Sequence[ProtocolResult], found: Found
) -> dict[str, Any]:
    """Return what resamples of posts and trainings say of a number."""
    if fold is None or key not in results[0].columns:
        return {}
    ours = of_all(results, key)
    told = {k: v for k, v in asdict(estimate_over_trainings(ours, fold)).items() if k != "value"}
    if model == PLAIN or PLAIN not in found or key not in found[PLAIN][0].columns:
        return told
    apart = difference_over_trainings(ours, of_all(found[PLAIN], key), fold)
    return told | _named("against_plain", apart)


def _named(name: str, of: Estimate) -> dict[str, float]:
    return {name: of.value, f"{name}_low": of.low, f"{name}_high": of.high}


def as_markdown(table: pd.DataFrame, of: dict[str, Any]) -> str:
    """Return a table of the models' answers and one of their rationales for each unit, and the notes."""
    seeds = ", ".join(map(str, of["seeds"]))
    answers = table[table.method == OF_MODEL]
    first = str(answers.unit.iloc[0])
    parts = [
        f"train {of['train']:,}, val {of['val']:,}, test {of['test']:,} posts; seeds {seeds}. Means over "
        "trainings; in square brackets 95 % intervals over posts and trainings, in round ones the lowest and "
        f"the highest training. Answers: of posts read in {first}.\n",
        _part(answers[answers.unit == first], ("model",), OF_ANSWERS),
    ]
    for unit, rows in table[table.method != OF_MODEL].groupby("unit", sort=False):
        parts.append(f"**{unit}**\n\n" + _part(rows, ("model", "method"), OF_RATIONALES))
    parts += [f"Note: {note}.\n" for note in of["notes"]]
    return "\n".join(parts)


def _part(rows: pd.DataFrame, by: tuple[str, ...], metrics: Sequence[str]) -> str:
    there = [name for name in metrics if name in set(rows.metric)]
    lines = [(*by, *(HEADS[name] for name in there)), ("---",) * (len(by) + len(there))]
    for names, of_row in rows.groupby(list(by), sort=False):
        cells = {row["metric"]: _cell(row) for row in of_row.to_dict("records")}
        lines.append((*map(str, names), *(cells.get(name, NONE) for name in there)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(row: dict[Any, Any]) -> str:
    if pd.isna(row["value"]):
        return NONE
    spread = f"({row['lowest']:.3f}, {row['highest']:.3f})"
    inside = spread if pd.isna(row.get("low")) else f"[{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f} {inside}".replace("-", "−")
