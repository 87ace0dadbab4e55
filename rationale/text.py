"""Words ↔ word pieces: the only file that knows special tokens.

Axes: B window, T word piece, W word of the example. A text longer than the model reads is cut into
windows, between sentences where possible, with the query repeated in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eraser import Fault, InputError, Text
from eraser.types import Mask

if TYPE_CHECKING:  # a function of texts is read without the library
    from transformers import PreTrainedTokenizerBase

Ints = NDArray[np.int64]
LongTexts = Literal["window", "truncate"]
OUTSIDE = -1  # the word index of special tokens, query and padding
MIN_ROOM = 8  # pieces a query must leave for the text: fewer would cut nearly every word apart


@dataclass(frozen=True)
class Window:
    """What the model reads at once: piece ids [T], the word each belongs to [T], token types [T]."""

    ids: Ints
    word: Ints
    types: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_words(self) -> bool:
        """True when any piece belongs to a word of the text."""
        return bool((self.word != OUTSIDE).any())


@dataclass(frozen=True)
class Batch:
    """Windows padded on the right, whatever side the tokenizer pads on: ids, real, word, types [B,T]."""

    ids: Tensor
    real: Tensor
    word: Tensor
    types: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(t.to(device) for t in (self.ids, self.real, self.word, self.types)))


class Encoder:
    """Cuts texts into windows of at most `max_length` pieces with a fast Hugging Face tokenizer."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, long_texts: LongTexts = "window"
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.long_texts = long_texts
        self.pad_id = int(tokenizer.pad_token_id)
        self.mask_id = tokenizer.mask_token_id

    def encode(self, texts: Sequence[Text]) -> list[tuple[Window, ...]]:
        """Return the windows of each text, at least one each."""
        for text in texts:
            if not any(text.words):
                raise InputError(Fault("a text with words", "an empty one", id=text.example_id))
        pieces = self._pieces_per_word([t.words for t in texts])
        queries = [tuple(t.query.split()) if t.query else () for t in texts]
        query_pieces = [int(n.sum()) for n in self._pieces_per_word(queries)]
        cuts = [
            self._cut(text, counts, n_query)
            for text, counts, n_query in zip(texts, pieces, query_pieces, strict=True)
        ]
        flat = [(i, start, end) for i, ranges in enumerate(cuts) for start, end in ranges]
        encoded = self._encode_ranges(flat, texts, queries)
        found: list[list[Window]] = [[] for _ in texts]
        for (i, _, _), window in zip(flat, encoded, strict=True):
            found[i].append(window)
        return [tuple(windows) for windows in found]

    def _pieces_per_word(self, word_lists: Sequence[Sequence[str]]) -> list[Ints]:
        """Return for each list the number of pieces of each word [W]."""
        filled = [i for i, words in enumerate(word_lists) if words]
        counts = [np.zeros(len(words), dtype=np.int64) for words in word_lists]
        if not filled:
            return counts
        encoding = self.tokenizer(
            [list(word_lists[i]) for i in filled],
            is_split_into_words=True,
            add_special_tokens=False,
            verbose=False,
        )
        for row, i in enumerate(filled):
            words = [w for w in encoding.word_ids(row) if w is not None]
            counts[i] = np.bincount(words, minlength=len(word_lists[i]))
        return counts

    def _cut(self, text: Text, pieces: Ints, n_query: int) -> list[tuple[int, int]]:
        """Return word ranges that fit beside specials and query, cut between sentences where possible."""
        specials = self.tokenizer.num_special_tokens_to_add(pair=bool(text.query))
        room = self.max_length - specials - n_query
        if self.max_length < specials + MIN_ROOM:
            raise InputError(Fault(f"a max_length of at least {specials + MIN_ROOM}", str(self.max_length)))
        if room < MIN_ROOM:
            expected = f"a query that leaves {MIN_ROOM} of {self.max_length} pieces to the text"
            raise InputError(Fault(expected, f"{n_query} pieces", id=text.example_id))
        ranges = cut_ranges(pieces, text.sentence_starts, room)
        return ranges[:1] if self.long_texts == "truncate" else ranges

    def _encode_ranges(
        self,
        ranges: list[tuple[int, int, int]],
        texts: Sequence[Text],
        queries: list[tuple[str, ...]],
    ) -> list[Window]:
        """Encode each (text, start, end) with special tokens; pairs and single texts apart."""
        windows: dict[int, Window] = {}
        for paired in (False, True):
            rows = [n for n, (i, _, _) in enumerate(ranges) if bool(queries[i]) == paired]
            if not rows:
                continue
            words = [list(texts[ranges[n][0]].words[ranges[n][1] : ranges[n][2]]) for n in rows]
            first = [list(queries[ranges[n][0]]) for n in rows] if paired else words
            encoding = self.tokenizer(
                first,
                words if paired else None,
                is_split_into_words=True,
                truncation="only_second" if paired else "only_first",
                max_length=self.max_length,
                return_token_type_ids=True,
                verbose=False,
            )
            for row, n in enumerate(rows):
                side = encoding.sequence_ids(row)
                word = [
                    OUTSIDE if w is None or s != int(paired) else w + ranges[n][1]
                    for w, s in zip(encoding.word_ids(row), side, strict=True)
                ]
                ids = np.asarray(encoding["input_ids"][row], dtype=np.int64)
                types = np.asarray(encoding["token_type_ids"][row], dtype=np.int64)
                windows[n] = Window(ids, np.asarray(word, dtype=np.int64), types)
        return [windows[n] for n in range(len(ranges))]

    def remove(
        self,
        windows: Sequence[Window],
        removed: Mask,
        how: Literal["delete", "mask"] = "delete",
    ) -> tuple[Window, ...]:
        """Return the windows without the words where `removed` [W] is True.

        Their pieces are deleted from the input ids, or replaced by the mask token. A window left
        without words is dropped; if none has any, the first is kept: the empty text.
        """
        if how == "mask":
            if self.mask_id is None:
                raise InputError(Fault("a tokenizer with a mask token", "none"))
            return tuple(replace(w, ids=np.where(covers(w, removed), self.mask_id, w.ids)) for w in windows)
        kept = tuple(without(w, removed) for w in windows)
        return tuple(w for w in kept if w.has_words) or kept[:1]

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to the longest of them."""
        return padded(windows, self.pad_id)

    def names(self, window: Window) -> list[str]:
        """Return how each piece is shown."""
        return list(self.tokenizer.convert_ids_to_tokens(window.ids.tolist()))


def padded(windows: Sequence[Window], pad_id: int) -> Batch:
    """Pad windows to the longest of them."""
    shape = (len(windows), max(map(len, windows)))
    ids, word = np.full(shape, pad_id), np.full(shape, OUTSIDE)
    types, real = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    for row, window in enumerate(windows):
        n = len(window)
        ids[row, :n], word[row, :n], types[row, :n], real[row, :n] = (
            window.ids,
            window.word,
            window.types,
            True,
        )
    return Batch(*(torch.from_numpy(a) for a in (ids, real, word, types)))


def covers(window: Window, words: Mask) -> Mask:
    """Return the mask [T] of pieces whose word is in `words` [W]."""
    covered: Mask = (window.word != OUTSIDE) & words[window.word]
    return covered


def without(window: Window, removed: Mask) -> Window:
    """Return the window without the pieces of the words where `removed` [W] is True."""
    kept = ~covers(window, removed)
    return Window(window.ids[kept], window.word[kept], window.types[kept])


def cut_ranges(pieces: Ints, sentence_starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Cut words into ranges of at most `room` pieces, at the last sentence start that fits.

    A sentence longer than `room` is cut between words; a single word longer than `room` stands alone
    (the tokenizer cuts its end).

    >>> cut_ranges(np.ones(10, dtype=int), [0, 3, 7], 5)
    [(0, 3), (3, 7), (7, 10)]
    """
    ends = np.cumsum(pieces)
    starts = set(sentence_starts)
    ranges, start, n_words = [], 0, len(pieces)
    while start < n_words:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + room, side="right"))
        end = max(end, start + 1)
        if end < n_words:
            end = next((e for e in range(end, start, -1) if e in starts), end)
        ranges.append((start, end))
        start = end
    return ranges


def words_read(windows: Sequence[Window], n_words: int) -> Mask:
    """Return the mask [W] of words of which the model reads at least one piece."""
    read = np.zeros(n_words, dtype=bool)
    for window in windows:
        read[window.word[window.word != OUTSIDE]] = True
    return read


def length_batches(lengths: Sequence[int], max_pieces: int) -> Iterator[list[int]]:
    """Yield indices longest first, so many together that the padded batch holds at most `max_pieces`."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        size = max(1, max_pieces // lengths[order[0]])
        yield order[:size]
        order = order[size:]
