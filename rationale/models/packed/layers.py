"""A classifier's layers: which they are, how the library calls them, and how to replace them in a pass.

Hugging Face's own forward pass runs, and only what happens at its layers is ours. So embeddings, positions,
final norm, pooler and head stay the library's, and no family need be known by name. How layers are called is
found by watching passes over two batches of different sizes: an axis of an argument that grows with the
number of tokens is an axis of tokens.

Axes: B sequence, T token, P packed token, L layer, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.packed.alone import sparse
from rationale.models.packed.attention import NAME, surveying
from rationale.models.packed.known import as_held
from rationale.models.packed.reads import Reads, reads_of

SURVEYED = ((2, 9), (3, 14))  # (B, T) of the passes that are watched
Axes = tuple[str | None, ...]  # of a tensor: "B", "T" or None for each axis


def base_of(model: PreTrainedModel) -> Any:
    """Return the encoder inside a classifier; its parts differ by family and carry no types."""
    return model.base_model


def layer_class(model: PreTrainedModel) -> type[nn.Module] | None:
    """Return the class of the layers: what the library records hidden states of, else of the longest list."""
    declared = (getattr(base_of(model), "_can_record_outputs", None) or {}).get("hidden_states")
    declared = declared[0] if isinstance(declared, list | tuple) else declared
    found = getattr(declared, "target_class", declared)
    modules = list(base_of(model).modules())
    if isinstance(found, type) and any(isinstance(m, found) for m in modules):
        return found
    lists = [m for m in modules if isinstance(m, nn.ModuleList) and len(m)]
    largest = max(lists, key=lambda m: sum(p.numel() for p in m.parameters()), default=None)
    return None if largest is None else type(largest[0])


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """Return the layers in order, each once, though ALBERT's one layer is run many times."""
    of_layers = layer_class(model)
    return [] if of_layers is None else [m for m in base_of(model).modules() if isinstance(m, of_layers)]


def depth_of(model: PreTrainedModel) -> int:
    """Return L, how many layers a pass runs."""
    modules, told = len(layers_of(model)), getattr(model.config, "num_hidden_layers", 0)
    return told if 0 < modules < told else modules


def width_of(model: PreTrainedModel) -> int:
    """Return D, the width of the states between layers."""
    cut = getattr(model.config, "cut", None)
    return int(model.config.hidden_size if cut is None else cut["hidden"])


@dataclass(frozen=True)
class Call:
    """How a layer is called: its module, the axes of its other arguments, and whether it returns a tuple."""

    layer: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    more: tuple[Any, ...] | None  # what follows the states in the tuple that it returns

    @cached_property
    def by_token(self) -> bool:
        """Whether any of its other arguments has an axis of tokens."""
        return any(map(_has_tokens, (*self.args, *self.kwargs.values())))


@dataclass(frozen=True)
class Anatomy:
    """How a classifier is built: its layers' calls in order [L], what its head reads.

    `replaceable`: every layer's attention is a function of the library's interface, so that ours can run.
    """

    calls: tuple[Call, ...]
    replaceable: bool
    reads: Reads


@dataclass(frozen=True)
class LayerCall:
    """A layer's own pass, and the arguments that it was called with beside the states."""

    own: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self, states: Tensor) -> Tensor:
        """Return what the layer makes of states [B,T,D], everything else as it was given."""
        return first_of(self.own(states, *self.args, **self.kwargs))  # [B,T,D]

    def taking(self, call: Call, take: Callable[[Tensor, Axes], Tensor]) -> LayerCall:
        """Return the pass with `take` done to every argument that has an axis of tokens."""
        if not call.by_token:
            return self
        args = tuple(_taken(a, axes, take) for a, axes in zip(self.args, call.args, strict=True))
        kwargs = {name: _taken(a, call.kwargs.get(name), take) for name, a in self.kwargs.items()}
        return LayerCall(self.own, args, kwargs)


def _has_tokens(axes: Any) -> bool:
    """Return whether "T" is among an argument's axes, or those of one of its parts."""
    return axes == "T" or isinstance(axes, tuple) and any(map(_has_tokens, axes))


