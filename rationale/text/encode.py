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
from numpy.typing import NDArray
from torch import Tensor

from eraser import Fault, InputError, Text
from eraser.progress import progress
from eraser.types import Mask
from eraser.words import Spans
from rationale.settings import ErasureMode, LongTexts
from rationale.text.tokenizer_trial import Trial

if TYPE_CHECKING:  # a function of texts is read without the library
    from transformers import PreTrainedTokenizerBase

Ints = NDArray[np.int64]
OUTSIDE = -1  # the word index of special tokens, padding, and a query that gets no scores
MIN_ROOM = 8  # pieces a first text must leave for the second: fewer would cut nearly every word apart


@dataclass(frozen=True)
class Window:
    """What the model reads at once: piece ids [T], the words each belongs to [T], token types [T].

    A piece belongs to the words from `word` up to, not including, `end`: one, but where a piece covers
    several (in Chinese, or a sign and the next one). Such words are a unit: scored, and removed, together.
    """

    ids: Ints
    word: Ints
    types: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_words(self) -> bool:
        """True when any piece belongs to a word of the text."""
        return bool((self.word != OUTSIDE).any())

    def as_lists(self) -> list[list[int]]:
        """Return ids, words and types, and the ends where they say more than the words do."""
        fields = [self.ids, self.word, self.types]
        glued = bool((self.end - self.word > 1).any())
        return [field.tolist() for field in (fields + [self.end] * glued)]

    def at(self, pieces: Mask | slice) -> Window:
        """Return the window with these of its pieces [T] only."""
        return Window(self.ids[pieces], self.word[pieces], self.types[pieces], self.end[pieces])


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
            _glued(whole.at(slice(first)), inner.at(slice(*r)), whole.at(slice(after, None)))
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


def _glued(*parts: Window) -> Window:
    names = ("ids", "word", "types", "end")
    return Window(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def words_of_pieces(offsets: Ints, spans: Spans) -> tuple[Ints, Ints]:
    """Return the first word [T] of each piece's unit, and the word [T] after its last.

    A piece belongs to the word of its first character that is no white space, one of white space alone to the
    next word; words that one piece covers are a unit, and so are those of pieces that share a word.

    Args:
        offsets: the characters [T,2] of each piece.
        spans: those of each word, at least one of which is not empty.

    >>> words_of_pieces(np.array([[0, 1], [1, 3], [3, 5]]), ((0, 1), (1, 2), (2, 3), (4, 5)))
    (array([0, 1, 3]), array([1, 3, 4]))
    """
    places = np.array(spans, dtype=np.int64)
    there = (places[:, 1] > places[:, 0]).nonzero()[0]
    starts, ends = places[there].T
    word = np.minimum(np.searchsorted(ends, offsets[:, 0], side="right"), len(there) - 1)
    word = np.maximum.accumulate(word)
    last = np.maximum(word, np.searchsorted(starts, offsets[:, 1], side="left") - 1)
    reach = np.maximum.accumulate(last)
    begins = np.concatenate(([True], word[1:] > reach[:-1]))[: len(word)]
    unit, heads = begins.cumsum() - 1, begins.nonzero()[0]
    if not len(heads):
        return word, word
    return there[word[heads]][unit], there[np.maximum.reduceat(last, heads)][unit] + 1


def covers(window: Window, words: Mask) -> Mask:
    """Return the mask [T] of pieces whose unit has one of `words` [W]."""
    counts = np.concatenate(([0], np.cumsum(words)))
    covered: Mask = (window.word != OUTSIDE) & (counts[window.end] > counts[window.word])
    return covered


def without(window: Window, removed: Mask) -> Window:
    """Return the window without the pieces of the words where `removed` [W] is True."""
    return window.at(~covers(window, removed))


def piece_ranges(pieces: Window, sentence_starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Cut a text's pieces into ranges of at most `room`, see cut_ranges; no unit is cut, if it has room."""
    units, begins, counts = np.unique(pieces.word, return_index=True, return_counts=True)
    ends = pieces.end[begins]
    at = np.searchsorted(units, sentence_starts)  # a sentence that begins inside a unit is no place to cut
    inside = (at > 0) & (ends[at - 1] > np.array(sentence_starts))
    edges = np.append(begins, len(pieces))
    ranges = cut_ranges(counts, at[~inside].tolist(), room)
    return [(int(edges[a]), int(min(edges[b], edges[a] + room))) for a, b in ranges]


def cut_ranges(pieces: Ints, sentence_starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Cut words into ranges of at most `room` pieces, at the last sentence start that fits.

    A sentence longer than `room` is cut between words; a single word longer than `room` stands alone.

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


def shared_words(windows: Sequence[Window]) -> int:
    """Return how many words several windows of a text share: those of a pair's first text."""
    if len(windows) == 1:
        return 0
    one, other = (w.word[w.word != OUTSIDE] for w in windows[:2])
    return int(np.intersect1d(one, other).max(initial=OUTSIDE)) + 1


def words_read(windows: Sequence[Window], n_words: int) -> Mask:
    """Return the mask [W] of words of which the model reads at least one piece."""
    read = np.zeros(n_words, dtype=bool)
    for w in windows:
        read |= words_between(w.word[w.word != OUTSIDE], w.end[w.word != OUTSIDE], n_words)
    return read


def words_between(word: Ints, end: Ints, n_words: int) -> Mask:
    """Return the mask [W] of the words of units, of which each piece [T] knows the first and the end."""
    begun = np.bincount(word, minlength=n_words + 1) - np.bincount(end, minlength=n_words + 1)
    between: Mask = begun.cumsum()[:n_words] > 0
    return between


def length_batches(lengths: Sequence[int], max_pieces: int) -> Iterator[list[int]]:
    """Yield indices longest first, so many together that the padded batch holds at most `max_pieces`."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        size = max(1, max_pieces // lengths[order[0]])
        yield order[:size]
        order = order[size:]
