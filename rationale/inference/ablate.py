"""The model's answers to parts of a text: without the rationale, only the rationale, some words.

Axes: W word, Q coalition of words, U word of a window, C class or logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats, Mask, Text
from rationale.inference.predict import text_probs, window_logits
from rationale.settings import ErasureMode
from rationale.text.windows import OUTSIDE, Window
from rationale.text_classifier import TextClassifier


@dataclass(frozen=True)
class Erasure:
    """One text and the words [W] to remove from it; `of` is the text itself, which an error names."""

    windows: tuple[Window, ...]
    removed: Mask
    of: Text | None = None


def without_and_only(
    windows: tuple[Window, ...], rationale: Mask, of: Text | None = None
) -> tuple[Erasure, Erasure]:
    """Return the two erasures that test a rationale: without its words, and without all other words."""
    return Erasure(windows, rationale, of), Erasure(windows, ~rationale, of)


def ablate(classifier: TextClassifier, erasures: Sequence[Erasure], how: ErasureMode = "delete") -> Floats:
    """Return the answers [erasure,C] of the texts without their removed words.

    All are read together, sorted by length; equal ones once.
    """
    texts = [classifier.encoder.remove(e.windows, e.removed, how) for e in erasures]
    return text_probs(classifier, texts, [e.of for e in erasures])


def coalition_logits(
    classifier: TextClassifier,
    windows: Sequence[Window],
    present: Sequence[Mask],
    how: ErasureMode = "delete",
) -> list[Floats]:
    """Return for each window the logits [Q,C] of texts with only some of its words.

    Args:
        classifier: what is asked.
        windows: each a text of its own.
        present: for each window a mask [Q,U], U those of `words_of(window)`, True where its words stay.
        how: see Encoder.remove.
    """
    texts = []
    for window, masks in zip(windows, present, strict=True):
        words = words_of(window)  # [U]
        removed = np.zeros((len(masks), max(int(window.end.max(initial=0)), 1)), dtype=bool)  # [Q,W]
        removed[:, words] = ~masks  # [Q,U]
        texts += [classifier.encoder.remove([window], row, how)[0] for row in removed]
    logits = window_logits(classifier, texts)  # [all Q,C]
    return np.split(logits, np.cumsum([len(m) for m in present])[:-1])  # [Q,C] of each window


def words_of(window: Window) -> NDArray[np.int64]:
    """Return the words of the text that the window reads a piece of, in order; of a unit the first."""
    return np.unique(window.word[window.word != OUTSIDE])  # [U]
