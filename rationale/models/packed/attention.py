"""A batch as one long row of tokens, and attention within its sequences.

A sequence is a run of `lengths[b]` tokens. Dropping tokens is indexing; no layer works on padding, but for
the attention of short sequences and a few rows of filling (`pad_to_multiple`).

Axes: B sequence in the row, T token, P packed token (all sequences in one row), n token of one sequence,
H head, G group of heads that share their keys, d head width, D hidden width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

NAME = "rationale_packed"
SHORT = 16  # tokens: up to here one padded product beats fused attention a sequence, on a CPU
LEAST_STEP, LONG = 16, 2048  # rows: see step_of; longer ones cost more to copy than products to compile
HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class PackedLayout:
    """Where each sequence lies in the packed row: lengths on the host, the sequence_index of each token [P].

    `position` [P] is each token's place in its text as it was given, `reach` the longest of these texts, and
    `reads_last` says that the head reads the last token of each, not the first.
    """

    lengths: tuple[int, ...]
    sequence_index: Tensor  # [P]
    position: Tensor  # [P]
    reach: int
    reads_last: bool = False
    traced: ClassVar[bool] = False  # whether its lengths are known only when a graph runs

    @property
    def single(self) -> bool:
        """Whether there is only one sequence, so that no index is needed."""
        return len(self.lengths) == 1

    @cached_property
    def counts(self) -> Tensor:
        """The lengths as a tensor [B]."""
        return torch.tensor(self.lengths, device=self.sequence_index.device)  # [B]

    @cached_property
    def first(self) -> Tensor:
        """The index of each sequence's first token [B]."""
        if self.single:
            return self.sequence_index[:1]  # 0, already where the tokens are
        return torch.tensor((0, *accumulate(self.lengths))[:-1], device=self.sequence_index.device)  # [B]

    @cached_property
    def anchor(self) -> Tensor:
        """The index of the token of each sequence that is never dropped [B], as the head reads it."""
        return self.first + self.counts - 1 if self.reads_last else self.first  # [B]

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """Where to read a padded batch [B,T] from, and which are real; padding reads the last token."""
        slots = torch.arange(max(self.lengths), device=self.sequence_index.device)  # [T]
        last = self.counts[:, None] - 1  # [B,1]
        return self.first[:, None] + slots.minimum(last), slots <= last  # [B,T], [B,T]

    def of_each(self, values: Tensor) -> Tensor:
        """Return the value [B] of each token's sequence [P]; as it is where there is but one."""
        return values if self.single else values[self.sequence_index]  # [P]

    def shared(self, value: Tensor) -> Tensor:
        """Return value / n for each sequence of n tokens [B], a number where there is but one."""
        return value / (self.lengths[0] if self.single else self.counts)  # [B]

    def softmax(self, raw: Tensor) -> Tensor:
        """Return the softmax of raw scores [P] over the tokens of each sequence [P]."""
        if self.single:
            return raw.softmax(0)  # [P]
        each = raw.new_full((len(self.lengths),), -torch.inf)  # [B]
        highest = each.scatter_reduce(0, self.sequence_index, raw, "amax")  # [B]
        weight = (raw - self.of_each(highest)).exp()  # [P]
        return weight / self.of_each(torch.zeros_like(each).index_add(0, self.sequence_index, weight))  # [P]

    def keep(self, index: Tensor) -> PackedLayout:
        """Return the rows with the tokens at `index` [K] alone, in their order; one host transfer."""
        sequence_index = self.sequence_index[index]  # [K]
        if self.single:
            return self._of((len(index),), sequence_index, self.position[index])  # [K], [K]
        counts = torch.bincount(sequence_index, minlength=len(self.lengths))  # [B]
        return self._of(tuple(counts.tolist()), sequence_index, self.position[index])  # [K], [K]

    def leave(self, stop: Tensor) -> PackedLayout:
        """Return the rows after the sequences where `stop` [B] is True have left; one host transfer."""
        gone = stop.tolist()
        lengths = tuple(n for n, out in zip(self.lengths, gone, strict=True) if not out)
        if len(lengths) == len(self.lengths):
            return self
        renamed, stays = (~stop).long().cumsum(0) - 1, ~stop[self.sequence_index]  # [B], [P]
        return self._of(lengths, renamed[self.sequence_index[stays]], self.position[stays])  # [P], [P]

    def _of(self, lengths: tuple[int, ...], sequence_index: Tensor, position: Tensor) -> PackedLayout:
        return PackedLayout(lengths, sequence_index, position, self.reach, self.reads_last)


