"""Texts ↔ word pieces: the only file that knows special tokens.

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
from rationale.text.tokenizer_trial import Trial
from rationale.text.windows import (
    MIN_ROOM,
    OUTSIDE,
    Window,
    covers,
    glued,
    piece_ranges,
    shared_words,
    without,
    words_of_pieces,
)

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
        """Return some rows of the batch."""
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
        return Trial(self.tokenizer)

    def encode(self, texts: Sequence[Text]) -> list[tuple[Window, ...]]:
        """Return the windows of each text, at least one each."""
        for text in texts:
            if not any(text.words):
                raise InputError(text.problem("the text has no words"))
            if text.second and not (any(text.words[: text.second]) and any(text.words[text.second :])):
                raise InputError(text.problem("a text of the pair has no words"))
        found: list[tuple[Window, ...]] = [()] * len(texts)
        for paired in (False, True):
            rows = [i for i, t in enumerate(texts) if t.is_pair == paired]
            encoded = self._encode([texts[i] for i in rows], paired)
            for i, windows in zip(rows, progress(encoded, "encode", "texts", len(rows)), strict=True):
                found[i] = windows
        return found

    def _encode(self, texts: Sequence[Text], paired: bool) -> Iterator[tuple[Window, ...]]:
        """Yield the windows of texts that are all pairs, or none."""
        if not texts:
            return
        sides = [text.sides for text in texts]
        strings = [_readable(of_text[-1][0], t) for t, of_text in zip(texts, sides, strict=True)]
        queries = [
            t.query or "" if t.second is None else of_text[0][0]
            for t, of_text in zip(texts, sides, strict=True)
        ]
        firsts = [_readable(query, t) for t, query in zip(texts, queries, strict=True)]
        self._trial.check([*strings, *firsts])
        encoding = self.tokenizer(
            firsts if paired else strings,
            strings if paired else None,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_token_type_ids=True,
            verbose=False,  # of texts longer than the model reads
        )
        for row, (text, of_text) in enumerate(zip(texts, sides, strict=True)):
            special = np.array(encoding["special_tokens_mask"][row], dtype=bool)
            side = np.array([OUTSIDE if s is None else s for s in encoding.sequence_ids(row)], dtype=np.int64)
            offsets = np.array(encoding["offset_mapping"][row], dtype=np.int64).reshape(-1, 2)
            inside, before = (side == int(paired)) & ~special, text.second or 0
            word, end = np.full((2, len(side)), OUTSIDE)
            word[inside], end[inside] = (before + w for w in words_of_pieces(offsets[inside], of_text[-1][1]))
            if text.second is not None:
                first = (side == 0) & ~special
                word[first], end[first] = words_of_pieces(offsets[first], of_text[0][1])
            ids, types = (np.array(encoding[name][row]) for name in ("input_ids", "token_type_ids"))
            whole = Window(ids.astype(np.int64), word, types.astype(np.int64), end)
            yield self._cut(text, whole, inside, int((~inside & ~special).sum()))

    def _cut(self, text: Text, whole: Window, inside: Mask, n_query: int) -> tuple[Window, ...]:
        """Cut the pieces `inside` [T] a text into windows, each between what stands before and after them."""
        places = inside.nonzero()[0]
        specials = len(whole) - len(places) - n_query
        room = self.max_length - specials - n_query
        if self.max_length < specials + MIN_ROOM:
            raise InputError(Fault(f"a max_length of at least {specials + MIN_ROOM}", str(self.max_length)))
        if room < MIN_ROOM:
            what = "a query" if text.second is None else "a first text"
            expected = f"{what} that leaves {MIN_ROOM} of {self.max_length} pieces to the text"
            raise InputError(text.fault(expected, f"{n_query} pieces"))
        if not len(places):
            return (self._some(whole),)
        first, after = int(places[0]), int(places[-1]) + 1
        if after - first != len(places):
            raise InputError(Fault.of("the tokenizer puts other tokens between a text's pieces"))
        inner = whole.at(slice(first, after))
        ranges = piece_ranges(inner, text.sentence_starts, room)
        return tuple(
            glued(whole.at(slice(first)), inner.at(slice(*r)), whole.at(slice(after, None)))
            for r in (ranges[:1] if self.long_texts == "truncate" else ranges)
        )

    def _some(self, window: Window) -> Window:
        """Return the window, or what stands for no text at all where it is empty: no model reads nothing."""
        if len(window):
            return window
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        start = next(id for name in names if (id := getattr(self.tokenizer, name)) is not None)
        return Window(*(np.array([x]) for x in (start, OUTSIDE, 0, OUTSIDE)))

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
        """
        if how == "mask":
            if self.mask_id is None:
                raise InputError(Fault.of("masking words needs a mask token, which the tokenizer lacks"))
            return tuple(replace(w, ids=np.where(covers(w, removed), self.mask_id, w.ids)) for w in windows)
        kept, shared = tuple(without(w, removed) for w in windows), shared_words(windows)
        return tuple(w for w in kept if w.has_words and w.word.max() >= shared) or (self._some(kept[0]),)

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to the longest of them."""
        return padded(windows, self.pad_id)

    def names(self, window: Window) -> list[str]:
        """Return how each piece is shown."""
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


def _readable(string: str, text: Text) -> str:
    """Return a string that has an encoding."""
    try:
        string.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(text.fault("text without lone surrogates", ascii(string[error.start]))) from None
    return string
