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


def told_of(scores: Floats, pieces: Sequence[Sequence[str]] | None = None) -> list[str]:
    """Return what is told of each word [W]: score, rank, and its pieces where they are known."""
    n = int((~np.isnan(scores)).sum())
    of_words = [None] * len(scores) if pieces is None else pieces
    return [
        no_score(of_word)
        if rank is None
        else f"score {score:+.3g} · rank {rank} of {n}"
        + (f" · pieces {' | '.join(of_word)}" if of_word else "")
        for score, rank, of_word in zip(scores, ranks(scores), of_words, strict=True)
    ]


def no_score(pieces: Sequence[str] | None = None) -> str:
    """Return why a word has no score; a word without any pieces is one that the tokenizer leaves out.

    >>> no_score(()), no_score(["film"]), no_score()
    ('no score: the tokenizer drops it', 'no score: not read by the model', 'no score: not read by the model')
    """
    dropped = pieces is not None and not len(pieces)
    return "no score: the tokenizer drops it" if dropped else "no score: not read by the model"


def number_of(score: float) -> str:
    """Return a score as it stands among those of other methods.

    >>> number_of(0.5), number_of(float("nan"))
    ('+0.5', 'no score')
    """
    return "no score" if np.isnan(score) else f"{score:+.3g}"


def scores_of(scores: Floats) -> list[str]:
    """Return each word's score alone [W]."""
    return [no_score() if np.isnan(score) else f"score {score:+.3g}" for score in scores]
