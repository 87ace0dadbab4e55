"""A text with some of its words taken out or replaced, and the fewest words that hold an answer up.

Axes: W word, D dimension of the embeddings, V entry of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from eraser import Fault, InputError
from eraser.types import Floats
from eraser.words import gaps, placed
from rationale.hf.classifier import Classifier
from rationale.inference.ablate import Erasure, ablate
from rationale.settings import ErasureMode
from rationale_viewer.compute.explain import Given, ModelReading, Scored, score_anew
from rationale_viewer.session.state import LoadedModel

MOST_WORDS = 400  # of a text in which a flip is looked for: each word costs a pass
MOST_OUT = 25  # words of a flip
STRONGEST, PAIRED = 24, 12  # candidates at each step; words of which every pair is tried
SURE = 2  # words: no single one flips, so that no fewer do
ALIKE = 6  # suggestions for a word
SUBWORD, BEGINS = "##", ("Ġ", "▁")  # how vocabularies mark parts of words, and whole ones


@dataclass(frozen=True)
class Edits:
    """Words taken out, and those put in others' place, by the index of the word."""

    out: tuple[int, ...] = ()
    new: tuple[tuple[int, str], ...] = ()
    how: ErasureMode = "delete"

    def __bool__(self) -> bool:
        return bool(self.out or self.new)

    @property
    def marks(self) -> dict[int, str]:
        """How the words that were changed are drawn: "out" or "new", by the index of the word."""
        return dict.fromkeys(self.out, "out") | dict.fromkeys(dict(self.new), "new")

    @property
    def told(self) -> str:
        """What was changed, in words.

        >>> Edits((0, 4), ((2, "warm"),), "mask").told
        '2 words masked and 1 word replaced'
        """
        past = {"delete": "deleted", "mask": "masked"}[self.how]
        counts = ((len(self.out), past), (len(self.new), "replaced"))
        return " and ".join(f"{n} word{'s' * (n > 1)} {what}" for n, what in counts if n)


@dataclass(frozen=True)
class Flip:
    """Words without which the answer is another: `label`. `surely`: no fewer words do it."""

    words: tuple[int, ...]
    label: str
    surely: bool


def replaced(given: Given, new: Mapping[int, str]) -> Given:
    """Return a text with other words in the place of some.

    >>> replaced(Given(("a", "dull", "film."), None, (0,), "a dull film."), {1: "warm"}).string
    'a warm film.'
    """
    words = tuple(new.get(i, word) for i, word in enumerate(given.words))
    return given._replace(words=words, string=_rebuilt(given, words))


def shortened(given: Given, out: Collection[int]) -> Given:
    """Return a text without some of its words; the wider of two gaps stays.

    >>> shortened(Given(("a", "dull", ",", "film"), None, (0,), "a dull, film"), [1, 2]).string
    'a film'
    """
    stays = [i for i in range(len(given.words)) if i not in out]
    new_place = {old: new for new, old in enumerate(stays)}
    starts = {min((new_place[i] for i in stays if i >= start), default=None) for start in given.starts}
    string = None
    if given.string is not None:
        after = list(given.after or ())
        for i in out:
            before = max((j for j in stays if j < i), default=None)
            if before is not None:
                after[before] = max(after[before], after[i], key=len)
        string = "".join(given.words[i] + after[i] for i in stays)
    sentences = tuple(sorted(s for s in starts if s is not None)) or (0,)
    return given._replace(words=tuple(given.words[i] for i in stays), starts=sentences, string=string)


def _rebuilt(given: Given, words: Sequence[str]) -> str | None:
    if given.string is None:
        return None
    _, spans = placed(given.string, given.words)
    begin = given.string[: spans[0][0]] if spans else ""
    return begin + "".join(w + gap for w, gap in zip(words, gaps(given.string, spans), strict=True))


def alike(held: LoadedModel, word: str, most: int = ALIKE) -> tuple[str, ...]:
    """Return the words whose embeddings are nearest to a word's; none of a model that has no embeddings."""
    classifier = held.classifier
    if not isinstance(classifier, Classifier) or not word.isalpha():
        return ()
    tokenizer = classifier.encoder.tokenizer
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if not ids:
        return ()
    with torch.inference_mode():
        embeddings: Any = classifier.model.get_input_embeddings()
        table = embeddings.weight.detach().float()  # [V,D]
        table = torch.nn.functional.normalize(table, dim=-1)
        near = table @ torch.nn.functional.normalize(table[ids].mean(0), dim=-1)  # [V]
    nearest = near.topk(min(40 * most, len(near))).indices.tolist()
    whole = _whole_words(tokenizer.convert_ids_to_tokens(nearest))
    return tuple(dict.fromkeys(w for w in whole if w.casefold() != word.casefold()))[:most]


