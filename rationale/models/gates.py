"""Hard-concrete gates that learn which parts of an encoder can go (CoFi, Xia et al., ACL 2022, section 3).

A gate is a random number in [0,1] that multiplies a part: a head, an FFN unit, a hidden dimension, an
attention or an FFN sublayer; its log-alpha a says how likely it is open. A sublayer's gate multiplies the
gates of its heads or units. The hard-concrete distribution is Louizos et al., ICLR 2018, eq. 10 to 12.
`pruning.cut` makes of closed gates a really smaller model.

Axes: L layer, H head, F FFN unit, D hidden dimension, d head width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from transformers import PreTrainedConfig, PreTrainedModel

from eraser import Fault, InputError
from rationale.models.layers import base_of, check_layers, layers_of

BETA = 2 / 3  # temperature
LOW, HIGH = -0.1, 1.1  # what (0, 1) is stretched to before it is clipped
START = 10.0  # of a log-alpha: the chance to be closed is 1e-5
LIMIT = math.log(100)  # of a log-alpha's size, once training has begun
TINY = 1e-6


def gate(u: Tensor, alpha: Tensor) -> Tensor:
    """Return ζ = clip(1.2 q − 0.1, 0, 1), q = σ((ln u − ln(1 − u) + a) / β), for u uniform in (0, 1)."""
    q = torch.sigmoid((u.log() - (1 - u).log() + alpha) / BETA)
    return (q * (HIGH - LOW) + LOW).clamp(0, 1)


def draw(alpha: Tensor) -> Tensor:
    """Return one random gate for each log-alpha."""
    return gate(torch.rand_like(alpha).clamp(TINY, 1 - TINY), alpha)


def open_chance(alpha: Tensor) -> Tensor:
    """Return P(ζ > 0) = 1 − σ(β ln(0.1 / 1.1) − a)."""
    return torch.sigmoid(alpha - BETA * math.log(-LOW / HIGH))


def median(alpha: Tensor) -> Tensor:
    """Return ζ at u = ½, clip(1.2 σ(a / β) − 0.1, 0, 1): 0 just where P(open) <= ½."""
    return gate(torch.full_like(alpha, 0.5), alpha)


def settle(alpha: Tensor) -> Tensor:
    """Return fixed gates: in each row [..., n] the lowest are closed, as many as are expected closed.

    The others get their median, 1 for any that training has made up its mind to keep; so one of them that
    is more often closed than open is closed as well. The released code scales by σ(0.8 a / β), never quite
    1 even for gates that were always 1 in training.
    """
    closed = (1 - open_chance(alpha)).sum(-1, keepdim=True).round()
    rank = alpha.argsort(-1).argsort(-1)
    return median(alpha).masked_fill(rank < closed, 0.0)


@dataclass(frozen=True)
class Openings:
    """One value for each gate, in [0,1], 0 closed; or each gate's chance to be open."""

    heads: Tensor  # [L,H]
    units: Tensor  # [L,F]
    hidden: Tensor  # [D]
    attention: Tensor  # [L]
    ffn: Tensor  # [L]

    @property
    def head_scales(self) -> Tensor:
        """What heads are multiplied by [L,H]: their own gates times their sublayer's."""
        return self.heads * self.attention[:, None]

    @property
    def unit_scales(self) -> Tensor:
        """What FFN units are multiplied by [L,F]."""
        return self.units * self.ffn[:, None]

    def binary(self) -> Openings:
        """Return 1 for each gate that is not closed, else 0."""
        gates = (self.heads, self.units, self.hidden, self.attention, self.ffn)
        return Openings(*((g > 0).float() for g in gates))

    def size(self, head_width: int) -> Tensor:
        """Return how many parameters of the matrices q, k, v, o and the FFN's two are left.

        Expected, of chances; exact, of binary openings. Biases, norms, embeddings and pooler do not count.
        """
        per_dimension = 4 * head_width * self.head_scales.sum() + 2 * self.unit_scales.sum()
        return per_dimension * self.hidden.sum()

    def sparsity(self, head_width: int) -> Tensor:
        """Return the share of prunable parameters that is gone, a number in [0,1]."""
        n_layers, d_hidden = len(self.attention), len(self.hidden)
        matrices = 4 * head_width * self.heads.shape[1] + 2 * self.units.shape[1]
        return 1 - self.size(head_width) / (n_layers * matrices * d_hidden)


class Dimensions(NamedTuple):
    """The sizes of an encoder that gates are for."""

    layers: int
    heads: int
    units: int
    hidden: int

    @property
    def head_width(self) -> int:
        """The width of one head, d."""
        return self.hidden // self.heads


def sizes_of(config: PreTrainedConfig) -> Dimensions:
    """Return the sizes a configuration tells, those before any cut."""
    return Dimensions(
        config.num_hidden_layers, config.num_attention_heads, config.intermediate_size, config.hidden_size
    )


