"""A method over many windows: longest first, in batches that fit, halved when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from eraser import Fault, InputError, Text
from eraser.progress import progress
from eraser.types import Floats
from rationale.attribution.methods import Method
from rationale.attribution.request import AttributionBatch
from rationale.inference.predict import DROPPING, piece_budget, together
from rationale.pass_cache import PassCache, now
from rationale.settings import AttributionSettings
from rationale.text.windows import Window
from rationale.text_classifier import TextClassifier

MAX_ASKED = 32 * 1024  # words and gaps of texts whose questions a function is asked together


@dataclass(frozen=True)
class AttributionInput:
    """One text to explain: its windows, its number of words, the class, a seed for methods that sample.

    `of` is the text itself, which an error names if its scores are not finite.
    """

    windows: tuple[Window, ...]
    n_words: int
    target: int
    seed: int = 0
    of: Text | None = None


def piece_scores(
    classifier: TextClassifier,
    method: Method,
    cases: Sequence[AttributionInput],
    settings: AttributionSettings,
    name: str = "attribute",
) -> tuple[list[Floats], Floats, Floats]:
    """Return the piece scores of each window, and for each case the milliseconds and the sum of |delta|.

    `name` is what progress calls it.
    """
    owner = [n for n, case in enumerate(cases) for _ in case.windows]
    flat = [window for case in cases for window in case.windows]
    pieces: list[Floats] = [np.empty(0)] * len(flat)
    spent, deltas = np.zeros(len(cases)), np.zeros(len(cases))
    limit = piece_budget(classifier.device, "backward")
    limit *= DROPPING if method.adaptive else 1
    limit = MAX_ASKED if classifier.opaque else limit
    passes = classifier.passes or PassCache(device=classifier.device)
    groups = list(together(classifier, flat, limit))
    for rows in progress(groups, name, "batches"):
        batch = classifier.encoder.collate([flat[i] for i in rows]).to(classifier.device)
        owners = [cases[owner[i]] for i in rows]
        target = torch.tensor([case.target for case in owners], device=classifier.device)
        step_rows = max(1, limit // batch.ids.shape[1])
        request = AttributionBatch(batch, target, tuple(case.seed for case in owners), settings, step_rows)
        begin, saved = now(classifier.device), passes.saved
        scores = halving(classifier, method, request).double().cpu().numpy()
        seconds = now(classifier.device) - begin + passes.saved - saved
        sums = (
            None
            if method.expected_sum is None
            else method.expected_sum(classifier, request).double().cpu().numpy()
        )
        share = seconds * 1000 / sum(len(flat[i]) for i in rows)
        for row, i in enumerate(rows):
            pieces[i] = scores[row, : len(flat[i])]
            spent[owner[i]] += share * len(flat[i])
            deltas[owner[i]] += 0.0 if sums is None else abs(scores[row].sum() - sums[row])
    return pieces, spent, deltas


def halving(classifier: TextClassifier, method: Method, request: AttributionBatch) -> torch.Tensor:
    """Return the method's piece scores [B,T]; if memory runs out, one half after the other."""
    try:
        return method.scores(classifier, request)
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
            raise
        rows = len(request.target)
        if rows == 1 and request.step_rows == 1:
            raise InputError(Fault.of(_remedy(classifier.device.type))) from None
    torch.cuda.empty_cache()
    if rows == 1:
        return halving(classifier, method, replace(request, step_rows=max(1, request.step_rows // 2)))
    half = rows // 2
    parts = [halving(classifier, method, _rows(request, part)) for part in (slice(half), slice(half, None))]
    return torch.cat(parts)


def _remedy(device: str) -> str:
    """Return what to do where one window is too much."""
    found = f"out of memory on {device} for a single window: shorten windows with --max-length"
    return found if device == "cpu" else f"{found}, or use --precision bf16 or --device cpu"


def _rows(request: AttributionBatch, rows: slice) -> AttributionBatch:
    batch, target, seeds = request.batch.rows(rows), request.target[rows], request.seeds[rows]
    return replace(request, batch=batch, target=target, seeds=seeds, step_rows=max(1, request.step_rows // 2))
