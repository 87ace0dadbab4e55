"""How a user's own files are read: names of columns, forms, and how one file is split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from eraser.data.custom.spans import RationaleForm
from eraser.data.kinds.rows import TableOptions
from eraser.errors import Fault, InputError, short_repr
from eraser.words import WordCutter

LabelFrom = Literal["field", "spans", "folder"]
Offsets = Literal["auto", "codepoints", "utf16", "bytes", "tokens"]
RECORDED = {"rationale_form": "form", "form": "export", "fractions": "shares"}  # option → name in manifests
CHOICES = {
    name: get_args(of)
    for name, of in (("rationale_form", RationaleForm), ("label_from", LabelFrom), ("offsets", Offsets))
}


@dataclass(frozen=True)
class ColumnNames:
    """What columns are called; None: id, rationale, query, annotator go by these names, or are not there.

    `rationale` may name several, with commas between them: one for each annotator.
    """

    text: str = "text"
    label: str = "label"
    id: str | None = None
    rationale: str | None = None
    query: str | None = None
    split: str | None = None
    annotator: str | None = None


@dataclass(frozen=True)
class ImportOptions:
    """How to read files: their columns, the form of the rationales, and how to divide one file in three.

    `words` is what cuts the texts into words: by default white space, or, if most texts have none, single
    characters. `form` is the form of the files (a name of ANNOTATION_FORMS in eraser/data/forms/table.py,
    `table`, or `auto`: found out), `rationale_form` that of the rationales in their columns. `fractions` are
    the shares of train, val and test when one file is divided. `offsets` says what spans of characters count,
    `span_labels` which spans are evidence (all, where none are named), `label_from` where a text's class is;
    `skip_invalid` leaves out rows that are wrong, with a note. `encoding` and `separator` are the files',
    where they are not found out.

    Raises:
        InputError: settings that cannot be used, a fault each.
    """

    columns: ColumnNames = field(default_factory=ColumnNames)
    rationale_form: RationaleForm = "auto"
    marks: tuple[str, str] = ("[[", "]]")
    fractions: tuple[float, ...] = (0.8, 0.1, 0.1)
    seed: int = 0
    words: WordCutter | None = None
    form: str = "auto"
    offsets: Offsets = "auto"
    span_labels: tuple[str, ...] = ()
    label_from: LabelFrom = "field"
    skip_invalid: bool = False
    encoding: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if (
            len(self.fractions) != 3
            or min(self.fractions) < 0
            or not self.fractions[0]
            or _far(sum(self.fractions), 1)
        ):
            expected = "three shares, for train, val and test, that sum to 1, the first above 0"
            faults.append(Fault(expected, listed_numbers(self.fractions)))
        if not all(mark.strip() for mark in self.marks):
            faults.append(Fault("an opening and a closing mark", short_repr(self.marks)))
        if not 0 <= self.seed < 2**32:
            faults.append(Fault("a seed from 0 to 4294967295", str(self.seed)))
        for name, choices in CHOICES.items():
            if (given := getattr(self, name)) not in choices:
                faults.append(Fault(f"{name} one of {', '.join(choices)}", short_repr(given)))
        if self.rationale_form in ("marks", "none") and (column := self.columns.rationale) is not None:
            faults.append(
                Fault(f"no column of rationales, as their form is {self.rationale_form}", short_repr(column))
            )
        if faults:
            raise InputError(*faults)

    @property
    def files(self) -> TableOptions:
        """How files of rows are read."""
        return TableOptions(self.encoding, self.separator)

    def as_record(self) -> dict[str, Any]:
        """Return the settings for a manifest; those that came later only where they are not the default."""
        found, usual = _as_recorded(self), _as_recorded(ImportOptions())
        if found["columns"]["annotator"] is None:
            del found["columns"]["annotator"]
        later = ("export", "offsets", "span_labels", "label_from", "skip_invalid", "encoding", "separator")
        return {k: v for k, v in found.items() if k not in later or v != usual[k]}


def _as_recorded(options: ImportOptions) -> dict[str, Any]:
    """Return the settings under the names that manifests have always had."""
    return {RECORDED.get(name, name): value for name, value in asdict(options).items()}


def _far(one: float, other: float) -> bool:
    return not abs(one - other) < 1e-6  # also of NaN


def listed_numbers(numbers: Iterable[float]) -> str:
    """Return numbers with commas between them."""
    return ",".join(f"{n:g}" for n in numbers)