def check_matrices(model: PreTrainedModel) -> None:
    """Refuse a classifier whose layers are not built as BERT's are."""
    check_layers(model)
    layer: Any = layers_of(model)[0]
    if not hasattr(getattr(getattr(layer, "attention", None), "output", None), "LayerNorm"):
        expected = "a classifier whose matrices can be cut (BERT, RoBERTa, ELECTRA, …)"
        raise InputError(Fault(expected, type(model).__name__))


def dimensions(model: PreTrainedModel) -> Dimensions:
    """Return the sizes of a classifier; one that is cut already has no more gates."""
    check_matrices(model)
    if getattr(model.config, "cut", None) is not None:
        raise InputError(Fault("a classifier that is not cut yet", f"one cut to {model.config.cut}"))
    return sizes_of(model.config)


class Gates(nn.Module):
    """The log-alphas of an encoder's gates, nearly all open at first; trained beside the model."""

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.head_width = sizes.head_width
        n = sizes.layers
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
    def alphas(self) -> Openings:
        """The log-alphas themselves, in the shape of what they open."""
        return Openings(**dict(self.named_parameters()))

    def sample(self) -> Openings:
        """Draw every gate, for one training step; gradients flow to the log-alphas."""
        return Openings(**{name: draw(a) for name, a in self.named_parameters()})

    @torch.no_grad()
    def expected(self) -> Openings:
        """Return the fixed gates for evaluation and cutting, by `settle`; each sublayer's gate alone."""
        a = self.alphas
        return Openings(
            settle(a.heads), settle(a.units), settle(a.hidden), median(a.attention), median(a.ffn)
        )

    def chances(self) -> Openings:
        """Return each gate's chance to be open."""
        return Openings(**{name: open_chance(a) for name, a in self.named_parameters()})

    def sparsity(self) -> Tensor:
        """Return the expected sparsity ŝ: the gates are independent, so chances multiply."""
        return self.chances().sparsity(self.head_width)

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep log-alphas within ±ln 100, as the released code does after each step."""
        for alpha in self.parameters():
            alpha.clamp_(-LIMIT, LIMIT)


class Lagrangian(nn.Module):
    """The penalty λ₁ (ŝ − t) + λ₂ (ŝ − t)², which holds the sparsity ŝ at t (Wang et al., EMNLP 2020).

    The multipliers climb what all else descends: give their parameter group `maximize=True`.
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
    """Return the sparsity wanted at a step: rises in a line from 0 to `final` over the warm-up."""
    return final if step >= warmup_steps else final * step / warmup_steps


def stream_norms(model: PreTrainedModel) -> list[nn.LayerNorm]:
    """Return the norms that write the residual stream; with a projection, not the embeddings' own."""
    base, layers = base_of(model), list[Any](layers_of(model))
    first = [] if projection(model) is not None else [base.embeddings.LayerNorm]
    return first + [n for x in layers for n in (x.attention.output.LayerNorm, x.output.LayerNorm)]


def projection(model: PreTrainedModel) -> nn.Linear | None:
    """Return ELECTRA's map from embeddings to hidden states, where their widths differ."""
    return getattr(base_of(model), "embeddings_project", None)


@contextmanager
def gated(model: PreTrainedModel, openings: Openings) -> Iterator[None]:
    """Run a classifier, padded or packed, as if what is closed were cut and the rest scaled.

    Heads and units are scaled where they enter their sublayer's last matrix: a closed sublayer adds that
    matrix's bias only, and its norm stays. Norms over the stream see its open dimensions only and are
    scaled; so closed ones are 0 throughout. With gradient checkpointing, go backward inside too.
    """
    with ExitStack() as hooks:
        heads = openings.head_scales.repeat_interleave(dimensions(model).head_width, dim=1)
        for layer, head, unit in zip(list[Any](layers_of(model)), heads, openings.unit_scales, strict=True):
            hooks.enter_context(layer.attention.output.dense.register_forward_pre_hook(_Scale(head)))
            hooks.enter_context(layer.output.dense.register_forward_pre_hook(_Scale(unit)))
        project, norm_hook = projection(model), _NormOpen(openings.hidden)
        if project is not None:
            hooks.enter_context(project.register_forward_hook(lambda _, __, out: out * openings.hidden))
        for norm in stream_norms(model):
            hooks.enter_context(norm.register_forward_hook(norm_hook))
        yield


class _Scale:
    """A hook before a matrix: multiply what enters it, [..., n] by [n]."""

    def __init__(self, scale: Tensor) -> None:
        self.scale = scale

    def __call__(self, _: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0] * self.scale.to(args[0].dtype),)


class _NormOpen:
    """A hook after a LayerNorm over [..., D]: do it anew over the open dimensions; 0 in the closed."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden, self.open = hidden, hidden.detach().nonzero()[:, 0]

    def __call__(self, norm: nn.LayerNorm, args: tuple[Tensor], out: Tensor) -> Tensor:
        states = args[0].index_select(-1, self.open)
        normed = layer_norm(states, (len(self.open),), norm.weight[self.open], norm.bias[self.open], norm.eps)
        scaled = (normed * self.hidden[self.open]).to(out.dtype)
        return torch.zeros_like(out).index_copy(-1, self.open, scaled)
