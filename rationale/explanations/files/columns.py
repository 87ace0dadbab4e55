"""Which columns of a file hold what, found by their usual names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from eraser.errors import Fault, InputError, short_repr

USUAL: dict[str, tuple[str, ...]] = {  # the first that is there; without regard to case
    "id": ("id", "example_id", "annotation_id", "text_id", "document_id", "doc_id", "sentence_id", "index"),
    "token": ("token", "tokens", "word", "words", "feature", "features"),
    "score": (
        "score", "scores", "attribution", "attributions", "weight", "weights", "importance", "importances",
        "saliency", "value", "values", "shap_values",
    ),
    "picked": ("picked", "mask", "rationale", "selected"),
    "start": ("start", "start_char", "char_start", "begin"),
    "end": ("end", "end_char", "char_end"),
    "offsets": ("offsets", "spans", "offset_mapping"),
    "label": ("label", "prediction", "predicted", "predicted_label", "classification"),
    "target": ("class", "target", "target_class", "explained_class", "class_explained"),
    "method_column": ("method", "explainer", "tool"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of columns; None: the usual one, if it is there. Of several methods, only `method` is read."""

    id: str | None = None
    token: str | None = None
    score: str | None = None
    picked: str | None = None
    start: str | None = None
    end: str | None = None
    offsets: str | None = None
    label: str | None = None
    target: str | None = None
    method_column: str | None = None
    method: str | None = None

    def found_in(self, there: Collection[str], path: Path, line: int) -> Columns:
        """Return the names that a file has.

        Raises:
            InputError: it lacks a named column, the ids, the pieces, or their scores.
        """
        by_name = {name.lower(): name for name in there}
        found = {}
        for field, usual in USUAL.items():
            named = getattr(self, field)
            if named is not None and named not in there:
                raise InputError(Fault(f"a column {named!r}", short_repr(list(there), 200), path, line))
            found[field] = named or next((by_name[n] for n in usual if n in by_name), None)
        if self.score and self.picked:
            raise InputError(Fault("scores, or picked tokens", f"both: {self.score}, {self.picked}", path))
        if found["score"] and found["picked"]:  # what was named; else scores say more
            found["score" if self.picked else "picked"] = None
        columns = replace(self, **found)
        needed = {
            "ids (--id)": (columns.id,),
            "tokens (--token), or their characters (--start, --end)": (columns.token, *columns.characters),
            "scores (--score), or picked tokens (--picked)": (columns.score, columns.picked),
        }
        lacks = [what for what, names in needed.items() if not any(names)]
        if lacks:
            expected = f"a column of {' and one of '.join(lacks)}"
            raise InputError(Fault(expected, short_repr(list(there), 200), path, line))
        return columns

    @property
    def characters(self) -> tuple[str | None, ...]:
        """The columns that say where a piece stands."""
        return (self.offsets,) if self.offsets else (self.start,) if self.start and self.end else ()
