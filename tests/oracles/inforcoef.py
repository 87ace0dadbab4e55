"""Infor-Coef rewritten slowly from its equations, a number at a time, to be compared with."""

from __future__ import annotations

import math


def x_log(x, y):
    """Return x ln y, 0 where x is 0."""
    return x * math.log(max(y, 1e-12)) if x else 0.0


def bottleneck(layers, real):
    """N and E of layers, each (s [B,T], h [B,T,D]): means over the tokens that are text."""
    size = entropy = 0.0
    for s, states in layers:
        n, of_size, of_entropy = 0, 0.0, 0.0
        for row in range(len(s)):
            for token in range(len(s[row])):
                if not real[row][token]:
                    continue
                n += 1
                keep, state = s[row][token], states[row][token]
                of_size += sum((keep * h) ** 2 for h in state) / len(state)
                of_entropy += x_log(keep, keep) + x_log(1 - keep, 1 - keep)
        size, entropy = size + of_size / n, entropy + of_entropy / n
    return size / len(layers), entropy / len(layers)


def bottleneck_as_released(layers, real):
    """Padding counts; one root over the whole batch; ln(1 - s) is that of the first item of the batch.

    Layers are (own [B,T], h [B,T,D]); s is the product of own over the layers up to here. The logarithms are
    of numbers at least 1e-6 from 0 and 1.
    """
    size, entropy, s = 0.0, 0.0, [[1.0] * len(row) for row in real]
    for own, states in layers:
        s = [[a * b for a, b in zip(x, y, strict=True)] for x, y in zip(s, own, strict=True)]
        squares = of_entropy = 0.0
        for row in range(len(s)):
            for token in range(len(s[row])):
                squares += sum((s[row][token] * h) ** 2 for h in states[row][token])
                keep, first = (min(max(x, 1e-6), 1 - 1e-6) for x in (s[row][token], s[0][token]))
                of_entropy += x_log(keep, keep) + x_log(1 - keep, 1 - first)
        size, entropy = size + math.sqrt(squares), entropy + of_entropy / (len(s) * len(s[0]))
    return size / len(layers), entropy / len(layers)


def attend(query, key, value, passes):
    """One query [d] over keys and values [T,d]: softmax over the keys that pass, and over no others."""
    kept = [j for j, p in enumerate(passes) if p]
    logits = {j: sum(a * b for a, b in zip(query, key[j], strict=True)) / math.sqrt(len(query)) for j in kept}
    top = max(logits.values())
    weights = {j: math.exp(logits[j] - top) for j in kept}
    total = sum(weights.values())
    return [sum(weights[j] / total * value[j][d] for j in kept) for d in range(len(query))]


def nearest_layers(student, teacher):
    """Sum of MSEs of states [layer][P][D]: the last teacher layer takes its nearest student layer first.

    Each takes the nearest of the student's layers that come before the one taken last, and leaves one for
    each teacher layer still to come; of equals the first.
    """
    total, taken = 0.0, len(student)
    for i in range(len(teacher) - 1, -1, -1):
        best, at = math.inf, None
        for j in range(i, taken):
            pairs = [(a, b) for s, t in zip(student[j], teacher[i], strict=True)
                     for a, b in zip(s, t, strict=True)]  # fmt: skip
            error = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
            if error < best:
                best, at = error, j
        total, taken = total + best, at
    return total
