"""What a model can do besides classify: drop tokens, stop texts early, follow a dial, be pruned.

Code outside this package never asks for a model's class: it asks here what the model can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any, TypeGuard

from torch import nn
from transformers import PreTrainedModel

from rationale.models.adaptive import AdaptiveForSequenceClassification
from rationale.models.pruning import PrunedForSequenceClassification


def has_dial(model: object) -> TypeGuard[AdaptiveForSequenceClassification]:
    """Return whether a model drops tokens or stops texts early, so that it has a dial."""
    return isinstance(model, AdaptiveForSequenceClassification)


def drops_tokens(model: object) -> TypeGuard[AdaptiveForSequenceClassification]:
    """Return whether a model, or one inside it, drops tokens."""
    return has_dial(model) and model.drops_tokens


def exits_early(model: object) -> TypeGuard[AdaptiveForSequenceClassification]:
    """Return whether a model, or one inside it, stops texts before the last layer."""
    return has_dial(model) and bool(model.exit_heads())


def is_cut(model: object) -> bool:
    """Return whether a classifier's own matrices are pruned; those of one inside it do not count."""
    return getattr(getattr(model, "config", None), "cut", None) is not None


def wrappers(model: PreTrainedModel) -> list[AdaptiveForSequenceClassification]:
    """Return the adaptive models around a classifier, the innermost first."""
    found: list[AdaptiveForSequenceClassification] = []
    while has_dial(model):
        found.insert(0, model)
        model = model.model
    return found


def at_dial(model: object, dial: float) -> AbstractContextManager[None]:
    """Return the context in which a model runs at a dial; one without a dial runs as it is."""
    return model.at_dial(dial) if has_dial(model) else nullcontext()


@contextmanager
def under_exit(model: AdaptiveForSequenceClassification, rule: str, dial: float) -> Iterator[None]:
    """Run a model that exits early by a rule of EXITS at a dial; afterwards it has its previous rule."""
    exiting = next(w for w in wrappers(model) if w.exit_heads())
    before = exiting.config.exit_rule, exiting.config.dial
    try:
        exiting.set_exit(rule, dial)
        yield
    finally:
        exiting.set_exit(*before)


def without_removal(model: Any) -> Any:
    """Return a model with nothing removed and every layer run: itself if it never does less."""
    return model.without_removal() if has_dial(model) else model


def as_saved(model: PreTrainedModel) -> PreTrainedModel:
    """Return what is written to disk: a pruned classifier in the wrapper that the Auto classes can load."""
    return PrunedForSequenceClassification.from_dense(model) if is_cut(model) else model


def as_used(model: PreTrainedModel) -> PreTrainedModel:
    """Return what is run of a model from disk: a pruned classifier without that wrapper."""
    return model.model if isinstance(model, PrunedForSequenceClassification) else model


def frozen_view(model: PreTrainedModel) -> PreTrainedModel:
    """Return new modules around a model's weights: to freeze them leaves the model as it is."""
    weights = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    found: PreTrainedModel = deepcopy(model, {**weights, **{id(b): b for b in model.buffers()}})
    return found
