"""The weight of each class in the task loss, and the number of its texts in train.

Axes: B text of a batch, C class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eraser import Dataset, Fault, InputError
from eraser.errors import short_repr
from eraser.progress import say
from rationale.training.settings import BALANCED, ClassWeights

TOLD = 20  # classes that are named


def weights_of(wanted: ClassWeights, dataset: Dataset) -> tuple[float, ...] | None:
    """Return the weight of each class [C], in the order of the data set's labels; None where all weigh 1.

    `balanced` is n / (C · n of the class) over the texts of train, as in scikit-learn: every class then has
    the same total weight, and the mean weight is 1.

    Raises:
        InputError: there are more or fewer weights than classes, or a class to be balanced has no text.
    """
    labels = dataset.labels
    if wanted is None:
        return None
    if wanted != BALANCED:
        if len(wanted) != len(labels):
            names = ", ".join(short_repr(label) for label in labels[:TOLD])
            expected = f"a class weight for each of {len(labels)} labels ({names}, in this order)"
            raise InputError(Fault(expected, str(len(wanted)), dataset.source))
        return tuple(map(float, wanted))
    counts = _counts(dataset)
    if missing := [label for label, count in counts.items() if not count]:
        message = f"no text of train has the label {short_repr(missing[0])}: its class cannot be balanced"
        message += "; give numbers instead, --class-weights 1,2"
        raise InputError(Fault.of(message, dataset.source))
    return tuple(sum(counts.values()) / (len(labels) * count) for count in counts.values())


def _counts(dataset: Dataset) -> dict[str, int]:
    """Return how many texts of train each label has."""
    found = Counter(example.label for example in dataset.splits["train"])
    return {label: found[label] for label in dataset.labels}


def say_balance(dataset: Dataset, weights: Sequence[float] | None) -> None:
    """Print in one line each class's number of texts in train, their share, and its weight."""
    counts = _counts(dataset)
    n = sum(counts.values())
    each = [f"{label} {count:,} ({count / n:.1%})" for label, count in counts.items()]
    if weights is not None:
        each = [f"{text}, weight {w:.4g}" for text, w in zip(each, weights, strict=True)]
    more = f"; and {len(each) - TOLD} more classes" if len(each) > TOLD else ""
    say(f"train: {n:,} texts; {'; '.join(each[:TOLD])}{more}")


def as_tensor(weights: Sequence[float] | None, device: torch.device) -> Tensor | None:
    """Return the weights [C] on a device."""
    return None if weights is None else torch.tensor(weights, device=device)


def in_order(
    weights: Sequence[float] | None, dataset: Dataset, labels: Sequence[str]
) -> tuple[float, ...] | None:
    """Return the weights [C] in the order of a model's labels, which need not be the data set's."""
    return None if weights is None else tuple(weights[dataset.labels.index(label)] for label in labels)


def by_label(weights: Sequence[float] | None, dataset: Dataset) -> dict[str, Any]:
    """Return what a model's record says of the weights: nothing where there are none."""
    if weights is None:
        return {}
    return {"class_weights": dict(zip(dataset.labels, weights, strict=True))}


def weighted(
    loss: Callable[..., Tensor], predicted: Tensor, labels: Tensor, classes: Tensor | None
) -> Tensor:
    """Return the mean of a loss of predictions [B,C] and labels [B], each weighed by its class [C].

    The sum is divided by B, as in AdapLeR's released code, and not by the sum of weights, as in PyTorch, so
    that micro-batches add up to their batch.
    """
    if classes is None:
        return loss(predicted, labels)
    return loss(predicted, labels, classes, reduction="sum") / len(labels)
