"""A model's attention: the maps of its layers, and the value vectors of the last one.

Found by watching a pass over a short text, not by names. Where attention is a function of the library's
`AttentionInterface`, one of ours that computes the same notes the values; else they are the output of the
matrix that the maps turn into the input of another one, the output projection.

Axes: B window, H head, T piece, d head width, D state width.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rationale.models.packed.entry import two_stacks
from rationale.models.packed.known import known, rounded
from rationale.models.packed.reads import probe_ids

if TYPE_CHECKING:  # a function of texts is explained without Hugging Face's library
    from rationale.hf.classifier import Classifier

NAME = "rationale_noted"
PROBED = 7  # pieces of the text that is watched
MAP_TOLERANCE, ROUNDED_TOLERANCE = 1e-4, 0.05  # of what is carried, as a share of the largest
NO_MAPS = "it needs an attention map [T,T] of each head in every layer, and this model gives {}"


@dataclass(frozen=True)
class Carrier:
    """The modules that make value vectors and project them; `value` is None if our function records them."""

    value: nn.Module | None
    projection: nn.Module

    def matrix(self) -> Tensor:
        """Return the projection [H·d,D]."""
        weight: Tensor = self.projection.weight.float()  # type: ignore[assignment]
        return weight.T if isinstance(self.projection, nn.Linear) else weight


@dataclass
class Noted:
    """The last call of attention in a pass: values [B,H,T,d], one for each head, and what came of them."""

    values: Tensor | None = None
    attended: Tensor | None = None  # [B,T,H,d]


_NOTES: ContextVar[Noted | None] = ContextVar("notes", default=None)


def _own_attention(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the library's attention in plain products, of the file that the module's class is from."""
    files = (sys.modules[cls.__module__] for cls in type(module).__mro__)
    found: Callable[..., tuple[Tensor, Tensor]] = next(
        file.eager_attention_forward for file in files if hasattr(file, "eager_attention_forward")
    )
    return found


def noted_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Attend in plain products, as the library does; note the values. Registered as `rationale_noted`."""
    attended, weights = _own_attention(module)(module, query, key, value, *args, **kwargs)
    if (notes := _NOTES.get()) is not None:
        groups = query.shape[1] // value.shape[1]
        notes.values, notes.attended = value.repeat_interleave(groups, dim=1), attended
    return attended, weights


@cache
def _registered() -> None:
    """Make our attention known to the library."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, noted_attention)
    AttentionMaskInterface.register(NAME, eager_mask)


