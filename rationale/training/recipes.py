"""What `rationale train` can make of a dense model. To add one: a Recipe and a line here."""

from __future__ import annotations

from rationale.training.adaptive import Recipe
from rationale.training.dact import DACT
from rationale.training.inforcoef import INFORCOEF
from rationale.training.prune import PRUNE
from rationale.training.train_adapler import ADAPLER

RECIPES: dict[str, Recipe] = {"adapler": ADAPLER, "dact": DACT, "inforcoef": INFORCOEF, "prune": PRUNE}
