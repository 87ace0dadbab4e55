"""A window: the pieces that a model reads at once, their words, and where long texts are cut.

Nothing here needs torch. Axes: T word piece, W word of the example.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eraser.spans import Mask
from eraser.words import Spans

Ints = NDArray[np.int64]
OUTSIDE = -1  # the word index of special tokens, padding, and a query that gets no scores
MIN_ROOM = 8  # pieces a first text must leave for the second: fewer would cut nearly every word apart


@dataclass(frozen=True)
class Window:
    """What a model reads at once: piece ids [T], the words they belong to [T], token types [T].

    A piece belongs to the words from `word` up to, not including, `end`: one, but where a piece covers
    several (in Chinese, or a sign and the next one). Such words are a unit: scored, and removed, together.
    `lost` counts the pieces of a unit longer than the window that are not read.
    """

    ids: Ints
    word: Ints
    types: Ints
    end: Ints
    lost: int = field(default=0, kw_only=True)

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


def glued(*parts: Window) -> Window:
    """Return windows joined into one."""
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


def piece_ranges(pieces: Window, sentence_starts: Sequence[int], room: int) -> list[tuple[int, int, int]]:
    """Cut a text's pieces into ranges of at most `room`, see cut_ranges, none of them inside a unit.

    A unit longer than `room` is alone in its range and is read up to the room; the third number of a range is
    how many pieces are lost by that.
    """
    units, begins, counts = np.unique(pieces.word, return_index=True, return_counts=True)
    ends = pieces.end[begins]
    at = np.searchsorted(units, sentence_starts)  # a sentence that begins inside a unit is no place to cut
    inside = (at > 0) & (ends[at - 1] > np.array(sentence_starts))
    edges = np.append(begins, len(pieces))
    ranges = cut_ranges(counts, at[~inside].tolist(), room)
    whole = [(int(edges[a]), int(edges[b])) for a, b in ranges]
    return [(start, min(end, start + room), max(0, end - start - room)) for start, end in whole]


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


def words_in_part(windows: Sequence[Window]) -> int:
    """Return how many words are longer than a window, so that only their beginning is read."""
    cut = (w for w in windows if w.lost)
    return sum(int(w.end.max() - w.word.max()) for w in cut)


def note_in_part(words: int) -> tuple[str, ...]:
    """Return a note on words that were read only in part, if there are any."""
    return (f"words longer than a window, of which only the beginning was read: {words}",) if words else ()


def words_between(word: Ints, end: Ints, n_words: int) -> Mask:
    """Return the mask [W] of the words of units, of which each piece [T] knows the first and the end."""
    begun = np.bincount(word, minlength=n_words + 1) - np.bincount(end, minlength=n_words + 1)
    between: Mask = begun.cumsum()[:n_words] > 0
    return between


def length_batches(lengths: Sequence[int], max_pieces: int) -> Iterator[list[int]]:
    """Yield indices in batches, longest first; a padded batch holds at most `max_pieces`."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        size = max(1, max_pieces // lengths[order[0]])
        yield order[:size]
        order = order[size:]
