"""Run a classifier over many windows: longest first, in batches of equal work, each window once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from eraser import Fault, InputError
from rationale.hf import Classifier, drops_tokens
from rationale.models.alone import length_matters
from rationale.models.entry import two_stacks
from rationale.text import OUTSIDE, Batch, Window, length_batches

Floats = NDArray[np.float64]
MAX_PIECES = {"cpu": 2 * 512, "cuda": 256 * 512}  # of one padded batch: small ones stay in the caches
DROPPING = 8  # times as many for a model that drops tokens: few are left in its later layers


def batches(classifier: Classifier, windows: Sequence[Window]) -> Iterator[tuple[list[int], Batch]]:
    """Yield (indices into `windows`, batch) in batches of equal work."""
    limit = MAX_PIECES.get(classifier.device.type, MAX_PIECES["cpu"])
    limit *= DROPPING if drops_tokens(classifier) else 1
    asked = [filled(window, classifier.encoder.pad_id) for window in windows]
    for rows in together(classifier, asked, limit):
        yield rows, classifier.encoder.collate([asked[i] for i in rows]).to(classifier.device)


def together(classifier: Classifier, windows: Sequence[Window], max_pieces: int) -> Iterator[list[int]]:
    """Yield indices of windows that may be read as one batch of at most `max_pieces`, longest first.

    Of a model whose answer depends on how long the texts beside it are, only windows of equal length are; of
    two stacks only those with as many end marks, which Hugging Face's heads ask for.
    """
    alike, end = length_matters(classifier), getattr(classifier.model.config, "eos_token_id", None)
    groups: dict[tuple[int, int], list[int]] = {}
    for i, window in enumerate(windows):
        ends = int((window.ids == end).sum()) if two_stacks(classifier.model) else 0
        groups.setdefault((len(window) if alike else 0, ends), []).append(i)
    for _, of_group in sorted(groups.items(), reverse=True):
        for rows in length_batches([len(windows[i]) for i in of_group], max_pieces):
            yield [of_group[row] for row in rows]


def filled(window: Window, pad_id: int) -> Window:
    """Return the window, or one piece of padding that is read where it has none at all.

    That is the empty text of a model whose tokenizer adds no special tokens.
    """
    if len(window):
        return window
    return Window(np.array([pad_id]), np.array([OUTSIDE]), np.array([0]))


def window_logits(classifier: Classifier, windows: Sequence[Window]) -> Floats:
    """Return logits [window, C]; equal windows are read once, those in `passes.logits` not at all."""
    keys = [window.ids.tobytes() + window.types.tobytes() for window in windows]
    kept = None if classifier.passes is None else classifier.passes.logits
    known: dict[bytes, Floats] = {} if kept is None else kept
    new = {key: window for key, window in zip(keys, windows, strict=True) if key not in known}
    known |= zip(new, _read(classifier, list(new.values())), strict=True)  # in place: `passes` keeps them
    return np.stack([known[key] for key in keys]) if keys else np.empty((0, len(classifier.labels)))


@torch.inference_mode()
def _read(classifier: Classifier, windows: Sequence[Window]) -> Floats:
    found = np.empty((len(windows), len(classifier.labels)))
    for rows, batch in batches(classifier, windows):
        with classifier.autocast():
            logits = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits
        found[rows] = logits.double().cpu().numpy()
    return found


def window_probs(classifier: Classifier, windows: Sequence[Window]) -> Floats:
    """Return class probabilities [window, C]."""
    probs: Floats = softmax(window_logits(classifier, windows), axis=-1)
    return probs


def text_probs(classifier: Classifier, texts: Sequence[Sequence[Window]]) -> Floats:
    """Return class probabilities [text, C]: the mean over each text's windows.

    Raises:
        InputError: the model gave a probability that is not a number.
    """
    flat = [w for windows in texts for w in windows]
    probs = window_probs(classifier, flat)
    if not np.isfinite(probs).all():
        raise InputError(Fault("finite logits from the model", "NaN or infinity"))
    return of_texts(probs, texts)


def of_texts(probs: Floats, texts: Sequence[Sequence[Window]]) -> Floats:
    """Return the mean over each text's windows [text, C] of the windows' probabilities, in their order."""
    starts = np.cumsum([0, *map(len, texts)])[:-1]
    counts = np.array([len(t) for t in texts])
    means: Floats = np.add.reduceat(probs, starts, axis=0) / counts[:, None]
    return means