def packed_layout(lengths: tuple[int, ...], device: torch.device, reads_last: bool = False) -> PackedLayout:
    """Return the rows of sequences of these lengths."""
    tokens = torch.arange(sum(lengths), device=device)  # [P]
    if len(lengths) == 1:
        return PackedLayout(lengths, torch.zeros_like(tokens), tokens, lengths[0], reads_last)
    counts = torch.tensor(lengths, device=device)  # [B]
    sequence_index = torch.repeat_interleave(
        torch.arange(len(lengths), device=device), counts, output_size=len(tokens)
    )  # [P]
    before = torch.tensor((0, *accumulate(lengths))[:-1], device=device)  # [B]
    return PackedLayout(
        lengths, sequence_index, tokens - before[sequence_index], max(lengths, default=0), reads_last
    )


def step_of(tokens: int) -> int:
    """Return the step to whose next multiple a row of so many tokens is filled, at most a sixteenth."""
    return 1 if tokens > LONG else max(LEAST_STEP, 1 << max(0, tokens.bit_length() - 5))


def filling_of(states: Tensor) -> int:
    """Return how many rows packed states [...,P,D] are filled up with, see pad_to_multiple."""
    tokens = states.shape[-2]
    return -tokens % step_of(tokens) if _compiles(states) else 0


