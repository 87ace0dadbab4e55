"""Rules of the backward pass: what each function of a model passes back instead of its gradient.

The forward pass stays as it is. A rule is tied to functions of PyTorch, which every model is made of, so that
no family need be known by name. With g what arrives at a function's output y = f(x), x ⊙ (what is handed
back) is the relevance of x: of a linear function that is the gradient, and gradient × input at the words is
layer-wise relevance propagation with ε = 0.

Axes: B window, T piece, D state width; `...` is any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

Function = Callable[..., Any]
PLACES = (torch, Tensor, functional)
TRIED = (-3.0, -1.2, -0.4, 0.0, 0.3, 0.9, 2.5)  # what a module is given to see whether it is an activation


def _named(*names: str) -> frozenset[Any]:
    """Return the functions of those names, of PyTorch and of a tensor."""
    return frozenset(getattr(place, name) for place in PLACES for name in names if hasattr(place, name))


SOFTMAXES = _named("softmax")
ROOTS = _named("sqrt", "rsqrt")  # what a norm divides by
LAYER_NORMS, RMS_NORMS, UNIT_LENGTHS = _named("layer_norm"), _named("rms_norm"), _named("normalize")
MATRIX_PRODUCTS = _named("matmul", "bmm", "einsum", "baddbmm", "__matmul__")
PRODUCTS = _named("mul", "multiply", "__mul__", "__rmul__")
ACTIVATIONS = _named(
    *("gelu", "silu", "mish", "tanh", "elu", "celu", "selu", "softsign", "hardswish", "tanhshrink"),
    "square",
)  # f(0) = 0; a rectifier's gradient is the rule's own
POWERS, OF_ROOTS = _named("pow", "__pow__"), (0.5, -0.5)


@dataclass(frozen=True)
class Rules:
    """What is handed back in the place of the gradient; by default the gradient itself.

    `freeze_norms`: what a norm divides by is a constant. `share_attention`, `share_gates`: a product of two
    activations hands each of them half (products of matrices; of single numbers). `pass_activations`:
    y = f(x) hands back g ⊙ f(x) / x. `temperature`: a softmax hands back what it would with its logits
    divided by so much.
    """

    freeze_norms: bool = False
    share_attention: bool = False
    share_gates: bool = False
    pass_activations: bool = False
    temperature: float = 1.0

    @property
    def by_function(self) -> dict[Any, Function]:
        """The functions that have a rule, each with what stands in for it."""
        softmax, norms = self.temperature != 1.0, self.freeze_norms
        chosen: tuple[tuple[bool, frozenset[Any], Function], ...] = (
            (softmax, SOFTMAXES, self._softmax),
            (norms, ROOTS, _constant),
            (norms, LAYER_NORMS, _layer_norm),
            (norms, RMS_NORMS, _rms_norm),
            (norms, UNIT_LENGTHS, _unit_length),
            (self.share_attention, MATRIX_PRODUCTS, _shared),
            (self.share_gates, PRODUCTS, _shared),
            (self.pass_activations, ACTIVATIONS, _activation),
            (norms or self.pass_activations, POWERS, self._power),
        )
        return {func: rule for used, functions, rule in chosen if used for func in functions}

    def _softmax(self, own: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Softmax of x [...]; g goes through the Jacobian at x / temperature, as GIM has it without 1 / T."""
        with torch.enable_grad():
            warm = (x.detach() / self.temperature).requires_grad_()  # [...]
            soft = own(warm, *args, **kwargs)  # [...]
        y = own(x.detach(), *args, **kwargs)  # [...]
        return handed_back(x, y, lambda g: torch.autograd.grad(soft, warm, g)[0])

    def _power(self, own: Function, x: Any, exponent: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Raise to a power: where that is a root, a norm divides by it."""
        root = isinstance(exponent, float) and exponent in OF_ROOTS
        if root and self.freeze_norms:
            return _constant(own, x, exponent, *args, **kwargs)
        rule = _activation if self.pass_activations and not root else _gradient
        return rule(own, x, exponent, *args, **kwargs)


class _HandedBack(torch.autograd.Function):
    """y as what came of x, with a rule in the place of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.back, ctx.dtype = back, x.dtype
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *g: Any) -> Any:
        return ctx.back(g[0]).to(ctx.dtype), None, None


