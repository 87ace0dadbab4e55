"""Run a classifier over many windows: longest first, in batches of equal work, each window once.

Axes: B window, b of one batch, T token, C class or logit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from eraser import Fault, InputError, Text
from eraser.progress import progress
from eraser.types import Floats
from rationale.heads import HEADS
from rationale.inference.capabilities import drops_tokens
from rationale.text.encode import Batch
from rationale.text.windows import Window, length_batches
from rationale.text_classifier import ModelClassifier, TextClassifier

PIECES = {  # of one padded batch: on a processor small ones stay in its caches
    "forward": {"cpu": 2 * 512, "cuda": 256 * 512},
    "backward": {"cpu": 2 * 512, "cuda": 128 * 512},  # activations are held for the gradient
}
DROPPING = 8  # times as many for a model that drops tokens: few are left in its later layers


class BadAnswerError(InputError):
    """A function's answer to a text, which cannot be used; `read` turns a window into its text."""

    def __init__(self, text: str, read: Callable[[Window], str], fault: Fault) -> None:
        self.text, self.read = text, read
        super().__init__(fault)

    def named(self, texts: Sequence[Sequence[Window]], of: Sequence[Text | None]) -> InputError:
        """Return the same error with the id of the text, if that is known."""
        for text, windows in zip(of, texts, strict=False):
            if text is not None and any(self.read(w) == self.text for w in windows):
                return InputError(*(replace(f, line=text.line, id=text.example_id) for f in self.faults))
        return InputError(*self.faults)


def piece_budget(device: torch.device, purpose: Literal["forward", "backward"]) -> int:
    """Return how many pieces, padding included, one batch may hold."""
    return PIECES[purpose].get(device.type, PIECES[purpose]["cpu"])


def batches(classifier: ModelClassifier, windows: Sequence[Window]) -> Iterator[tuple[list[int], Batch]]:
    """Yield (indices into `windows`, batch) in batches of equal work."""
    limit = piece_budget(classifier.device, "forward")
    limit *= DROPPING if drops_tokens(classifier) else 1
    groups = list(together(classifier, windows, limit))
    for rows in progress(groups, "predict", "batches"):
        yield rows, classifier.encoder.collate([windows[i] for i in rows]).to(classifier.device)


def together(classifier: TextClassifier, windows: Sequence[Window], max_pieces: int) -> Iterator[list[int]]:
    """Yield indices of windows that may be read as one batch of at most `max_pieces`, longest first.

    If answers depend on the lengths of the texts beside them, these are windows of equal length; of models
    with two stacks, windows with the same number of end marks, as Hugging Face's heads require.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for i, window in enumerate(windows):
        groups.setdefault((0, 0) if classifier.opaque else _alike(classifier, window), []).append(i)
    for _, of_group in sorted(groups.items(), reverse=True):
        for rows in length_batches([len(windows[i]) for i in of_group], max_pieces):
            yield [of_group[row] for row in rows]


def _alike(classifier: Any, window: Window) -> tuple[int, int]:
    """Return what the windows of one batch must share: length and end marks, if these matter."""
    from rationale.models.packed.alone import length_matters
    from rationale.models.packed.entry import two_stacks

    end = getattr(classifier.model.config, "eos_token_id", None)
    ends = int((window.ids == end).sum()) if two_stacks(classifier.model) else 0
    return len(window) if length_matters(classifier) else 0, ends


def window_logits(classifier: TextClassifier, windows: Sequence[Window]) -> Floats:
    """Return logits [B,C]; equal windows are read once, those in `passes.logits` not at all."""
    keys = [window.ids.tobytes() + window.types.tobytes() for window in windows]
    kept = None if classifier.passes is None else classifier.passes.logits
    known: dict[bytes, Floats] = {} if kept is None else kept
    new = {key: window for key, window in zip(keys, windows, strict=True) if key not in known}
    if new:
        found = classifier.read(list(new.values()))  # [new B,C]
        known |= zip(new, found, strict=True)  # in place: `passes` keeps them
    return np.stack([known[key] for key in keys]) if keys else np.empty((0, len(classifier.labels)))  # [B,C]


@torch.inference_mode()
def read_model(classifier: ModelClassifier, windows: Sequence[Window]) -> Floats:
    """Return logits [B,C], at least one window, in batches of equal work."""
    found: list[Floats] = [np.empty(0)] * len(windows)
    for rows, batch in batches(classifier, windows):
        with classifier.autocast():
            logits = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits  # [b,C]
        for row, of_window in zip(rows, logits.double().cpu().numpy(), strict=True):
            found[row] = of_window
    return np.stack(found)  # [B,C]


def window_probs(classifier: TextClassifier, windows: Sequence[Window]) -> Floats:
    """Return the answers [B,C]: probabilities, or a number."""
    return HEADS[classifier.head].answers(window_logits(classifier, windows))  # [B,C]


def text_probs(
    classifier: TextClassifier, texts: Sequence[Sequence[Window]], of: Sequence[Text | None] = ()
) -> Floats:
    """Return the answers [text,C], probabilities or a number: the mean over each text's windows.

    Args:
        classifier: what is asked.
        texts: the windows of each.
        of: the texts themselves; an error names the first whose answers are not finite.

    Raises:
        InputError: the model gave NaN or infinity.
    """
    flat = [w for windows in texts for w in windows]
    try:
        return of_texts(window_probs(classifier, flat), texts, of)
    except BadAnswerError as error:
        raise error.named(texts, of) from None


def check_finite(expected: str, found: Sequence[Floats] | Floats, of: Sequence[Text | None]) -> None:
    """Refuse numbers [B,…] that are not finite; the error names the first such text.

    Args:
        expected: what they should be.
        found: those of each window.
        of: the text of each window, where it is known.

    Raises:
        InputError: some are NaN or infinite.
    """
    bad = [i for i, numbers in enumerate(found) if not np.isfinite(numbers).all()]
    if not bad:
        return
    got, text = "NaN or infinity", of[bad[0]]
    raise InputError(Fault(expected, got) if text is None else text.fault(expected, got))


def of_texts(probs: Floats, texts: Sequence[Sequence[Window]], of: Sequence[Text | None] = ()) -> Floats:
    """Return the mean over each text's windows [text,C] of the windows' probabilities, in their order.

    Raises:
        InputError: some are not finite, see `text_probs`.
    """
    named = of or [None] * len(texts)
    owners = [text for text, windows in zip(named, texts, strict=True) for _ in windows]
    check_finite("finite logits from the model", probs, owners)
    starts = np.cumsum([0, *map(len, texts)])[:-1]  # [text]
    counts = np.array([len(t) for t in texts])  # [text]
    means: Floats = np.add.reduceat(probs, starts, axis=0) / counts[:, None]  # [text,C]
    return means
