"""A tool's scores for its own pieces of a text → scores for the text's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eraser.errors import InputError, short_repr
from eraser.types import Floats, Text
from rationale.explanations.align import Place, Placed, place_in, plain, pooled, words_at
from rationale.explanations.pooling import Reduce
from rationale.explanations.readings import READINGS
from rationale.explanations.stored import WordExplanation, hash_of_words


@dataclass(frozen=True)
class Scored:
    """Scores [T] of the pieces of a text: tokens, or characters of it, or both.

    `tokens` are in the order of the text; where `anywhere`, they are words wherever they stand in it.
    `places` are characters of `text`, by default of the data set's own; without them, `text` only says whose
    the scores are. `label` is what the tool's model
    predicted, `target` the class explained, `id` the example, each where it is known. Where `picks`, a score
    above 0 says that the piece was chosen, and nothing more.
    """

    scores: Floats
    tokens: tuple[str, ...] | None = None
    places: tuple[Place, ...] | None = None
    text: str | None = None
    label: str | None = None
    target: str | None = None
    id: str | None = None
    anywhere: bool = False
    picks: bool = False


def explanation_of(text: Text, scored: Scored, reduce: Reduce = "sum") -> WordExplanation:
    """Return the explanation of a text's words; pieces that are not found are counted.

    Raises:
        InputError: scores are not finite or not one per token, or half of the tokens are not of this text.
    """
    placed, scores = _pieces(text, scored)
    spans = text.plain[1]
    first, after = words_at(placed.places, spans)
    found = pooled(first, after, scores, len(spans), "max" if scored.picks else reduce)
    expected = placed.found + placed.lost
    if 2 * placed.found <= expected:
        got = f"{placed.found} of {expected} that stand in it"
        raise InputError(text.fault("tokens of this text", got))
    if np.isnan(found).all():
        got = f"none: of its {len(scores)} tokens, {int(np.isnan(scores).sum())} have an empty score"
        raise InputError(text.fault("a score of at least one word", got))
    counts = {
        "tokens": len(placed.places),
        "special tokens": sum(placed.special),
        "tokens not in the text": placed.lost,
        "words": len(spans),
        "words without a score": int(np.isnan(found).sum()),
    }
    ranked, selected = (None, found > 0) if scored.picks else (found, None)
    of, words, told = hash_of_words(text.words), len(text.words), (scored.label, scored.target)
    return WordExplanation(text.example_id, of, words, ranked, selected, *told, counts)


def _pieces(text: Text, scored: Scored) -> tuple[Placed, Floats]:
    """Return where the pieces stand, and their scores."""
    pieces = scored.tokens if scored.places is None else scored.places
    if pieces is None or len(scored.scores) != len(pieces):
        n_pieces = "none" if pieces is None else f"{len(pieces)} tokens"
        raise InputError(text.fault("a score for each token", f"{n_pieces} and {len(scored.scores)} scores"))
    if np.isinf(scored.scores).any():
        raise InputError(text.fault("finite scores", "an infinite one"))
    string, spans = text.plain
    if scored.places is not None:
        if scored.text in (None, string):
            return _checked(text, scored, scored.places), scored.scores
        read = scored.text or ""
        tokens = tuple("" if p is None else read[slice(*p)] for p in scored.places)
        return _pieces(text, replace(scored, tokens=tokens, places=None))
    assert scored.tokens is not None
    if scored.anywhere:
        return _anywhere(string, scored.tokens, scored.scores)
    if scored.tokens == text.words:
        return Placed(spans, (False,) * len(spans)), scored.scores
    return place_in(text, scored.tokens), scored.scores


def _checked(text: Text, scored: Scored, places: Sequence[Place]) -> Placed:
    """Return the places, checked against the text and their tokens; empty ones are special."""
    string = text.plain[0]
    for place in places:
        if place is not None and not 0 <= place[0] <= place[1] <= len(string):
            expected = f"characters [start, end) from 0 to {len(string)}"
            raise InputError(text.fault(expected, short_repr(list(place))))
    there = tuple(None if place is None or place[0] == place[1] else place for place in places)
    special = tuple(place is None for place in there)
    if scored.tokens is None:
        return Placed(there, special)
    read = [texts for reading in READINGS.values() if (texts := reading(scored.tokens)) is not None]
    ways = [
        tuple(
            p if p is None or _alike(string[slice(*p)], token) else None
            for p, token in zip(there, texts, strict=True)
        )
        for texts in read
    ]
    return Placed(max(ways, key=lambda way: sum(p is not None for p in way)), special)


def _alike(characters: str, token: str) -> bool:
    """Return whether a token may stand for these characters: equal but for what tokenizers change."""
    one, other = ("".join(map(plain, s)) for s in (characters, token))
    return one == other or not other


def _anywhere(string: str, tokens: Sequence[str], scores: Floats) -> tuple[Placed, Floats]:
    """Return every place where each word stands by itself, and its score there."""
    places: list[Place] = []
    each: list[float] = []
    for token, score in zip(tokens, scores.tolist(), strict=True):
        word = rf"(?<!\w){re.escape(token)}(?!\w)"
        spans = [found.span() for found in re.finditer(word, string)] if token.strip() else []
        places += spans or [None]
        each += [score] * max(1, len(spans))
    return Placed(tuple(places), (False,) * len(places)), np.array(each)