@contextmanager
def attending(classifier: Classifier, name: str) -> Iterator[None]:
    """Run the model with another attention function, which its parts read from their configurations."""
    from transformers import PreTrainedModel

    _registered()
    configs = {id(m.config): m.config for m in classifier.model.modules() if isinstance(m, PreTrainedModel)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config in configs.values():
            config._attn_implementation = name
        yield
    finally:
        for config, its in before:
            config._attn_implementation = its


def eager_attention(classifier: Classifier) -> AbstractContextManager[None]:
    """Let the model return its attention weights, which fused kernels do not compute."""
    return attending(classifier, "eager")


@contextmanager
def noting(classifier: Classifier) -> Iterator[Noted]:
    """Run passes that return attention weights, and note the last layer's values where that is possible."""
    carrier, notes = carrier_of(classifier), Noted()
    name = NAME if carrier is not None and carrier.value is None else "eager"
    with attending(classifier, name), ExitStack() as undo:
        undo.callback(_NOTES.reset, _NOTES.set(notes))
        if carrier is not None and carrier.value is not None:

            def note(module: nn.Module, args: Any, output: Tensor) -> None:
                notes.values = output

            undo.callback(carrier.value.register_forward_hook(note).remove)
        yield notes


def by_head(values: Tensor, heads: int, width: int) -> Tensor:
    """Return values [B,H,T,d] of values as our function notes them, or as a matrix gives them [B,T,h·d].

    Where there are fewer heads h, each serves several of the H in turn.
    """
    if values.dim() == 3:
        values = values.view(*values.shape[:2], -1, width).transpose(1, 2)
    return values.repeat_interleave(heads // values.shape[1], dim=1)


# Watching a pass


def maps_of(output: Any, tokens: int) -> tuple[Tensor, ...] | str:
    """Return each layer's weights [B,H,T,T] of a pass, or what it has in their place.

    A layer whose heads are all cut away is left out.
    """
    maps = output.get("attentions") if isinstance(output, dict) else None
    if not maps:
        return "none"
    for each in maps:
        if not isinstance(each, Tensor) or each.dim() != 4 or each.shape[2:] != (tokens, tokens):
            return f"others, of shape {list(getattr(each, 'shape', ()))} for a text of {tokens} pieces"
    return tuple(maps)


def no_maps(classifier: Classifier) -> str | None:
    """Return why attention methods have nothing to read, or None if they have."""
    return _seen(classifier)[0]


def carrier_of(classifier: Classifier) -> Carrier | None:
    """Return where the last layer's value vectors are, or None if they cannot be found."""
    return _seen(classifier)[1]


def _seen(classifier: Classifier) -> tuple[str | None, Carrier | None]:
    return known(classifier.model, ("carrier", classifier.bf16), lambda: _watch(classifier))


@dataclass
class _Calls:
    """The matrices that a pass calls, in order, each with what enters and leaves it [1,T,·]."""

    calls: list[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=list)

    def note(self, module: nn.Module, args: Any, output: Any) -> None:
        if args and isinstance(args[0], Tensor) and args[0].dim() == 3:
            self.calls.append((module, args[0].float(), output.float()))


@torch.inference_mode()
def _watch(classifier: Classifier) -> tuple[str | None, Carrier | None]:
    if two_stacks(classifier.model):
        return NO_MAPS.format("those of an encoder and of a decoder"), None
    close = ROUNDED_TOLERANCE if classifier.bf16 or rounded(classifier.model) else MAP_TOLERANCE
    reason = "none"
    for name in (NAME, "eager"):
        notes, calls = Noted(), _Calls()
        try:
            maps = _maps(classifier, name, notes, calls, close)
        except Exception as error:  # no attention by that name, or none at all
            maps = f"none ({type(error).__name__})"
        if isinstance(maps, str):
            reason = maps
        elif name == "eager" or notes.values is not None:
            return None, _carrier(maps[-1].float(), notes, calls, close)
    return NO_MAPS.format(reason), None


def _maps(
    classifier: Classifier, name: str, notes: Noted, calls: _Calls, close: float
) -> tuple[Tensor, ...] | str:
    """Return the maps of a short text, or what is wrong with them."""
    from transformers.pytorch_utils import Conv1D

    ids = probe_ids(classifier.model, PROBED)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with classifier.autocast():
        own = classifier.model(**inputs).logits
    with attending(classifier, name), classifier.autocast(), ExitStack() as undo:
        undo.callback(_NOTES.reset, _NOTES.set(notes))
        for module in classifier.model.modules():
            if isinstance(module, nn.Linear | Conv1D):
                undo.callback(module.register_forward_hook(calls.note).remove)
        output = classifier.model(**inputs, output_attentions=True)
    maps = maps_of(output, ids.shape[1])
    if isinstance(maps, str):
        return maps
    if any(bool((m < 0).any()) or bool((m.sum(-1) > 1 + close).any()) for m in maps):
        return "numbers that are no shares"
    apart = (output.logits - own).abs().max()
    return maps if bool(apart <= close * (1 + own.abs().max())) else "those of another answer"


def _carrier(weights: Tensor, notes: Noted, calls: _Calls, close: float) -> Carrier | None:
    """Return what takes in the results of attention by `weights` [1,H,T,T], and where its values are."""
    if notes.values is not None:
        assert notes.attended is not None
        attended = notes.attended.float().flatten(2)
        found = (module for module, enters, _ in reversed(calls.calls) if _near(enters, attended, 0))
        projection = next(found, None)
        return None if projection is None else Carrier(None, projection)
    heads = weights.shape[1]
    for n, (projection, enters, _) in reversed(list(enumerate(calls.calls))):
        width, over = divmod(enters.shape[-1], heads)
        for value, _, leaves in () if over else reversed(calls.calls[:n]):
            fewer, odd = divmod(leaves.shape[-1], width)
            if odd or leaves.shape[1] != weights.shape[-1] or heads % fewer:
                continue
            attended = weights @ by_head(leaves, heads, width)
            if _near(enters, attended.transpose(1, 2).flatten(2), close):
                return Carrier(value, projection)
    return None


def _near(one: Tensor, other: Tensor, close: float) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= close * other.abs().max())
