"""The model again: without the rationale, and with only the rationale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eraser.types import Floats, Mask
from rationale.hf import Classifier
from rationale.predict import text_probs
from rationale.text import Window

Removal = Literal["delete", "mask"]


@dataclass(frozen=True)
class Erasure:
    """One text with the words to take out of it [W]."""

    windows: tuple[Window, ...]
    removed: Mask


def without_and_only(windows: tuple[Window, ...], rationale: Mask) -> tuple[Erasure, Erasure]:
    """Return the two erasures that test a rationale: its words taken out, all other words taken out."""
    return Erasure(windows, rationale), Erasure(windows, ~rationale)


def ablate(classifier: Classifier, erasures: Sequence[Erasure], how: Removal = "delete") -> Floats:
    """Return class probabilities [erasure, C] of the texts without their removed words.

    All are read together, sorted by length, whatever method or share they come from; equal ones once.
    """
    slots: dict[tuple[int, bytes], int] = {}
    texts: list[tuple[Window, ...]] = []
    slot = []
    for erasure in erasures:
        key = (id(erasure.windows), erasure.removed.tobytes())
        if key not in slots:
            slots[key] = len(texts)
            texts.append(classifier.encoder.remove(erasure.windows, erasure.removed, how))
        slot.append(slots[key])
    return text_probs(classifier, texts)[slot]
