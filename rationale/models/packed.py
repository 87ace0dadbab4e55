"""A batch as one long row of tokens, and attention over it.

Axes: P packed token (all sequences in one row), H head, d head width. A sequence is a run of `lengths[b]`
tokens. Dropping tokens is indexing; no layer works on padding, but for the attention of short sequences and
a few rows of filling (`in_steps`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "rationale_packed"
SHORT = 16  # tokens: up to here one padded product beats fused attention a sequence, on a CPU
LEAST_STEP, LONG = 16, 2048  # rows: see step_of; longer ones cost more to copy than products to compile
HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Rows:
    """Where each sequence lies in the packed row: lengths on the host, the owner of each token [P]."""

    lengths: tuple[int, ...]
    owner: Tensor

    @cached_property
    def counts(self) -> Tensor:
        """The lengths as a tensor [B]."""
        return torch.tensor(self.lengths, device=self.owner.device)

    @cached_property
    def first(self) -> Tensor:
        """The index of each sequence's first token [B]."""
        return torch.tensor((0, *accumulate(self.lengths))[:-1], device=self.owner.device)

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """Where to read a padded batch [B,T] from, and which are real; padding reads the last token."""
        slots = torch.arange(max(self.lengths), device=self.owner.device)
        last = self.counts[:, None] - 1
        return self.first[:, None] + slots.minimum(last), slots <= last

    def keep(self, kept: Tensor) -> Rows:
        """Return the rows after dropping the tokens where `kept` [P] is False; one host transfer."""
        counts = torch.zeros(len(self.lengths), dtype=torch.long, device=kept.device)
        counts.index_add_(0, self.owner, kept.long())
        return Rows(tuple(counts.tolist()), self.owner[kept])

    def leave(self, stop: Tensor) -> Rows:
        """Return the rows after the sequences where `stop` [B] is True have left; one host transfer."""
        gone = stop.tolist()
        lengths = tuple(n for n, out in zip(self.lengths, gone, strict=True) if not out)
        if len(lengths) == len(self.lengths):
            return self
        renamed = (~stop).long().cumsum(0) - 1
        return Rows(lengths, renamed[self.owner[~stop[self.owner]]])


def rows_of(lengths: tuple[int, ...], device: torch.device) -> Rows:
    """Return the rows of sequences of these lengths."""
    counts = torch.tensor(lengths, device=device)
    owner = torch.repeat_interleave(
        torch.arange(len(lengths), device=device), counts, output_size=sum(lengths)
    )
    return Rows(lengths, owner)


def step_of(tokens: int) -> int:
    """Return the step to whose next multiple a row of so many tokens is filled, at most a sixteenth."""
    return 1 if tokens > LONG else max(LEAST_STEP, 1 << max(0, tokens.bit_length() - 5))


def in_steps(work: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """Return work(states) for packed states [...,P,D], computed on P filled up with zeros to a whole step.

    On a CPU oneDNN compiles each half-precision product anew for every P it has not met, which takes longer
    than a short batch's product itself; and every batch and layer of a model that drops tokens has another P.
    `work` treats rows alone, but for attention, which passes over the filling (`packed_attention`).
    """
    tokens = states.shape[-2]
    filling = -tokens % step_of(tokens) if _compiles(states) else 0
    if not filling:
        return work(states)
    return work(nn.functional.pad(states, (0, 0, 0, filling))).narrow(states.dim() - 2, 0, tokens)


def _compiles(states: Tensor) -> bool:
    return states.device.type == "cpu" and (torch.is_autocast_enabled("cpu") or states.dtype in HALF)


def packed_attention(  # noqa: PLR0913 (the signature transformers calls)
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    rows: Rows,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each sequence of the row: query, key, value [1,H,P,d] → [1,P,H,d].

    Tokens after the last sequence are filling: they attend to nothing and come back as any numbers.

    Registered with transformers as `rationale_packed`; `rows` reaches it through the layers' keyword
    arguments. On CUDA in half precision one variable-length kernel does it; elsewhere a loop, which on a
    CPU beats every padded form, but for short sequences, where a call costs more than padding.
    """
    if query.is_cuda and query.dtype in HALF:
        return _varlen(query, key, value, rows, scaling), None
    attend = _padded if max(rows.lengths) <= SHORT and len(rows.lengths) > 1 else _one_by_one
    return attend(query, key, value, rows, dropout, scaling), None


def _one_by_one(
    query: Tensor, key: Tensor, value: Tensor, rows: Rows, dropout: float, scaling: float | None
) -> Tensor:
    lengths = [*rows.lengths, query.shape[2] - sum(rows.lengths)]
    split = (torch.split(t, lengths, dim=2) for t in (query, key, value))
    *sequences, (filling, _, _) = zip(*split, strict=True)
    parts = [scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling) for q, k, v in sequences]
    return torch.cat([*parts, filling], dim=2).transpose(1, 2)


def _padded(
    query: Tensor, key: Tensor, value: Tensor, rows: Rows, dropout: float, scaling: float | None
) -> Tensor:
    """Attend on [B,H,T,d], T the longest sequence, in plain products, cheapest when T is small."""
    source, real = rows.padded

    def spread(packed: Tensor) -> Tensor:
        heads, width = packed.shape[1], packed.shape[3]
        padded = packed[0].transpose(0, 1).index_select(0, source.flatten())
        return padded.view(*source.shape, heads, width).transpose(1, 2)

    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    weights = spread(query) @ spread(key).transpose(-1, -2) * scale
    weights = weights.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)
    attended = nn.functional.dropout(weights, dropout) @ spread(value)
    packed = attended.transpose(1, 2)[real][None]
    filling = query[:, :, sum(rows.lengths) :].transpose(1, 2)
    return torch.cat([packed, filling], dim=1) if filling.shape[1] else packed


def _varlen(query: Tensor, key: Tensor, value: Tensor, rows: Rows, scaling: float | None) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor((0, *accumulate(rows.lengths)), dtype=torch.int32, device=query.device)
    longest = max(rows.lengths)
    q, k, v = (t[0].transpose(0, 1).contiguous() for t in (query, key, value))
    attended: Tensor = varlen_attn(q, k, v, ends, ends, longest, longest, scale=scaling)  # type: ignore[assignment]
    return attended.unsqueeze(0)


AttentionInterface.register(NAME, packed_attention)
