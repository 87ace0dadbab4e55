"""What is told of a word where it is pointed at: its score, its rank, its pieces.

Axes: W word of a text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eraser.types import Floats


def ranks(scores: Floats) -> list[int | None]:
    """Return each word's rank [W], 1 the highest score, ties in the text's order; None where unread."""
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    found: list[int | None] = [None] * len(scores)
    for rank, i in enumerate(order, start=1):
        found[i] = None if np.isnan(scores[i]) else rank
    return found


def told_of(scores: Floats, pieces: Sequence[Sequence[str]]) -> list[str]:
    """Return what is told of each word [W]: score, rank, pieces."""
    n = int((~np.isnan(scores)).sum())
    return [
        "not read: beyond what the model reads"
        if rank is None
        else f"score {score:+.3g} · rank {rank} of {n} · pieces {' | '.join(of_word)}"
        for score, rank, of_word in zip(scores, ranks(scores), pieces, strict=True)
    ]
