"""What a token-dropping model does to a split: accuracy, tokens at each layer, FLOPs saved.

Axes: B window, b of one batch, L layer, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eraser import Dataset, Fault, InputError
from eraser.progress import progress
from eraser.types import Floats
from rationale.heads import HEADS
from rationale.inference.predict import batches, of_texts
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import drops_tokens
from rationale.models.flops import costs, full_costs, kept_lengths
from rationale.models.packed.encoder import Output
from rationale.models.packed.layers import depth_of
from rationale.text.windows import Window
from rationale.text_classifier import ModelClassifier

HALVINGS, WIDEST = 22, 40.0  # of the search for a factor on thresholds, in natural logarithms: odds are wide
SPEEDUP_TOLERANCE = 0.005  # enough: how far from the wanted speed-up, as a share of it


@dataclass(frozen=True)
class RemovalStats:
    """Accuracy of texts; FLOPs dense / this model; mean tokens each layer [L] worked on."""

    accuracy: float
    speedup: float
    lengths: Floats


@torch.inference_mode()
def run_windows(classifier: ModelClassifier, windows: Sequence[Window]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the answers [B,C] and the tokens each layer worked on [L,B].

    A dense model works on all of them.
    """
    probs = np.empty((len(windows), len(classifier.labels)))  # [B,C]
    layers = depth_of(unwrap(classifier.model))
    kept = np.tile(np.array([len(w) for w in windows]), (layers, 1))  # [L,B]
    for rows, batch in batches(classifier, windows):
        with classifier.autocast():
            output = classifier.model(input_ids=batch.ids, **classifier.inputs(batch))
        probs[rows] = HEADS[classifier.head].answers(output.logits.double().cpu().numpy())  # [b,C]
        if isinstance(output, Output):
            kept[:, rows] = kept_lengths(output)  # [L,b]
    return probs, kept


@dataclass(frozen=True)
class SplitPredictions:
    """What a model says of a split: windows by text, the class of each text, tokens each layer worked on."""

    texts: list[tuple[Window, ...]]
    predicted: NDArray[np.int64]  # [text]
    windows: list[Window]
    kept: NDArray[np.int64]  # [L,B]


def predict_split(classifier: ModelClassifier, dataset: Dataset, split: str) -> SplitPredictions:
    """Predict a split; a text's probabilities are the mean over its windows.

    Raises:
        InputError: the model does not give each text one class, so that accuracy is undefined.
    """
    if HEADS[classifier.head].kind != "class":
        expected = "a model that gives each text one class, for accuracy against speed"
        raise InputError(Fault(expected, f"one with the head {classifier.head}: {list(classifier.labels)}"))
    of = [dataset.text(e) for e in dataset.splits[split]]
    texts = classifier.encoder.encode(of)
    windows = [w for of_text in texts for w in of_text]
    probs, kept = run_windows(classifier, windows)  # [B,C], [L,B]
    return SplitPredictions(texts, of_texts(probs, texts, of).argmax(1), windows, kept)


def measure_removal(classifier: ModelClassifier, dataset: Dataset, split: str) -> RemovalStats:
    """Return the model's accuracy, FLOPs and tokens per layer on a split."""
    found = predict_split(classifier, dataset, split)
    right = [
        classifier.labels[i] == e.label for i, e in zip(found.predicted, dataset.splits[split], strict=True)
    ]
    speedup = speedup_of(classifier, found.windows, found.kept)
    return RemovalStats(float(np.mean(right)), speedup, found.kept.mean(1))


def speedup_of(classifier: ModelClassifier, windows: Sequence[Window], kept: NDArray[np.int64]) -> float:
    """Return FLOPs of the dense model / FLOPs of this one, over all windows."""
    model, lengths = classifier.model, [len(w) for w in windows]
    return float(full_costs(model).dense(lengths).sum() / costs(model).shrinking(lengths, kept).sum())


def scale_thresholds(classifier: ModelClassifier, windows: Sequence[Window], speedup: float) -> float:
    """Multiply all thresholds by one number so that the windows reach a FLOPs speed-up of `speedup`.

    Returns the speed-up reached, which is smaller if thresholds meet their upper limit.
    """
    model = classifier.model
    assert drops_tokens(model)
    trained = model.thresholds  # [L]
    low, high = -WIDEST, WIDEST
    tried: list[tuple[float, float, float]] = []  # how far off, the factor, the speed-up
    for _ in progress(range(HALVINGS), "scale thresholds", "tries"):
        middle = (low + high) / 2
        model.set_thresholds(trained * float(np.exp(middle)))
        reached = speedup_of(classifier, windows, run_windows(classifier, windows)[1])
        tried.append((abs(reached / speedup - 1), float(np.exp(middle)), reached))
        if tried[-1][0] < SPEEDUP_TOLERANCE:
            break
        low, high = (middle, high) if reached < speedup else (low, middle)
    _, factor, reached = min(reversed(tried), key=lambda t: t[0])  # ties go to the last: nearest the limit
    model.set_thresholds(trained * factor)
    return reached
