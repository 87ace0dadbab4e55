"""Facts about a model found by trying it, cached for as long as the model lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

T = TypeVar("T")
_KNOWN: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def known(model: Any, question: Hashable, find: Callable[[], T]) -> T:
    """Return what `find()` returns; it runs once for each model and question.

    Models are told apart by their table of words and their class: of a model that stops early, the one that
    runs every layer is built again each time it is asked for.
    """
    answers = _KNOWN.setdefault(model.get_input_embeddings(), {})
    key = (type(model).__qualname__, question)
    if key not in answers:
        answers[key] = find()
    found: T = answers[key]
    return found


def twin(model: Any) -> Any:
    """Return a copy of a model that shares its weights and what is known of it."""
    found = deepcopy(model, {id(weight): weight for weight in model.parameters()})
    learn(found, model)
    return found


def learn(model: Any, other: Any) -> None:
    """Take over what is known of a model's twin, in terms of the model's own parts."""
    parts = (*zip(other.modules(), model.modules(), strict=True), *((w, w) for w in other.parameters()))
    ours: dict[int, Any] = {id(its): own for its, own in parts}
    answers = _KNOWN.setdefault(model.get_input_embeddings(), {})
    found = _KNOWN.get(other.get_input_embeddings(), {})
    answers |= deepcopy({q: a for q, a in found.items() if q not in answers}, ours)


def rounded(model: Any) -> bool:
    """Return whether a model's matrices are held in half precision."""
    return not matrix_kinds(model).isdisjoint((torch.bfloat16, torch.float16))


def as_held(model: Any) -> AbstractContextManager[Any]:
    """Return the context in which a model runs with its weights as they are: alike, or matrices rounded."""
    table = next(model.get_input_embeddings().parameters())
    if matrix_kinds(model) <= {table.dtype}:
        return nullcontext()
    return torch.autocast(table.device.type, dtype=torch.bfloat16)


def matrix_kinds(model: Any) -> set[torch.dtype]:
    """Return what the matrices of a model's linear layers are held in."""
    return {m.weight.dtype for m in model.modules() if isinstance(m, nn.Linear)}