def pad_to_multiple(work: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """Return work(states) for packed states [...,P,D], computed on P filled up with zeros to a whole step.

    On a CPU oneDNN compiles each half-precision product again for every P it has not met, which takes longer
    than a short batch's product itself; and every batch and layer of a model that drops tokens has another P.
    `work` treats rows alone, but for attention, which passes over the filling (`packed_attention`).
    """
    filling = filling_of(states)
    if not filling:
        return work(states)
    filled = nn.functional.pad(states, (0, 0, 0, filling))  # [...,P + filling,D]
    return work(filled).narrow(states.dim() - 2, 0, states.shape[-2])  # [...,P,...]


def _compiles(states: Tensor) -> bool:
    return states.device.type == "cpu" and (torch.is_autocast_enabled("cpu") or states.dtype in HALF)


# Attention, as the library calls it


class Holder(Protocol):
    """The layout of the rows that the layers work on now."""

    @property
    def rows(self) -> PackedLayout:
        """The rows."""


@dataclass
class _Survey:
    """Stands in for rows while a pass is watched: attention then only counts its calls."""

    calls: int = 0
    rows: Any = field(default=None)


_NOW: ContextVar[Holder | _Survey] = ContextVar("rows")


@contextmanager
def holding(holder: Holder) -> Iterator[None]:
    """Let packed attention ask `holder` for the rows, in passes that run inside."""
    token = _NOW.set(holder)
    try:
        yield
    finally:
        _NOW.reset(token)


@contextmanager
def surveying() -> Iterator[Callable[[], int]]:
    """Let attention return zeros; yield how often it was asked."""
    survey = _Survey()
    token = _NOW.set(survey)
    try:
        yield lambda: survey.calls
    finally:
        _NOW.reset(token)


@dataclass(frozen=True)
class AttentionPattern:
    """How a layer attends: its scaling, dropout, the cap on its logits, and which keys a query sees.

    `window`: only keys fewer than that many places away; `causal`: none that come after.
    """

    scaling: float
    dropout: float = 0.0
    causal: bool = False
    window: int | None = None
    softcap: float | None = None

    def sees(self, position: Tensor) -> Tensor:
        """Return which keys a query sees [...,T,T], for tokens at these positions [...,T]."""
        gap = position[..., :, None] - position[..., None, :]  # [...,T,T]
        seen = gap >= 0 if self.causal else torch.ones_like(gap, dtype=torch.bool)  # [...,T,T]
        return seen if self.window is None else seen & (gap.abs() < self.window)  # [...,T,T]


def packed_attention(  # noqa: PLR0913 (the signature transformers calls)
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each sequence of the row: query [1,H,P,d], key, value [1,G,P,d] → [1,P,H,d].

    Tokens after the last sequence are filling: they attend to nothing and come back as any numbers. Windows
    are of places in the text as it was given: what was dropped between two tokens still counts.

    Registered with transformers as `rationale_packed`. On CUDA in half precision one variable-length kernel
    does it; elsewhere a loop, which on a CPU beats every padded form, but for short sequences, where a call
    costs more than padding.
    """
    now = _NOW.get()
    if isinstance(now, _Survey):
        now.calls += 1
        return query.new_zeros(*query.shape[:2], query.shape[2], value.shape[3]).transpose(1, 2), None
    rows = now.rows
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    window = sliding_window if sliding_window is not None and sliding_window < rows.reach else None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(
        query, key, value, rows, AttentionPattern(scale, dropout, causal, window, softcap)
    ), None  # [1,P,H,d]


def attend(query: Tensor, key: Tensor, value: Tensor, rows: PackedLayout, how: AttentionPattern) -> Tensor:
    """Attend within each sequence: query [1,H,P,d], key, value [1,G,P,d] → [1,P,H,d]."""
    plain = how.window is None and how.softcap is None and not how.dropout
    if query.is_cuda and query.dtype in HALF and plain:
        return _varlen(query, key, value, rows, how)
    if (groups := query.shape[1] // key.shape[1]) > 1:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))  # [1,H,P,d] twice
    if rows.traced:
        seen = how.sees(rows.position) if how.causal or how.window is not None else None  # [P,P]
        return _plain(query, key, value, seen, how).transpose(1, 2)  # [1,P,H,d]
    if max(rows.lengths) <= SHORT and len(rows.lengths) > 1:
        return _padded(query, key, value, rows, how)
    return _one_by_one(query, key, value, rows, how)


def _one_by_one(
    query: Tensor, key: Tensor, value: Tensor, rows: PackedLayout, how: AttentionPattern
) -> Tensor:
    filling = query.shape[2] - sum(rows.lengths)
    if rows.single and not filling:
        return _alone(query, key, value, rows.position, how).transpose(1, 2)  # [1,P,H,d]
    split = (torch.split(t, [*rows.lengths, filling], dim=2) for t in (query, key, value))  # [1,H,n,d] each
    *sequences, (_, _, rest) = zip(*split, strict=True)  # rest [1,H,filling,d]
    positions = torch.split(rows.position, list(rows.lengths))  # [n] each
    pairs = zip(sequences, positions, strict=True)
    parts = [_alone(q, k, v, at, how) for (q, k, v), at in pairs]  # [1,H,n,d] each
    return torch.cat([*parts, rest], dim=2).transpose(1, 2)  # [1,H,P,d] → [1,P,H,d]


def _alone(query: Tensor, key: Tensor, value: Tensor, position: Tensor, how: AttentionPattern) -> Tensor:
    """Attend within one sequence [1,H,n,d], whose tokens were at these places of its text [n]."""
    if how.window is not None or how.softcap is not None:
        return _plain(query, key, value, how.sees(position), how)  # [1,H,n,d]
    return scaled_dot_product_attention(
        query, key, value, dropout_p=how.dropout, scale=how.scaling, is_causal=how.causal
    )  # [1,H,n,d]


def _padded(query: Tensor, key: Tensor, value: Tensor, rows: PackedLayout, how: AttentionPattern) -> Tensor:
    """Attend on [B,H,T,d], T the longest sequence, in plain products, cheapest when T is small."""
    source, real = rows.padded  # [B,T], [B,T]

    def spread(packed: Tensor) -> Tensor:
        heads, width = packed.shape[1], packed.shape[3]
        padded = packed[0].transpose(0, 1).index_select(0, source.flatten())  # [B·T,H,d]
        return padded.view(*source.shape, heads, width).transpose(1, 2)  # [B,H,T,d]

    seen = real[:, None, None]  # [B,1,1,T]
    if how.causal or how.window is not None:
        seen = seen & how.sees(rows.position[source])[:, None]  # [B,1,T,T]
    attended = _plain(spread(query), spread(key), spread(value), seen, how)  # [B,H,T,d]
    packed = attended.transpose(1, 2)[real][None]  # [1,P,H,d]
    filling = value[:, :, sum(rows.lengths) :].transpose(1, 2)  # [1,filling,H,d]
    return torch.cat([packed, filling], dim=1) if filling.shape[1] else packed  # [1,P,H,d]


def _plain(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, how: AttentionPattern) -> Tensor:
    """Attend [B,H,T,d] to the keys that are seen [...,T,T]; None: all."""
    logits = query @ key.transpose(-1, -2) * how.scaling  # [B,H,T,T]
    if how.softcap is not None:
        logits = torch.tanh(logits / how.softcap) * how.softcap  # [B,H,T,T]
    if seen is not None:
        logits = logits.masked_fill(~seen, -torch.inf)  # [B,H,T,T]
    return nn.functional.dropout(logits.softmax(-1), how.dropout) @ value  # [B,H,T,d]


def _varlen(query: Tensor, key: Tensor, value: Tensor, rows: PackedLayout, how: AttentionPattern) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor((0, *accumulate(rows.lengths)), dtype=torch.int32, device=query.device)  # [B + 1]
    longest = max(rows.lengths)
    q, k, v = (t[0].transpose(0, 1).contiguous() for t in (query, key, value))  # [P,H,d], [P,G,d] twice
    if k.shape[1] != q.shape[1] and "enable_gqa" not in _varlen_options():
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for t in (k, v))  # [P,H,d] twice
    more: dict[str, Any] = {"enable_gqa": True} if k.shape[1] != q.shape[1] else {}
    if how.causal:  # an older release calls it by another name
        more |= {"window_size": (-1, 0)} if "window_size" in _varlen_options() else {"is_causal": True}
    attended: Tensor = varlen_attn(q, k, v, ends, ends, longest, longest, scale=how.scaling, **more)  # type: ignore[assignment]
    return attended.unsqueeze(0)  # [1,P,H,d]


@cache
def _varlen_options() -> frozenset[str]:
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def _no_mask(*_: Any, **__: Any) -> None:
    """Return no mask: a packed row has no padding, and packed attention knows which keys a query sees."""


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)
