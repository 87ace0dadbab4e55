"""Hard-concrete gates that learn which parts of an encoder to prune (CoFi, Xia et al., ACL 2022, section 3).

A gate is a random number in [0,1] that multiplies a part: a head, an FFN unit, a hidden dimension, an
attention or an FFN sublayer; its log-alpha a says how likely it is open. Heads that share their keys go
together: their group has one gate. A sublayer's gate multiplies the gates of its heads or units. The
hard-concrete distribution is Louizos et al., ICLR 2018, eq. 10 to 12. `pruning.cut` removes what the closed
gates stand for; `matrices` lists the families that can be pruned.

Axes: B sequence, T token, H head, or group of heads that share their keys; F FFN unit, d head width, L layer,
D hidden width; D' what is open of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from rationale.models.packed.matrices import Dimensions, dimensions, matrices_of

BETA = 2 / 3  # temperature
LOW, HIGH = -0.1, 1.1  # what (0, 1) is stretched to before it is clipped
START = 10.0  # of a log-alpha: the chance to be closed is 1e-5
LIMIT = math.log(100)  # of a log-alpha's size, once training has begun
TINY = 1e-6
DISTANCES = "rel_embeddings"  # what DeBERTa's layers call the table of distances


def gate(u: Tensor, alpha: Tensor) -> Tensor:
    """Return ζ = clip(1.2 q − 0.1, 0, 1), q = σ((ln u − ln(1 − u) + a) / β), for u uniform in (0, 1)."""
    q = torch.sigmoid((u.log() - (1 - u).log() + alpha) / BETA)  # of the gates' shape
    return (q * (HIGH - LOW) + LOW).clamp(0, 1)


def draw(alpha: Tensor) -> Tensor:
    """Return one random gate for each log-alpha."""
    return gate(torch.rand_like(alpha).clamp(TINY, 1 - TINY), alpha)


def prob_open(alpha: Tensor) -> Tensor:
    """Return P(ζ > 0) = 1 − σ(β ln(0.1 / 1.1) − a)."""
    return torch.sigmoid(alpha - BETA * math.log(-LOW / HIGH))


def median(alpha: Tensor) -> Tensor:
    """Return ζ at u = ½, clip(1.2 σ(a / β) − 0.1, 0, 1): 0 just where P(open) <= ½."""
    return gate(torch.full_like(alpha, 0.5), alpha)


def binarise(alpha: Tensor) -> Tensor:
    """Return fixed gates: in each row [..., n] the lowest are closed, the number that is expected closed.

    The others get their median, 1 for any that training has made up its mind to keep; so one of them that
    is more often closed than open is closed as well. The released code scales by σ(0.8 a / β), never quite
    1 even for gates that were always 1 in training.
    """
    closed = (1 - prob_open(alpha)).sum(-1, keepdim=True).round()  # [...,1]
    rank = alpha.argsort(-1).argsort(-1)  # [...,n]
    return median(alpha).masked_fill(rank < closed, 0.0)  # [...,n]


@dataclass(frozen=True)
class GateValues:
    """One value for each gate, in [0,1], 0 closed; or each gate's chance to be open."""

    heads: Tensor  # [L,H]
    units: Tensor  # [L,F]
    hidden: Tensor  # [D]
    attention: Tensor  # [L]
    ffn: Tensor  # [L]

    @property
    def head_scales(self) -> Tensor:
        """What heads are multiplied by [L,H]: their own gates times their sublayer's."""
        return self.heads * self.attention[:, None]  # [L,H]

    @property
    def unit_scales(self) -> Tensor:
        """What FFN units are multiplied by [L,F]."""
        return self.units * self.ffn[:, None]  # [L,F]

    def size(self, sizes: Dimensions) -> Tensor:
        """Return how many weights of the matrices into and out of heads and units are left.

        Expected where the gates are chances; exact where each is 0 or 1. Biases, norms, embeddings and
        pooler do not count.
        """
        per_dimension = sizes.of_head * self.head_scales.sum() + sizes.of_unit * self.unit_scales.sum()
        return per_dimension * self.hidden.sum()

    def sparsity(self, sizes: Dimensions) -> Tensor:
        """Return the share of prunable parameters that is gone, a number in [0,1]."""
        matrices = sizes.of_head * sizes.heads + sizes.of_unit * sizes.units
        return 1 - self.size(sizes) / (sizes.layers * matrices * sizes.hidden)


