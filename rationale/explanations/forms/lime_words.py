"""lime's Explanation of a text, whose words have places in it; and its `as_list()`, words and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError
from eraser.types import Floats
from rationale.explanations.forms.values import Asked, numbers
from rationale.explanations.scored import Scored


def is_lime(given: Any) -> bool:
    """Return whether it is such."""
    return hasattr(given, "local_exp") and hasattr(given, "domain_mapper")


def read_lime(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the one text's; of a bag of words each occurrence has the word's weight."""
    string = getattr(given.domain_mapper, "indexed_string", None)
    if string is None:
        raise InputError(Fault("lime's explanation of a text", type(given.domain_mapper).__name__))
    names, probs = given.class_names, getattr(given, "predict_proba", None)
    label = None if probs is None else asked.name(int(np.argmax(probs)), names)
    by_name = {asked.name(number, names): dict(w) for number, w in given.local_exp.items()}
    n_classes = 0 if probs is None else len(probs)
    weights, target = _of_class(by_name, label, [asked.name(i, names) for i in range(n_classes)], asked)
    places, scores = [], []
    for word, weight in weights.items():
        length = len(str(string.word(word)))
        starts = np.atleast_1d(string.string_position(word)).tolist()
        places += [(start, start + length) for start in starts]
        scores += [weight] * len(starts)
    order = sorted(range(len(places)), key=places.__getitem__)
    in_order: Floats = numbers([scores[i] for i in order])
    text = str(string.raw_string())
    yield Scored(in_order, places=tuple(places[i] for i in order), text=text, label=label, target=target)


def _of_class(
    by_name: Mapping[str | None, dict[int, float]], label: str | None, known: list[str | None], asked: Asked
) -> tuple[dict[int, float], str | None]:
    """Return the weights by word, and the class: of two, one's weights are the other's turned round."""
    target = asked.target or label or next(iter(by_name))
    if target in by_name:
        return by_name[target], target
    if len(known) == 2 and target in known and len(by_name) == 1:  # probabilities of both sum to 1
        return {word: -weight for word, weight in next(iter(by_name.values())).items()}, target
    explained = ", ".join(map(str, by_name))
    message = f"lime explained {explained}, not {target}: give target=…, or explain with top_labels=1"
    raise InputError(Fault.of(message))


def is_word_list(given: Any) -> bool:
    """Return whether it is a list of pairs (word, weight)."""
    pairs = isinstance(given, list) and bool(given)
    return pairs and all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in given)


def read_word_list(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the one text's: each word has its weight wherever it stands in the text."""
    words, weights = zip(*given, strict=True)
    yield Scored(numbers(weights), tuple(map(str, words)), target=asked.target, anywhere=True)
