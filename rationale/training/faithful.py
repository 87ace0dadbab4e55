"""Masked fine-tuning: half of each batch loses random words, so that erased texts are in the distribution.

The share of removed words is drawn uniformly from 0 to 1 for each text (Madsen et al. 2024, arXiv
2310.07819, section 3.1; Hase et al. 2021, arXiv 2106.00786, train on erased texts for the same reason).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from eraser import Fault, InputError
from rationale.settings import ErasureMode
from rationale.text.encode import Encoder
from rationale.text.windows import Window, covers, without
from rationale.training.loop import TrainingWindow
from rationale.training.settings import TrainSettings


def check_mask(tokenizer: PreTrainedTokenizerBase, settings: TrainSettings, origin: str) -> None:
    """Refuse to mask words for a tokenizer without a mask token."""
    if settings.faithful and settings.faithful_by == "mask" and tokenizer.mask_token_id is None:
        message = "--faithful masks words, and the tokenizer has no mask token: use --faithful-by delete"
        raise InputError(Fault.of(message, origin or None))


def half_erased(
    rows: Sequence[TrainingWindow], encoder: Encoder, how: ErasureMode, rng: np.random.Generator
) -> list[TrainingWindow]:
    """Return the rows of a batch; a random half of them with some of their words removed."""
    chosen = set(rng.permutation(len(rows))[: len(rows) // 2].tolist())
    return [
        replace(row, window=erased(row.window, encoder, how, rng)) if i in chosen else row
        for i, row in enumerate(rows)
    ]


def erased(window: Window, encoder: Encoder, how: ErasureMode, rng: np.random.Generator) -> Window:
    """Return a window without some of its words: each goes with one probability, drawn from 0 to 1.

    A window of which nothing would be left to read stays as it is.
    """
    share = rng.random()
    removed = rng.random(max(int(window.end.max(initial=0)), 1)) < share  # [W]
    if how == "mask":
        assert encoder.mask_id is not None  # else refused
        return replace(window, ids=np.where(covers(window, removed), encoder.mask_id, window.ids))
    left = without(window, removed)
    return left if len(left) else window