class Gates(nn.Module):
    """The log-alphas of an encoder's gates, at first nearly all open; trained with the model."""

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.sizes, n = sizes, sizes.layers
        shapes = {
            "heads": (n, sizes.heads),
            "units": (n, sizes.units),
            "hidden": (sizes.hidden,),
            "attention": (n,),
            "ffn": (n,),
        }
        for name, shape in shapes.items():
            # a little noise, as the released code has it, so that no two gates move as one
            self.register_parameter(name, nn.Parameter(START + 0.01 * torch.randn(shape)))

    @classmethod
    def of(cls, model: PreTrainedModel) -> Gates:
        """Return the gates of a sequence classifier, on its device."""
        return cls(dimensions(model)).to(model.device)

    @property
    def alphas(self) -> GateValues:
        """The log-alphas, in the shape of the gates."""
        return GateValues(**dict(self.named_parameters()))

    def sample(self) -> GateValues:
        """Draw every gate, for one training step; gradients flow to the log-alphas."""
        return GateValues(**{name: draw(a) for name, a in self.named_parameters()})

    @torch.no_grad()
    def expected(self) -> GateValues:
        """Return the fixed gates for evaluation and cutting, by `binarise`; each sublayer's gate alone."""
        a = self.alphas
        return GateValues(
            binarise(a.heads), binarise(a.units), binarise(a.hidden), median(a.attention), median(a.ffn)
        )

    def chances(self) -> GateValues:
        """Return each gate's chance to be open."""
        return GateValues(**{name: prob_open(a) for name, a in self.named_parameters()})

    def sparsity(self) -> Tensor:
        """Return the expected sparsity ŝ: the gates are independent, so chances multiply."""
        return self.chances().sparsity(self.sizes)

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep log-alphas within ±ln 100, as the released code does after each step."""
        for alpha in self.parameters():
            alpha.clamp_(-LIMIT, LIMIT)


class Lagrangian(nn.Module):
    """The penalty λ₁ (ŝ − t) + λ₂ (ŝ − t)², which holds the sparsity ŝ at t (Wang et al., EMNLP 2020).

    The multipliers ascend what all other parameters descend: give their group `maximize=True`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Parameter(torch.zeros(()))
        self.quadratic = nn.Parameter(torch.zeros(()))

    def forward(self, sparsity: Tensor, wanted: float) -> Tensor:
        """Return the penalty on an expected sparsity, to add to the loss."""
        off = sparsity - wanted
        return self.linear * off + self.quadratic * off**2


def target(step: int, warmup_steps: int, final: float) -> float:
    """Return the target sparsity at a step: it rises linearly from 0 to `final` over the warm-up."""
    return final if step >= warmup_steps else final * step / warmup_steps


@contextmanager
def gated(model: PreTrainedModel, openings: GateValues) -> Iterator[None]:
    """Run a classifier, padded or packed, as if closed parts were pruned and the others scaled.

    Heads and units are scaled where they enter their sublayer's last matrix: a closed sublayer adds that
    matrix's bias only, and its norm stays. What writes the residual stream is scaled, and norms see its open
    dimensions only; so closed ones are 0 throughout. With gradient checkpointing, go backward inside too.
    """
    sizes, found = dimensions(model), matrices_of(model)
    with ExitStack() as hooks:
        for layer, head, unit in zip(found.layers, openings.head_scales, openings.unit_scales, strict=True):
            columns = head.repeat_interleave(layer.out_of_heads.in_features // sizes.heads)  # [H·d]
            hooks.enter_context(layer.out_of_heads.register_forward_pre_hook(_Scale(columns)))
            hooks.enter_context(layer.out_of_units.register_forward_pre_hook(_Scale(unit)))
            if found.distances:
                scale = _ScaleDistances(openings.hidden)
                hooks.enter_context(layer.module.register_forward_pre_hook(scale, with_kwargs=True))
        for norm in found.norms:
            hooks.enter_context(norm.register_forward_hook(_NormOpen(norm, openings.hidden)))
        for writer in found.writes:
            hooks.enter_context(writer.register_forward_hook(_Scaled(openings.hidden)))
        yield


@dataclass(frozen=True)
class _Scale:
    """A hook before a matrix: multiply what enters it, [..., n] by [n]."""

    scale: Tensor

    def __call__(self, _: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0] * self.scale.to(args[0].dtype),)  # [...,n]


@dataclass(frozen=True)
class _Scaled:
    """A hook after a module that writes the stream: multiply what leaves it, [..., D] by [D]."""

    hidden: Tensor

    def __call__(self, _: nn.Module, __: tuple[Tensor], out: Tensor) -> Tensor:
        return out * self.hidden.to(out.dtype)  # [...,D]


@dataclass(frozen=True)
class _ScaleDistances:
    """A hook before a layer: multiply what stands for distances [..., D], which heads read as states."""

    hidden: Tensor

    def __call__(self, _: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        table = kwargs[DISTANCES]
        return args, kwargs | {DISTANCES: table * self.hidden.to(table.dtype)}  # [...,D]


class _NormOpen:
    """A hook after a norm over [..., D]: normalise again over the open dimensions; 0 in the closed."""

    def __init__(self, norm: Any, hidden: Tensor) -> None:
        self.open = hidden.detach().nonzero()[:, 0]  # [D']
        self.narrow = deepcopy(norm)  # computes as the norm does, but with the weights that it is given
        if hasattr(self.narrow, "normalized_shape"):
            self.narrow.normalized_shape = (len(self.open),)

    def __call__(self, norm: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        states = args[0].index_select(-1, self.open)  # [...,D']
        weights = {name: weight[self.open] for name, weight in norm.named_parameters()}  # [D'] each
        normed = functional_call(self.narrow, weights, (states,)).to(out.dtype)  # [...,D']
        return torch.zeros_like(out).index_copy(-1, self.open, normed)  # [...,D]
