"""Models that answer otherwise where a text is padded read texts of one length at a time.

XLNet reads the last place of a row, ConvBERT's convolutions reach into the padding, sparse attention depends
on the length of the whole batch. Whether a model does is found out by padding a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

CLOSE = 1e-3  # of logits, as a share: rounding stays far below
PADDED = 3  # places, at the end


@torch.no_grad()
def padding_matters(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the answer to a text is another one where it is padded, as in a batch."""
    ids = tokenizer("a a a a", return_tensors="pt").input_ids.to(model.device)
    real = torch.ones_like(ids)
    alone = model(input_ids=ids, attention_mask=real).logits
    wide = pad(ids, (0, PADDED), value=int(tokenizer.pad_token_id))
    padded = model(input_ids=wide, attention_mask=pad(real, (0, PADDED))).logits
    return bool((alone - padded).abs().max() > CLOSE * (1 + alone.abs().max()))


def read_by_length(model: PreTrainedModel) -> None:
    """Let a model read texts of one length together, and no others."""
    own = type(model)
    if not issubclass(own, _ByLength):  # of the same name, which a saved configuration tells
        model.__class__ = type(own.__name__, (_ByLength, own), {"__module__": own.__module__})


class _ByLength:
    """Comes before a classifier's own class: takes a batch apart by length, and puts the answers together."""

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """Answer as the model does, texts of one length at a time where they are padded on the right.

        States [B,T,D] and attention [B,H,T,T], where asked for, are 0 at padding.
        """
        forward, real = super().forward, inputs.get("attention_mask")  # type: ignore[misc]
        if args or real is None or "labels" in inputs or not _padded_right(real):
            return forward(*args, **inputs)
        lengths, width = real.sum(1), real.shape[1]
        rows = [(lengths == n).nonzero()[:, 0] for n in lengths.unique()]
        answers = [forward(**_cut(inputs, real, row, int(lengths[row[0]]))) for row in rows]
        back = torch.cat(rows).argsort()

        def joined(name: str, axes: int) -> tuple[Tensor, ...] | None:
            found = [getattr(answer, name, None) for answer in answers]
            if not all(found):  # sparse attention tells no weights
                return None
            layers = zip(*found, strict=True)
            return tuple(torch.cat([_wide(x, width, axes) for x in parts])[back] for parts in layers)

        return SequenceClassifierOutput(
            logits=torch.cat([answer.logits for answer in answers])[back],
            hidden_states=joined("hidden_states", 1),
            attentions=joined("attentions", 2),
        )


def _padded_right(real: Tensor) -> bool:
    """Return whether a mask [B,T] says that there is padding, and all of it after the text."""
    return not bool(real.all()) and not bool((real[:, 1:] > real[:, :-1]).any())


def _cut(inputs: Mapping[str, Any], real: Tensor, rows: Tensor, length: int) -> dict[str, Any]:
    """Return the inputs of some rows [N,T'], without their padding."""

    def cut(value: Any) -> Any:
        whole = isinstance(value, Tensor) and value.shape[:2] == real.shape
        return value[rows, :length] if whole else value

    return {name: cut(value) for name, value in inputs.items()}


def _wide(states: Tensor, width: int, axes: int) -> Tensor:
    """Return states [N,T',D] (one axis of places) or attention [N,H,T',T'] (two) with zeros up to `width`."""
    missing = (0, width - states.shape[-2])
    return pad(states, missing * 2 if axes == 2 else (0, 0, *missing))  # noqa: PLR2004