def handed_back(x: Tensor, y: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """Return y; of what arrives there, g in the shape of y, x is handed `back(g)` in its own."""
    found: Tensor = _HandedBack.apply(x, y, back)  # type: ignore[no-untyped-call]
    return found


def _constant(own: Function, *args: Any, **kwargs: Any) -> Tensor:
    return _gradient(own, *args, **kwargs).detach()


def _layer_norm(
    own: Function, x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **_: Any
) -> Tensor:
    """Normalise x [...,D]; only its standard deviation is a constant, centring is linear."""
    dims = tuple(range(-len(shape), 0))
    wide = _at_least_float32(x)  # [...,D]
    centred = wide - wide.mean(dims, keepdim=True)  # [...,D]
    deviation = (centred.detach().square().mean(dims, keepdim=True) + eps).sqrt()  # [...,1]
    return _scaled(centred / deviation, weight, bias).to(x.dtype)


def _rms_norm(own: Function, x: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """Divide x [...,D] by its root mean square, a constant."""
    dims, eps = tuple(range(-len(shape), 0)), torch.finfo(x.dtype).eps if eps is None else eps
    wide = _at_least_float32(x)  # [...,D]
    root = (wide.detach().square().mean(dims, keepdim=True) + eps).sqrt()  # [...,1]
    return _scaled(wide / root, weight, None).to(x.dtype)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _unit_length(own: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Divide x by its length, a constant: y = x · (y / x)."""
    return passed(x, own(x.detach(), *args, **kwargs))


def _shared(own: Function, *args: Any, **kwargs: Any) -> Tensor:
    """Multiply; of several factors that gradients go back to each is handed an equal share."""
    factors = len(followed(args, kwargs))

    def share(factor: Any) -> Any:
        one = isinstance(factor, Tensor) and factor.requires_grad
        return handed_back(factor, factor.detach(), lambda g: g / factors) if one else factor

    args, kwargs = tree_map(share, (args, kwargs)) if factors > 1 else (args, kwargs)
    return _gradient(own, *args, **kwargs)


def _gradient(own: Function, *args: Any, **kwargs: Any) -> Tensor:
    found: Tensor = own(*args, **kwargs)
    return found


def _activation(own: Function, x: Any, *args: Any, **kwargs: Any) -> Tensor:
    if not isinstance(x, Tensor) or followed(args, kwargs):  # a power of two activations
        return _gradient(own, x, *args, **kwargs)
    return passed(x, own(x.detach(), *args, **kwargs))


def passed(x: Tensor, y: Tensor) -> Tensor:
    """Return y = f(x), of single numbers, which hands all its relevance to x."""
    return handed_back(x, y, lambda g: g * ratio(y, x))


def ratio(y: Tensor, x: Tensor) -> Tensor:
    """Return y / x, 0 where x is: there is no relevance to hand back where y = 0."""
    return torch.where(x == 0, 0, y / torch.where(x == 0, 1, x)).detach()


def followed(*nested: Any) -> list[Tensor]:
    """Return the tensors among arguments, however nested, that gradients go back to."""
    return [t for t in tree_flatten(nested)[0] if isinstance(t, Tensor) and t.requires_grad]


class Ruled(TorchFunctionMode):
    """Inside, functions whose arguments gradients go back to are done by their rules."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules, self.by_function = rules, rules.by_function

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let a function's rule stand in for it, if it has one."""
        return self.run(func, args, dict(kwargs or {}))

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Return what a function gives, by its rule."""
        rule = self.by_function.get(func)
        if rule is None or not torch.is_grad_enabled() or not followed(args, kwargs):
            return func(*args, **kwargs)
        named = () if args else (kwargs.pop("input"),)  # as a few models give it
        return rule(func, *args, *named, **kwargs)


@contextmanager
def ruled(model: nn.Module, mode: Ruled) -> Iterator[None]:
    """Within this context, differentiate the model's passes by the rules of a mode."""
    with ExitStack() as undo:
        for module in activations_of(model) if mode.rules.pass_activations else ():
            undo.callback(module.register_forward_hook(_pass_module).remove)
        undo.enter_context(mode)
        yield


def _pass_module(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """Stand in for an activation that is written out in several functions."""
    x = args[0]
    return passed(x, output.detach()) if x.requires_grad else None


def activations_of(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the elementwise activations that map 0 to 0, rectifiers aside."""
    return tuple(filter(_activates, model.modules()))


@torch.no_grad()
def _activates(module: nn.Module) -> bool:
    if any(True for _ in module.children()) or any(True for _ in module.parameters()):
        return False
    x = torch.tensor(TRIED)  # [N]
    try:
        together, alone = module(x), torch.cat([module(part) for part in x[:, None]])  # [N] twice
        twice = module(2 * x)  # [N]
    except Exception:  # a module of another kind
        return False
    if not isinstance(together, Tensor) or together.shape != x.shape:
        return False
    by_itself = torch.allclose(together, alone, atol=1e-6) and bool((together[x == 0] == 0).all())
    return by_itself and not torch.allclose(twice, 2 * together)
