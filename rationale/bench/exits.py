"""Early exits by different rules on one model: accuracy against FLOPs, over each rule's whole dial.

One pass without early exits records what each layer predicts for each window. The rules are then replayed on
these records, by the same code that stops texts in a real pass. exit_table.py compares rules and times them.

Axes: L layer, B window, N running window, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eraser import Dataset, Fault, InputError
from eraser.types import Mask
from rationale.hf.classifier import Classifier
from rationale.inference.predict import batches, of_texts
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import exits_early, under_exit
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import EXITS, Exit
from rationale.models.flops import costs, full_costs, kept_lengths
from rationale.models.packed.encoder import run_packed
from rationale.text.windows import Window


@dataclass(frozen=True)
class Notes:
    """Each layer's records for a split's windows: y_n [L,B,C], h_n [L,B], number of tokens [L,B]."""

    own: Tensor
    halting: Tensor
    kept: NDArray[np.int64]
    texts: list[tuple[Window, ...]]
    labels: NDArray[np.int64]  # of each text

    @property
    def windows(self) -> list[Window]:
        """The windows of all texts, in order."""
        return [w for windows in self.texts for w in windows]


@dataclass(frozen=True)
class Point:
    """A rule at a dial: its share of the dense model's FLOPs, and which texts it classifies correctly."""

    dial: float
    share: float
    right: Mask
    layers: float  # run, on average

    @cached_property
    def accuracy(self) -> float:
        """The share of texts that are classified correctly."""
        return float(self.right.mean())


def check_exits(classifier: Classifier, name: str) -> None:
    """Refuse a model whose texts never stop early."""
    if not exits_early(classifier.model):
        raise InputError(Fault("a model with a head at each layer", type(classifier.model).__name__, name))


@torch.inference_mode()
def take_notes(classifier: Classifier, dataset: Dataset, split: str) -> Notes:
    """Run every layer on every text of a split, and record the results."""
    model = classifier.model
    assert exits_early(model)
    examples = dataset.examples(split)
    texts = classifier.encoder.encode([dataset.text(e) for e in examples])
    windows = [w for of_text in texts for w in of_text]
    with under_exit(model, "published", dial=0.0):
        found = [_noted(classifier, rows, batch) for rows, batch in batches(classifier, windows)]
    order = torch.tensor([row for rows, *_ in found for row in rows]).argsort()
    own, halting, kept = (torch.cat(part, dim=1)[:, order] for part in list(zip(*found, strict=True))[1:])
    index = {label: i for i, label in enumerate(classifier.labels)}
    labels = np.array([index[e.label] for e in examples])
    return Notes(own, halting, kept.numpy(), texts, labels)


def _noted(classifier: Classifier, rows: list[int], batch: Any) -> tuple[list[int], Tensor, Tensor, Tensor]:
    """Return rows, and for their windows y_n [L,b,C], h_n [L,b] and the number of tokens [L,b]."""
    model: Any = classifier.model
    policy = model.halting_policy()
    weights: list[Tensor] = []
    read = policy.read

    def noting(layer: int, states: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        y, h = read(layer, states, real)  # [b,C], [b]
        weights.append(h)
        return y, h

    policy.read = noting
    with classifier.autocast():
        output = run_packed(unwrap(model), batch.ids, batch.types, batch.real, model.select_tokens, policy)
    kept = torch.from_numpy(kept_lengths(output))  # [L,b]
    return rows, torch.stack(policy.answers).cpu(), torch.stack(weights).cpu(), kept


def play(notes: Notes, rule: Exit, dial: float) -> tuple[NDArray[np.int64], Tensor]:
    """Return the number of layers after which each window stops [B], and its answer [B,C]."""
    layers, count = notes.halting.shape
    at = Accumulator(
        layers, lambda n, running, _: (notes.own[n, running], notes.halting[n, running]), rule, dial
    )
    running = torch.arange(count)  # [N]
    exits = torch.full_like(running, layers)  # [B]
    for layer in range(layers):
        stop = at.should_stop(layer, running, running)
        if stop is not None:
            exits[running[stop]] = layer + 1
            running = running[~stop]
        if not len(running):
            break
    return exits.numpy(), at.answer


def line(classifier: Classifier, notes: Notes, name: str) -> list[Point]:
    """Return a rule of EXITS at all its dials, on one model."""
    model = classifier.model
    assert exits_early(model)
    lengths = [len(w) for w in notes.windows]
    dense, found = full_costs(model).dense(lengths).sum(), []
    rule, layers = EXITS[name], len(notes.halting)
    for dial in rule.dials(layers):
        exits, answer = play(notes, rule, dial)
        kept = notes.kept * (np.arange(layers)[:, None] < exits)  # [L,B]
        with under_exit(model, name, dial):
            share = float(costs(model).shrinking(lengths, kept).sum() / dense)
        right = of_texts(answer.double().numpy(), notes.texts).argmax(1) == notes.labels
        found.append(Point(dial, share, right, float(exits.mean())))
    return found


# Dials are chosen on one split and measured on another

BUDGET_SLACK = 1.01  # costs up to this factor above a budget still meet it: a head costs a few thousandths


def chosen(points: Sequence[Point], budget: float) -> int | None:
    """Return the index of the most accurate point within a share of the dense FLOPs; on ties the cheapest."""
    within = [i for i, p in enumerate(points) if p.share <= BUDGET_SLACK * budget]
    return max(within, key=lambda i: (points[i].accuracy, -points[i].share), default=None)


def commonest(labels: NDArray[np.int64], others: NDArray[np.int64]) -> Mask:
    """Return where the most frequent of `others` is correct: the baseline at no cost."""
    found: Mask = labels == np.bincount(others).argmax()
    return found
