"""RECIPES: what `rationale train` makes of a dense model. To add one: a Recipe and a line here."""

from __future__ import annotations

from rationale.training.adaptive import Recipe
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.dact import DACT
from rationale.training.recipes.exits import EXITS
from rationale.training.recipes.inforcoef import INFORCOEF
from rationale.training.recipes.prune import PRUNE

RECIPES: dict[str, Recipe] = {
    "adapler": ADAPLER,
    "dact": DACT,
    "exits": EXITS,
    "inforcoef": INFORCOEF,
    "prune": PRUNE,
}
