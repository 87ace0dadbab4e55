"""Batches of sequences of several lengths."""

from __future__ import annotations

import torch

PAD = 0


def batch(lengths, side="right", seed=0):
    width = max(lengths) + 2
    ids = torch.full((len(lengths), width), PAD)
    real = torch.zeros_like(ids, dtype=torch.bool)
    for row, n in enumerate(lengths):
        at = slice(0, n) if side == "right" else slice(width - n, width)
        ids[row, at] = torch.randint(5, 1400, (n,), generator=torch.Generator().manual_seed(seed + n))
        real[row, at] = True
    return ids, real


LENGTHS = (17, 9, 1, 30, 2)


def kept_words(output, row, real):
    """For each layer the kept places of a row, counted from its first real token."""
    start = int(real[row].nonzero()[0])
    return [(layer.kept[row].nonzero()[:, 0] - start).tolist() for layer in output.trace]
