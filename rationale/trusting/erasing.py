"""Words taken out of texts in three ways: deleted, masked, or replaced by words of other texts.

Replacing keeps a text's length: a word's pieces give way to as many pieces of another word, or words,
of another text (Hase et al. 2021 ask for inputs like those a model was trained on).
Axes: W word, T piece, K mask, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats, Mask
from rationale.settings import ErasureMode
from rationale.text.windows import OUTSIDE, Window, covers
from rationale.trusting.contract import OPERATORS, Operator
from rationale.trusting.subject import Subject

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Words of all texts by their number of pieces: ids [K,pieces], and the text that each is from [K]."""

    ids: dict[int, Ints]
    owners: dict[int, Ints]

    @classmethod
    def of(cls, texts: Sequence[tuple[Window, ...]]) -> Pool:
        """Collect the words of all windows."""
        ids: dict[int, list[Ints]] = {}
        owners: dict[int, list[int]] = {}
        for owner, windows in enumerate(texts):
            for window in windows:
                for at in _units(window, window.word != OUTSIDE):
                    ids.setdefault(len(at), []).append(window.ids[at])
                    owners.setdefault(len(at), []).append(owner)
        stacked = {n: np.stack(found) for n, found in ids.items()}
        return cls(stacked, {n: np.array(found) for n, found in owners.items()})

    @property
    def serves(self) -> bool:
        """Whether every text finds words of one piece in another text, and more than one word at all."""
        return len(np.unique(self.owners.get(1, np.empty(0)))) > 1 and len(np.unique(self.ids[1])) > 1

    def draw(self, replaced: Ints, owner: int, rng: np.random.Generator) -> Ints:
        """Return as many pieces of another word of another text, or of several; see `serves`."""
        n = len(replaced)
        if n in self.ids:
            foreign = self.owners[n] != owner
            others = (foreign & (self.ids[n] != replaced).any(1)).nonzero()[0]
            if len(others):
                found: Ints = self.ids[n][rng.choice(others)]
                return found
        if n == 1:  # all other texts know is the same word
            return replaced
        return np.concatenate([self.draw(piece, owner, rng) for piece in np.split(replaced, n)])


def _units(window: Window, where: Mask) -> list[Ints]:
    """Return the places [T] of the pieces of each word (or words that share a piece) among `where`."""
    at = where.nonzero()[0]
    edges = np.diff(window.word[at]).nonzero()[0] + 1
    return [part for part in np.split(at, edges) if len(part)]


def infilled(
    windows: Sequence[Window], removed: Mask, pool: Pool, owner: int, rng: np.random.Generator
) -> tuple[Window, ...]:
    """Return the windows with words of other texts where `removed` [W] is True."""
    found = []
    for window in windows:
        ids = window.ids.copy()
        for at in _units(window, covers(window, removed)):
            ids[at] = pool.draw(window.ids[at], owner, rng)
        found.append(replace(window, ids=ids))
    return tuple(found)


def pool_of(subject: Subject) -> Pool:
    """Return the words of all texts of a subject."""
    return Pool.of([item.windows for item in subject.items])


def usable(subject: Subject) -> dict[Operator, str | None]:
    """Return for each way of taking words out why it cannot be used, None where it can."""
    no_mask = None if subject.run.classifier.encoder.mask_id is not None else "there is no mask token"
    alone = None if pool_of(subject).serves else "there is no other text to draw words from"
    return dict(zip(OPERATORS, (None, no_mask, alone), strict=True))


def answers_without(
    subject: Subject, removed: Sequence[Sequence[Mask]], how: Operator, name: str
) -> list[Floats]:
    """Return for each text the answer explained [K] without the words of each mask, see `probs_without`."""
    found = probs_without(subject, removed, how, name)
    return [probs[:, target] for probs, target in zip(found, subject.targets, strict=True)]


def probs_without(
    subject: Subject, removed: Sequence[Sequence[Mask]], how: Operator, name: str
) -> list[Floats]:
    """Return for each text the answers [K,C] without the words of each of its masks [K] of [W].

    Args:
        subject: whose texts and model these are.
        removed: of each item, masks that are True where words go.
        how: the way, a `usable` one.
        name: of the random numbers that infill draws.
    """
    pool = pool_of(subject) if how == "infill" else None
    texts: list[tuple[int, tuple[Window, ...]]] = []
    for i, masks in enumerate(removed):
        windows, rng = subject.items[i].windows, subject.rng(f"infill:{name}", i)
        for mask in masks:
            if pool is not None:
                texts.append((i, infilled(windows, mask, pool, i, rng)))
            else:
                mode: ErasureMode = "mask" if how == "mask" else "delete"
                texts.append((i, subject.run.classifier.encoder.remove(windows, mask, mode)))
    probs = subject.answers(texts)  # [all K,C]
    return np.split(probs, np.cumsum([len(masks) for masks in removed])[:-1])
