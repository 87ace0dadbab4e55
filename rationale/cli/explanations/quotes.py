"""Options of `rationale explanations import --form quotes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eraser import Fault, InputError

if TYPE_CHECKING:
    from rationale.explanations.quotes.rows import QuoteForm


@dataclass(frozen=True)
class Quotes:
    """How a file of a model's answers is read."""

    quotes: Annotated[
        str | None,
        typer.Option(
            help="Quotes: field of the passages or of the answer that holds them; dots lead into objects. "
            "Default: quotes, rationales, rationale or answer, the first that is there."
        ),
    ] = None
    label: Annotated[
        str | None, typer.Option(help="Quotes: field of the label that the model gave; by default label.")
    ] = None
    key: Annotated[
        str | None,
        typer.Option(help="Quotes: the only name under which objects inside an answer hold passages."),
    ] = None
    repeated: Annotated[
        Literal["all", "first"],
        typer.Option(
            help="Quotes: of a passage that stands in a text more than once, pick all or the first."
        ),
    ] = "all"
    label_names: Annotated[
        str | None, typer.Option(help="Quotes: the data set's name of each label, as 0=NEG,1=POS.")
    ] = None

    def form(self, id: str | None) -> QuoteForm:
        """Return how the file is read; `id` is the field of the ids."""
        from rationale.explanations.quotes.rows import QuoteForm

        return QuoteForm(id or "id", self.label, self.quotes, self.key, self.repeated, self._names())

    def _names(self) -> dict[str, str]:
        pairs = [part.partition("=") for part in self.label_names.split(",")] if self.label_names else []
        if not all(theirs and sign and ours for theirs, sign, ours in pairs):
            raise InputError(Fault("names of labels, as 0=NEG,1=POS", repr(self.label_names)))
        return {theirs: ours for theirs, _, ours in pairs}
