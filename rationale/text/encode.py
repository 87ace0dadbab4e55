"""Texts ↔ word pieces of a Hugging Face tokenizer, and windows as batches of torch.

Axes: B window, T word piece, W word of the example. A text longer than the model reads is cut into
windows, between sentences where possible, with the query, or the first text of a pair, repeated in each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eraser import Fault, InputError, Text
from eraser.progress import progress
from eraser.types import Mask
from rationale.settings import ErasureMode, LongTexts
from rationale.text.cutting import Pieces, WindowCutter, some
from rationale.text.tokenizer_trial import Trial
from rationale.text.windows import OUTSIDE, Window, covers, shared_words, without

if TYPE_CHECKING:  # a function of texts is read without the library
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batch:
    """Windows padded on the right, whatever side the tokenizer pads on; all [B,T]."""

    ids: Tensor
    real: Tensor
    word: Tensor
    types: Tensor
    end: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(t.to(device) for t in (self.ids, self.real, self.word, self.types, self.end)))

    def rows(self, rows: slice) -> Batch:
        """Return these rows of the batch."""
        return Batch(*(t[rows] for t in (self.ids, self.real, self.word, self.types, self.end)))


class Encoder:
    """Cuts texts into windows of at most `max_length` pieces with a fast Hugging Face tokenizer.

    A text is tokenized once and whole, as the tokenizer itself does it: the ids of a text that fits are those
    that plain Hugging Face gives, those of a longer one a slice of them between the special tokens.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, long_texts: LongTexts = "window"
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.long_texts = long_texts
        self.pad_id = int(tokenizer.pad_token_id)
        self.mask_id = tokenizer.mask_token_id

    def identity(self) -> str:
        """Return a hash of all that windows depend on: the tokenizer itself, and how long texts are read."""
        made = json.loads(self.tokenizer.backend_tokenizer.to_str())
        made |= {"truncation": None, "padding": None}  # of the last call
        how = json.dumps([made, self.max_length, self.long_texts], sort_keys=True)
        return sha256(how.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def _trial(self) -> Trial:
        backend, name = (getattr(self.tokenizer, n, None) for n in ("backend_tokenizer", "name_or_path"))
        return Trial(backend, name or None)

    def encode(self, texts: Sequence[Text]) -> list[tuple[Window, ...]]:
        """Return the windows of each text, at least one each."""
        found: list[tuple[Window, ...]] = [()] * len(texts)
        cutter = WindowCutter(self._tokenize, self.max_length, self._start)
        for i, windows in progress(cutter.windows(texts), "encode", "texts", len(texts)):
            found[i] = windows[:1] if self.long_texts == "truncate" else windows
        return found

    def _tokenize(self, texts: Sequence[str], seconds: Sequence[str] | None) -> Iterator[Pieces]:
        """Yield the pieces of texts, or of pairs, as the tokenizer itself makes them."""
        self._trial.check([*texts, *(seconds or ())])
        found = self.tokenizer(
            list(texts),
            None if seconds is None else list(seconds),
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_token_type_ids=True,
            verbose=False,  # of texts longer than the model reads
        )
        for row in range(len(texts)):
            ids, types = (np.array(found[name][row]) for name in ("input_ids", "token_type_ids"))
            side = np.array([OUTSIDE if s is None else s for s in found.sequence_ids(row)], dtype=np.int64)
            offsets = np.array(found["offset_mapping"][row], dtype=np.int64).reshape(-1, 2)
            special = np.array(found["special_tokens_mask"][row], dtype=bool)
            yield Pieces(ids.astype(np.int64), types.astype(np.int64), side, offsets, special)

    @property
    def _start(self) -> int:
        """The id that stands for an empty text."""
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        found: int = next(id for name in names if (id := getattr(self.tokenizer, name)) is not None)
        return found

    def remove(
        self,
        windows: Sequence[Window],
        removed: Mask,
        how: ErasureMode = "delete",
    ) -> tuple[Window, ...]:
        """Return the windows without the words where `removed` [W] is True.

        Their pieces are deleted from the input ids, or replaced by the mask token. A window left without
        words but those that all windows share, as the first text of a pair, is dropped; if none has any, the
        first is kept: the empty text.

        Raises:
            InputError: masking, and the tokenizer has no mask token.
        """
        if how == "mask":
            if self.mask_id is None:
                raise InputError(Fault.of("masking words needs a mask token, which the tokenizer lacks"))
            return tuple(replace(w, ids=np.where(covers(w, removed), self.mask_id, w.ids)) for w in windows)
        kept, shared = tuple(without(w, removed) for w in windows), shared_words(windows)
        return tuple(w for w in kept if w.has_words and w.word.max() >= shared) or (
            some(kept[0], self._start),
        )

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to the longest of them."""
        return padded(windows, self.pad_id)

    def names(self, window: Window) -> list[str]:
        """Return the pieces as they are displayed."""
        return list(self.tokenizer.convert_ids_to_tokens(window.ids.tolist()))


def padded(windows: Sequence[Window], pad_id: int) -> Batch:
    """Pad windows to the longest of them."""
    shape = (len(windows), max(map(len, windows)))
    ids, types = np.full(shape, pad_id), np.zeros(shape, dtype=np.int64)
    word, end = np.full((2, *shape), OUTSIDE)
    real = np.zeros(shape, dtype=bool)
    for row, w in enumerate(windows):
        n = len(w)
        ids[row, :n], word[row, :n], types[row, :n], end[row, :n] = w.ids, w.word, w.types, w.end
        real[row, :n] = True
    return Batch(*(torch.from_numpy(a) for a in (ids, real, word, types, end)))
