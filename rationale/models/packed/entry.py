"""A pass from word embeddings that is given the ids too.

A hook on the table of words puts other vectors in the place of its own. So a head that looks for the last
token that is no padding finds it, positions are counted from the ids, and models that take no `inputs_embeds`
work.

Axes: B sequence, T token, D width of embeddings and states.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from eraser import Fault, InputError
from rationale.models.packed.known import as_held, known


def two_stacks(model: Any) -> bool:
    """Return whether a model is an encoder and a decoder."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def takes_types(model: Any, tokenizer: Any) -> bool:
    """Return whether a model is given token types: it has several, or its tokenizer makes them."""
    several = getattr(model.config, "type_vocab_size", None)
    if several is not None:
        return bool(several > 1)
    name = "token_type_ids"
    return name in tokenizer.model_input_names and name in inspect.signature(model.forward).parameters


def table_of(model: Any) -> nn.Module:
    """Return the module that embeds the words: of two stacks the encoder's."""
    owner = model.get_encoder() if two_stacks(model) else model
    table: nn.Module = owner.get_input_embeddings()
    return table


def tables_of(model: Any) -> list[nn.Module]:
    """Return every module that looks words up in the same weights."""
    table = table_of(model)
    weight = getattr(table, "weight", None)
    same: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding) and m.weight is weight]
    return same if any(m is table for m in same) else [table]


def embed(model: Any, ids: Tensor) -> Tensor:
    """Return the word embeddings [B,T,D] of ids [B,T]."""
    vectors: Tensor = table_of(model)(ids).detach()  # [B,T,D]
    return vectors


@contextmanager
def entering(model: Any, vectors: Tensor | None = None) -> Iterator[None]:
    """Let one pass begin at `vectors` [B,T,D], by default at its own embeddings, from which gradients start.

    A decoder that is given the encoder's words again, one place on, is given their vectors so too.

    Raises:
        InputError: the words are embedded again in another way.
    """
    if vectors is not None and _tokens_first(model):
        vectors = vectors.transpose(0, 1)  # [T,B,D]
    first: tuple[Tensor, Tensor] | None = None  # the model's own vectors [B,T,D], and what took their place

    def enter(module: nn.Module, args: Any, own: Tensor) -> Tensor:
        nonlocal first
        if first is None:
            ours = own.detach().requires_grad_() if vectors is None else vectors.to(own.dtype)  # [B,T,D]
            ours = torch.cat([ours, own[:, ours.shape[1] :]], dim=1)  # some models pad further themselves
            first = own.detach(), ours  # [B,T,D] twice
            return ours
        before, ours = first
        if own.shape != before.shape or not torch.equal(own[:, 1:], before[:, :-1]):
            expected = "a model that embeds each word once, or again for a decoder one place on"
            raise InputError(Fault(expected, type(model).__name__))
        return torch.cat([own[:, :1], ours[:, :-1]], dim=1)  # [B,T,D]

    with _hooked(model, enter):
        yield


@contextmanager
def _hooked(model: Any, hook: Callable[[nn.Module, Any, Tensor], Tensor | None]) -> Iterator[None]:
    with ExitStack() as hooks:
        for table in tables_of(model):
            hooks.callback(table.register_forward_hook(hook).remove)
        yield


def _tokens_first(model: Any) -> bool:
    """Return whether a model embeds [T,B] where it is given [B,T]."""
    return known(model, "tokens first", lambda: _embeds_turned(model))


@torch.inference_mode()
def _embeds_turned(model: Any) -> bool:
    shapes: list[torch.Size] = []
    ids = torch.zeros((1, 3), dtype=torch.long, device=next(model.parameters()).device)  # [1,T]

    def note(module: nn.Module, args: Any, own: Tensor) -> None:
        shapes.append(own.shape)

    with suppress(Exception), as_held(model), _hooked(model, note):  # what follows the words is no matter
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return bool(shapes) and shapes[0][:2] == (3, 1)
