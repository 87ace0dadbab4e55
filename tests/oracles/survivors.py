"""Survivor scores and contributions, piece by piece."""

from __future__ import annotations

import torch


def alone(classifier, window):
    """Return for each layer who was kept and the scores, of one window run by itself."""
    ids, types = torch.tensor(window.ids)[None], torch.tensor(window.types)[None]
    with torch.no_grad():
        output = classifier.model(ids, None, types)
    return [(layer.kept[0].tolist(), layer.contribution[0].tolist()) for layer in output.trace]


def slow_survivors(classifier, window):
    of_layers, found = alone(classifier, window), []
    for piece in range(len(window)):
        layers, last = 0, 0.0
        for kept, scores in of_layers:
            last = scores[piece]
            if not kept[piece]:
                break
            layers += 1
        found.append(layers + min(last, 1 - 1e-6))
    return found


def slow_contribution(classifier, window):
    """A piece that is gone counts as 0 in the layers that it no longer reaches."""
    layers = alone(classifier, window)
    found = []
    for piece in range(len(window)):
        total = 0.0
        for i, (_, scores) in enumerate(layers):
            if all(kept[piece] for kept, _ in layers[:i]):
                total += scores[piece]
        found.append(total / len(layers))
    return found