def _whole_words(pieces: Iterable[str]) -> list[str]:
    """Return the pieces that are words by themselves, as they are written."""
    found, pieces = [], list(pieces)
    marked = any(piece.startswith(BEGINS) for piece in pieces)
    for piece in pieces:
        word = piece.lstrip("".join(BEGINS)) if marked else piece
        if (not marked or piece.startswith(BEGINS)) and not piece.startswith(SUBWORD) and word.isalpha():
            found.append(word)
    return found


def masked_scores(
    held: LoadedModel, reading: ModelReading, out: Collection[int], method: str, dial: float, label: str
) -> Scored:
    """Return a method's scores of a text in which some words are masked: each keeps its place."""
    removed = np.isin(np.arange(len(reading.words)), list(out))
    windows = held.classifier.encoder.remove(reading.windows, removed, "mask")
    return score_anew(held, replace(reading, windows=tuple(windows)), [method], dial, label)[method]


def minimal_flip(held: LoadedModel, reading: ModelReading, how: ErasureMode, dial: float) -> Flip | None:
    """Return the fewest words found whose removal changes the class; None where none were found.

    Each word alone is tried, then every pair of the strongest, then words are added one at a time to the
    best of those, and those no longer needed are put back. So of one word it is sure that none is fewer, of
    two too; of more there may be fewer.

    Raises:
        InputError: the text is too long, or the answer is not one class.
    """
    n = len(reading.words)
    if n > MOST_WORDS:
        raise InputError(Fault.of(f"a flip is looked for in texts of at most {MOST_WORDS} words, not {n}"))
    if reading.kind != "class":
        raise InputError(Fault.of("a flip is looked for where the answer is one class"))
    tries = _Tries(held, reading, how, dial)
    alone = tries.ask([(i,) for i in range(n)])
    if tries.flips(best := tries.best(alone)):
        return tries.flip(best)
    strongest = sorted(range(n), key=lambda i: alone[i,])[:STRONGEST]
    pairs = tries.ask(list(combinations(sorted(strongest[:PAIRED]), 2)))
    best = tries.best(pairs) if pairs else best
    while not tries.flips(best) and len(best) < min(MOST_OUT, n):
        more = [tuple(sorted((*best, i))) for i in strongest if i not in best]
        if not more:
            return None
        best = tries.best(tries.ask(more))
    return tries.flip(tries.pruned(best)) if tries.flips(best) else None


class _Tries:
    """What the model says of a text without some words; each set of words is asked once."""

    def __init__(self, held: LoadedModel, reading: ModelReading, how: ErasureMode, dial: float) -> None:
        self.held, self.reading, self.how, self.dial = held, reading, how, dial
        self.labels = held.classifier.labels
        self.known: dict[tuple[int, ...], Floats] = {}  # [C]

    def ask(self, sets: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
        """Return the probability that is left to the text's own answer, for each set of words."""
        new = [one for one in sets if one not in self.known]
        if new:
            erasures = [Erasure(self.reading.windows, self._mask(one)) for one in new]
            with self.held.at_dial(self.dial) as classifier:
                self.known.update(zip(new, ablate(classifier, erasures, self.how), strict=True))
        own = self.labels.index(self.reading.label)
        return {one: float(self.known[one][own]) for one in sets}

    def _mask(self, words: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        mask = np.zeros(len(self.reading.words), dtype=bool)  # [W]
        mask[list(words)] = True
        return mask

    def best(self, left: Mapping[tuple[int, ...], float]) -> tuple[int, ...]:
        """Return the set that leaves least, of those that flip the answer where some do."""
        return min(left, key=lambda one: (not self.flips(one), left[one]))

    def flips(self, words: tuple[int, ...]) -> bool:
        """Return whether the answer is another without these words."""
        return self.labels[int(self.known[words].argmax())] != self.reading.label

    def pruned(self, words: tuple[int, ...]) -> tuple[int, ...]:
        """Return a set without the words that it does not need."""
        for word in words:
            fewer = tuple(w for w in words if w != word)
            if fewer:
                self.ask([fewer])
                words = fewer if self.flips(fewer) else words
        return words

    def flip(self, words: tuple[int, ...]) -> Flip:
        """Return the set as the answer; each word alone was tried."""
        return Flip(words, self.labels[int(self.known[words].argmax())], len(words) <= SURE)
