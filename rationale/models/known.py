"""What was found out about a model by trying it, for as long as the model lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

T = TypeVar("T")
_KNOWN: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def known(model: Any, question: Hashable, find: Callable[[], T]) -> T:
    """Return what `find` finds, which is asked once for each model and question.

    Models are told apart by their table of words and their class: of a model that stops early, the one that
    runs every layer is made anew each time it is asked for.
    """
    answers = _KNOWN.setdefault(model.get_input_embeddings(), {})
    key = (type(model).__qualname__, question)
    if key not in answers:
        answers[key] = find()
    found: T = answers[key]
    return found


def rounded(model: nn.Module) -> bool:
    """Return whether the matrices, and not the table of words, are held in half precision."""
    kinds = {m.weight.dtype for m in model.modules() if isinstance(m, nn.Linear)}
    table = model.get_input_embeddings()  # type: ignore[operator]
    return len(kinds - {next(table.parameters()).dtype}) > 0


def as_held(model: nn.Module) -> AbstractContextManager[Any]:
    """Return the context in which a model runs with its weights as they are held."""
    if not rounded(model):
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16)
