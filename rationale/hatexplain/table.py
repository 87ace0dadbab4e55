"""The table of HateXplain's protocol as CSV, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from eraser.files.cells import as_csv
from eraser.files.owned import together
from eraser.files.whole import write_json, write_text
from eraser.load import load
from rationale.hatexplain.protocol import OF_MODEL, ProtocolResult, score_protocol
from rationale.hatexplain.settings import ProtocolSettings
from rationale.hf.classifier import Classifier, load_classifier

NAME = "hatexplain"  # of the table's files
HEADS = {
    "accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC", "gmb_subgroup": "GMB subgroup AUC",
    "gmb_bpsn": "GMB BPSN AUC", "gmb_bnsp": "GMB BNSP AUC",
    "iou_f1": "IOU F1", "token_f1": "token F1", "auprc": "AUPRC", "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency ↓", "iou_f1_one_to_one": "IOU F1, one to one",
    "token_f1_of_ceiling": "token F1 ÷ annotators'",
    "iou_f1_one_to_one_of_ceiling": "IOU F1, one to one ÷ annotators'",
}  # fmt: skip
OF_ANSWERS = ("accuracy", "macro_f1", "auroc", "gmb_subgroup", "gmb_bpsn", "gmb_bnsp")
OF_RATIONALES = tuple(name for name in HEADS if name not in OF_ANSWERS)
NONE = "–"


def hatexplain_row(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    settings: ProtocolSettings | None = None,
    dense: str | Path | None = None,
    overwrite: bool = False,
) -> ProtocolResult:
    """Score a model by HateXplain's protocol, from its raw archive to the table: `score_protocol` on paths.

    Args:
        model: a folder or a hub id.
        data: HateXplain's archive or folder.
        out: where parts and hatexplain.csv, .md and .json go; an interrupted run resumes there.
        settings: see ProtocolSettings.
        dense: the model that attention and gradients explain where the other one drops tokens.
        overwrite: whether another run in `out` makes room.
    """
    asked = settings or ProtocolSettings()
    classifier = loaded(model, asked)
    explained = None if dense is None else loaded(dense, asked)
    dataset, folder, reads = load("hatexplain", data), Path(out), (model, dense)
    result = score_protocol(classifier, dataset, folder, asked, explained, overwrite, reads)
    write_protocol(result, folder)
    return result


def loaded(model: str | Path, settings: ProtocolSettings) -> Classifier:
    """Return a model that runs as the settings say."""
    return load_classifier(model, device=settings.device, precision=settings.precision)


def write_protocol(result: ProtocolResult, out: Path) -> None:
    """Write the table into the folder of a run."""
    with together(out) as new:
        write_text(new / f"{NAME}.csv", as_csv(result.scores))
        write_text(new / f"{NAME}.md", as_markdown(result))
        write_json(new / f"{NAME}.json", as_record(result))


def as_record(result: ProtocolResult) -> dict[str, Any]:
    """Return the table as JSON holds it; a number that is undefined is null."""
    rows = result.scores.astype(object).where(result.scores.notna(), None).to_dict("records")
    return {"scores": rows, "notes": list(result.notes)}


def as_markdown(result: ProtocolResult) -> str:
    """Return a table of the model's answers and one of its rationales; brackets are intervals."""
    n = f"{len(result.ids):,} posts, {len(result.toxic_ids):,} of them toxic; "
    n += "brackets: 95 % intervals over posts"
    notes = "".join(f"- {_escaped(note)}\n" for note in result.notes)
    answers, rationales = (
        _table(result.scores[(result.scores.method == OF_MODEL) == of_model], names)
        for of_model, names in ((True, OF_ANSWERS), (False, OF_RATIONALES))
    )
    return f"{n}.\n\n{answers}\n{rationales}" + (f"\n{notes}" if notes else "")


def _table(rows: pd.DataFrame, names: Sequence[str]) -> str:
    """Return a row for each unit and method, a column for each number that any has."""
    there = [name for name in names if name in set(rows.metric)]
    heads = ("unit", "method", *(HEADS[name] for name in there))
    lines = [heads, ("---",) * len(heads), *_lines(rows, there)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _lines(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for (unit, method), of_method in rows.groupby(["unit", "method"], sort=False):
        by_name = {row["metric"]: row for row in of_method.to_dict("records")}
        yield str(unit), _escaped(str(method)), *(_cell(by_name.get(name)) for name in names)


def _escaped(text: str) -> str:
    """Return a text as Markdown shows it: no markup, no link, no new line."""
    shown = escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{sign}" if sign in "|[]`*\\" else sign for sign in shown)


def _cell(row: Mapping[Any, Any] | None) -> str:
    if row is None or pd.isna(row["value"]):
        return NONE
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]".replace("-", "−")