Step = Callable[[int, Tensor, LayerCall], Tensor]  # (layer, states that enter it, its own pass) → states


def first_of(found: Any) -> Tensor:
    """Return the states of what a layer returned."""
    states: Tensor = found[0] if isinstance(found, tuple) else found  # [B,T,D], or [1,P,D]
    return states


def _taken(argument: Any, axes: Any, take: Callable[[Tensor, Axes], Tensor]) -> Any:
    if isinstance(argument, Tensor):
        return take(argument, axes) if axes is not None and "T" in axes else argument
    if isinstance(argument, tuple | list) and axes is not None:
        return type(argument)(_taken(a, b, take) for a, b in zip(argument, axes, strict=True))
    return argument


@contextmanager
def standing_in(calls: tuple[Call, ...], step: Step) -> Iterator[None]:
    """Within this context, call `step` instead of each layer."""
    place = 0

    def stand_in(layer: nn.Module) -> Callable[..., Any]:
        own = layer.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            nonlocal place
            index, place = place, (place + 1) % len(calls)
            states, args = (kwargs.pop("hidden_states"), ()) if not args else (args[0], args[1:])
            found = step(index, states, LayerCall(own, args, kwargs))  # [B,T,D], or [1,P,D]
            more = calls[index].more
            return found if more is None else (found, *more)

        return forward

    modules = list({id(call.layer): call.layer for call in calls}.values())
    before = [vars(layer).get("forward") for layer in modules]  # of a pass around this one
    for layer in modules:
        vars(layer)["forward"] = stand_in(layer)  # a module's own way to set it looks for parameters first
    try:
        yield
    finally:
        for layer, its in zip(modules, before, strict=True):
            if its is None:
                del vars(layer)["forward"]  # the class's own is seen again
            else:
                vars(layer)["forward"] = its


@contextmanager
def attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Run the model with another attention function.

    The layers read it from the configuration they share. `set_attn_implementation` looks through all modules
    for others, which takes longer than a layer of a short batch.
    """
    before = model.config._attn_implementation
    model.config._attn_implementation = name
    try:
        yield
    finally:
        model.config._attn_implementation = before


def inputs_of(model: PreTrainedModel, types: Tensor | None, real: Tensor) -> dict[str, Tensor]:
    """Return a pass's arguments beside the ids [B,T]: the mask, and types where the model has them."""
    inputs = {"attention_mask": real.long()}  # [B,T]
    if types is not None and (getattr(model.config, "type_vocab_size", 0) or 0) > 1:
        inputs["token_type_ids"] = types  # [B,T]
    return inputs


# Watching a pass


_KNOWN: WeakKeyDictionary[PreTrainedModel, Anatomy] = WeakKeyDictionary()


def anatomy_of(model: PreTrainedModel) -> Anatomy:
    """Return how a classifier is built, watched once.

    Raises:
        InputError: its layers cannot be stood in for.
    """
    if model not in _KNOWN:
        check_layers(model)
        _KNOWN[model] = _watched(model)
    return _KNOWN[model]


def refused(model: PreTrainedModel, why: str) -> InputError:
    """Return the error for a model whose tokens cannot be removed."""
    expected = "a classifier whose layers can be run on fewer tokens (see the docs, Model families)"
    return InputError(Fault(expected, f"{type(model).__name__}: {why}"))


def check_layers(model: PreTrainedModel) -> None:
    """Refuse a model that has no layers in a row, without running it."""
    if getattr(model.config, "is_encoder_decoder", False):
        raise refused(model, "an encoder and a decoder")
    if not layers_of(model):
        raise refused(model, "no layers in a row")
    if any(map(sparse, model.modules())):
        raise refused(model, "attention over blocks of tokens")


