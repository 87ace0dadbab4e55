"""Options of `rationale explanations import` that say how a table is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rationale.explanations.files.columns import Columns


def _column(what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=f"Column {what}; by default the usual name.")
    return found


Method = Annotated[
    str | None,
    typer.Option(
        help="Method to read of a table of several, which a column method, explainer or tool names."
    ),
]


@dataclass(frozen=True)
class ColumnOptions:
    """Which columns of a table hold what, and which of its methods is read."""

    token: Annotated[str | None, _column("of the tokens")] = None
    score: Annotated[str | None, _column("of the scores")] = None
    picked: Annotated[str | None, _column("of 0 and 1, for tokens that were picked")] = None
    start: Annotated[str | None, _column("of each token's first character")] = None
    end: Annotated[str | None, _column("of the character after each token")] = None
    method: Method = None

    def columns(self, id: str | None) -> Columns:
        """Return the names of the columns; `id` is that of the ids."""
        from rationale.explanations.files.columns import Columns

        return Columns(id, **asdict(self))
