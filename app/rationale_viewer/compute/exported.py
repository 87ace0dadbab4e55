"""The shipped model's exported file, where there is one: answer, layers and survivors in one quick pass.

Axes: T piece of a window, W word, L layer; counts by layer begin with what is there before the first [L+1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from eraser.types import Floats, Mask
from rationale.hf.classifier import SHIPPED
from rationale.onnx import OnnxModel
from rationale.onnx.model import load_file
from rationale.onnx.session import Read
from rationale.onnx.shipped import cached_file
from rationale.text.windows import OUTSIDE, Ints, Window, words_between
from rationale.text.word_scores import word_scores
from rationale_viewer.session.state import LoadedModel, still_wanted


@dataclass(frozen=True)
class QuickReading:
    """One text read by the exported model: logits [window,C], words kept [L+1,W], tokens [L+1,window].

    `survived` are the scores of `survivors` [W].
    """

    logits: Floats
    kept: Mask
    tokens: Ints
    survived: Floats


def exported(held: LoadedModel) -> OnnxModel | None:
    """Return the exported model of the same weights; None where there is none, or ONNX Runtime is missing."""
    shipped = held.folder and Path(held.folder).resolve() == SHIPPED.resolve()
    if not shipped or find_spec("onnxruntime") is None or not (file := cached_file()).is_file():
        return None
    return _loaded(file)


@cache
def _loaded(file: Path) -> OnnxModel:
    return load_file(file)


def quick_reading(model: OnnxModel, windows: Sequence[Window], n_words: int) -> QuickReading:
    """Return what the exported model says of a text's windows; stops where the reader has moved on."""
    depth = model.described.depth
    reads: list[Read] = []
    for window in windows:
        still_wanted()
        reads.append(model.graph.read(window))
    kept = np.zeros((depth + 1, n_words), dtype=bool)  # [L+1,W]
    tokens = np.zeros((depth + 1, len(windows)), dtype=np.int64)  # [L+1,window]
    for column, (window, read) in enumerate(zip(windows, reads, strict=True)):
        for layer in range(depth + 1):
            stays = read.layers >= layer  # [T]
            tokens[layer, column] = stays.sum()
            there = stays & (window.word != OUTSIDE)  # [T]
            kept[layer] |= words_between(window.word[there], window.end[there], n_words)
    scores = word_scores(windows, [read.survived(depth) for read in reads], n_words, "max")
    return QuickReading(np.stack([read.logits for read in reads]), kept, tokens, scores)
