"""Attribution: which words carried the decision, by the method asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from eraser import Fault, InputError
from eraser.types import Mask
from rationale.asked import Asked
from rationale.attribution.methods import METHODS, Method, fitting, method_named
from rationale.attribution.request import AttributionSettings, Request, usual
from rationale.attribution.words import word_scores
from rationale.heads import check_explain
from rationale.passes import Passes, now
from rationale.predict import DROPPING
from rationale.text import Window, length_batches

__all__ = [
    "METHODS", "Attribution", "AttributionSettings", "Case", "attribute", "check_method", "fitting",
    "method_named", "usual",
]  # fmt: skip

Floats = NDArray[np.float64]
MAX_PIECES = {"cpu": 2 * 512, "cuda": 128 * 512}  # of a gradient batch: small ones stay in caches
MAX_ASKED = 32 * 1024  # words and gaps of texts whose questions a function is asked together


@dataclass(frozen=True)
class Attribution:
    """One score for each word [W]; NaN where no piece was read. `target` is the class explained.

    `own` [W] are the words that a method chose itself. `milliseconds` is the text's share, by pieces,
    of its batches' wall-clock time. `delta` is by how much the scores of a method that promises it miss what
    they should sum to, added up over the text's windows.
    """

    scores: Floats
    target: int
    milliseconds: float
    own: Mask | None = None
    delta: float | None = None


@dataclass(frozen=True)
class Case:
    """One text to explain: its windows, its number of words, the class, a seed for methods that draw."""

    windows: tuple[Window, ...]
    n_words: int
    target: int
    seed: int = 0


def attribute(
    classifier: Asked,
    method: str,
    cases: Sequence[Case],
    settings: AttributionSettings | None = None,
) -> list[Attribution]:
    """Score every word of every text with a method of METHODS, all windows together, longest first.

    Of a token-dropping model, all methods but its own explain the encoder with nothing removed. Where
    `classifier.passes` is given, what an earlier method summarised is not computed again, and its cost is
    counted all the same (not that of `passes.logits`).
    """
    chosen = check_method(classifier, method)
    settings = settings or usual(classifier)
    if faults := settings.faults():
        raise InputError(*faults)
    check_explain(settings.explain, classifier.head)
    classifier = classifier if chosen.adaptive else _shown_whole(classifier)
    pieces, spent, missed = _of_windows(classifier, chosen, cases, settings)
    if bad := [i for i, scores in enumerate(pieces) if not np.isfinite(scores).all()]:
        raise InputError(Fault(f"finite scores from {method}", f"NaN or infinity in {len(bad)} windows"))
    of_windows = iter(pieces)
    bar = None if chosen.own is None else chosen.own(classifier)
    attributions = []
    for case, ms, miss in zip(cases, spent, missed, strict=True):
        of_case = [next(of_windows) for _ in case.windows]
        scores = word_scores(case.windows, of_case, case.n_words, chosen.reduce)
        own = None if bar is None else scores >= bar  # NaN, an unread word, is not chosen
        delta = None if chosen.span is None else float(miss)
        attributions.append(Attribution(scores, case.target, float(ms), own, delta))
    return attributions


def check_method(classifier: Asked, name: str) -> Method:
    """Return the method of that name; refuse one that nobody knows, or that cannot explain the classifier."""
    method, fit = method_named(name), fitting(classifier)
    if method is None:
        raise InputError(Fault(f"a method of {', '.join(fit)}", repr(name)))
    if classifier.opaque and not method.asks:
        expected = f"a method that only asks, for a function of texts: {', '.join(fit)}"
        raise InputError(Fault(expected, repr(name)))
    return method


def _shown_whole(classifier: Asked) -> Asked:
    """Return the classifier with nothing removed; a function is as it is."""
    if classifier.opaque:
        return classifier
    from rationale.hf import without_removal  # a function is explained without Hugging Face's library

    return without_removal(classifier)


def _of_windows(
    classifier: Asked, method: Method, cases: Sequence[Case], settings: AttributionSettings
) -> tuple[list[Floats], Floats, Floats]:
    """Return the piece scores of each window, and for each case the milliseconds and the sum of |delta|."""
    owner = [n for n, case in enumerate(cases) for _ in case.windows]
    flat = [window for case in cases for window in case.windows]
    pieces: list[Floats] = [np.empty(0)] * len(flat)
    spent, missed = np.zeros(len(cases)), np.zeros(len(cases))
    limit = MAX_PIECES.get(classifier.device.type, MAX_PIECES["cpu"])
    limit *= DROPPING if method.adaptive else 1
    limit = MAX_ASKED if classifier.opaque else limit
    passes = classifier.passes or Passes()
    for rows in length_batches([len(w) for w in flat], limit):
        batch = classifier.encoder.collate([flat[i] for i in rows]).to(classifier.device)
        owners = [cases[owner[i]] for i in rows]
        target = torch.tensor([case.target for case in owners], device=classifier.device)
        step_rows = max(1, limit // batch.ids.shape[1])
        request = Request(batch, target, tuple(case.seed for case in owners), settings, step_rows)
        begin, saved = now(), passes.saved
        scores = halving(classifier, method, request).double().cpu().numpy()
        seconds = now() - begin + passes.saved - saved
        span = None if method.span is None else method.span(classifier, request).double().cpu().numpy()
        share = seconds * 1000 / sum(len(flat[i]) for i in rows)
        for row, i in enumerate(rows):
            pieces[i] = scores[row, : len(flat[i])]
            spent[owner[i]] += share * len(flat[i])
            missed[owner[i]] += 0.0 if span is None else abs(scores[row].sum() - span[row])
    return pieces, spent, missed


def halving(classifier: Asked, method: Method, request: Request) -> torch.Tensor:
    """Return the method's piece scores [B,T]; out of memory, do one half after the other."""
    try:
        return method.scores(classifier, request)
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
            raise
        rows = len(request.target)
        if rows == 1 and request.step_rows == 1:
            raise InputError(
                Fault("memory for one window", "out of memory", id=classifier.device.type)
            ) from None
    torch.cuda.empty_cache()
    if rows == 1:
        return halving(classifier, method, replace(request, step_rows=max(1, request.step_rows // 2)))
    half = rows // 2
    parts = [halving(classifier, method, _rows(request, part)) for part in (slice(half), slice(half, None))]
    return torch.cat(parts)


def _rows(request: Request, rows: slice) -> Request:
    batch, target, seeds = request.batch.rows(rows), request.target[rows], request.seeds[rows]
    return replace(request, batch=batch, target=target, seeds=seeds, step_rows=max(1, request.step_rows // 2))