def probe(model: PreTrainedModel, rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Return ids [B,T] of a batch, and which are real: all but the end of the last row."""
    size, pad = int(model.config.vocab_size), getattr(model.config, "pad_token_id", None)
    ids = torch.arange(rows * tokens, device=model.device).view(rows, tokens) % max(1, size - 1)  # [B,T]
    real = torch.ones_like(ids, dtype=torch.bool)  # [B,T]
    real[-1, tokens // 2 :] = False
    if pad is None:
        return ids, real
    return ((ids + (ids >= pad)) % size).where(real, torch.tensor(pad, device=ids.device)), real


def rounding_tolerance(dtype: torch.dtype) -> float:
    """Return the rounding error to allow, as a share of the largest logit."""
    return 1e-3 if dtype == torch.float32 else 0.05


def _watched(model: PreTrainedModel) -> Anatomy:
    try:
        with as_held(model):
            small, large = (_pass(model, *size) for size in SURVEYED)
        reads = reads_of(model)
    except InputError:
        raise
    except Exception as error:  # whatever layers of another kind say to it
        raise refused(model, f"{type(error).__name__} when its layers are watched") from None
    if len(small.seen) != len(large.seen) or len(small.seen) != depth_of(model):
        raise refused(model, f"{len(small.seen)} layer calls, {depth_of(model)} expected")
    if reads is None:
        raise refused(model, "what its head reads cannot be told")
    pairs = zip(small.seen, large.seen, strict=True)
    calls = tuple(_call(model, one, other) for one, other in pairs)
    given = [axes for call in calls for axes in (*call.args, *call.kwargs.values())]
    by_pair = any(isinstance(axes, tuple) and axes.count("T") > 1 for axes in given)
    return Anatomy(calls, small.attended > 0 and not by_pair, reads)


class _Pass:
    """What one pass showed: each layer's call, and how often the library's attention interface was used."""

    def __init__(self) -> None:
        self.seen: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any], Any]] = []
        self.attended = 0


@torch.no_grad()
def _pass(model: PreTrainedModel, rows: int, tokens: int) -> _Pass:
    """Watch a pass with our attention function in place; what it computes is nonsense of the right shape."""
    ids, real = probe(model, rows, tokens)
    found = _Pass()
    training, handles = model.training, []
    model.eval()  # type: ignore[no-untyped-call]

    def watch(layer: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        rest = dict(kwargs)
        others = args[1:] if args else (rest.pop("hidden_states"), ())[1]
        found.seen.append((layer, others, rest, out))

    for layer in layers_of(model):
        handles.append(layer.register_forward_hook(watch, with_kwargs=True))
    try:
        with attention(model, NAME), surveying() as attended:
            model(input_ids=ids, **inputs_of(model, torch.zeros_like(ids), real))
        found.attended = attended()
        if not found.attended:  # its attention is its own: the masks it is given are real ones
            found.seen.clear()
            model(input_ids=ids, **inputs_of(model, torch.zeros_like(ids), real))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found


def _call(model: PreTrainedModel, small: Any, large: Any) -> Call:
    """Return how a layer is called, from its calls in both passes."""
    layer, args, kwargs, out = small
    _, more_args, more_kwargs, _ = large
    axes = tuple(_axes(model, a, b) for a, b in zip(args, more_args, strict=True))
    named = {name: _axes(model, a, more_kwargs[name]) for name, a in kwargs.items()}
    more = tuple(None if isinstance(x, Tensor) else x for x in out[1:]) if isinstance(out, tuple) else None
    return Call(layer, axes, named, more)


def _axes(model: PreTrainedModel, small: Any, large: Any) -> Any:
    """Return the axes of an argument: a tuple for a tensor, a tuple of those for several, else None."""
    if isinstance(small, Tensor):
        names: dict[tuple[int, int], str | None] = {(n, n): None for n in small.shape}
        names |= dict(zip(zip(*SURVEYED, strict=True), "BT", strict=True))
        sizes = tuple(zip(small.shape, large.shape, strict=True))
        if unknown := [size for size in sizes if size not in names]:
            raise refused(model, f"an argument of its layers of sizes {unknown[0]} for {SURVEYED}")
        return tuple(names[size] for size in sizes)
    if isinstance(small, tuple | list):
        return tuple(_axes(model, a, b) for a, b in zip(small, large, strict=True))
    return None
