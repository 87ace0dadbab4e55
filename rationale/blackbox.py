"""A classifier of which only the answers are known: any function of a list of texts.

It runs through the same methods, metrics and reports as a Hugging Face model. Its pieces are words
and the gaps between them, so that words are taken out of the text as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from itertools import groupby
from typing import Any, ClassVar, Literal
from uuid import uuid4

import numpy as np
import torch

from eraser import Fault, InputError, Text
from eraser.errors import short_repr
from eraser.progress import progress
from eraser.types import Floats, Kind, Mask
from rationale.heads import Head
from rationale.inference.predict import BadAnswerError
from rationale.pass_cache import PassCache
from rationale.text.encode import Batch, padded
from rationale.text.windows import OUTSIDE, Window, covers, without

PROBABILITY_TOLERANCE = 1e-3  # how far from 1 probabilities may sum, and from 0 and 1 lie
WHOLE = 2**31  # a text is one window, however long
HEAD_OF: dict[Kind, Head] = {"class": "given", "labels": "given_labels", "value": "value"}
Answer = Callable[[list[str]], Any]  # texts [N] → answers [N,C]


WORD, GAP, EDGE = 0, 1, 2  # types of pieces: the last stands before the first word, or after the last


@dataclass(frozen=True)
class Pieces:
    """Cuts texts into words and gaps, and joins them again: a `TextEncoder` (text_classifier.py).

    A piece's id is a hash of it, the same in every process. `mask` is put in place of masked words.
    """

    mask: str | None = None
    known: dict[int, str] = field(default_factory=dict, repr=False)
    max_length: ClassVar[int] = WHOLE
    pad_id: ClassVar[int] = 0

    @property
    def mask_id(self) -> int | None:
        """The id of the mask, where there is one."""
        return None if self.mask is None else self._id(self.mask)

    def identity(self) -> str:
        """Return what windows depend on: the mask alone."""
        return repr(self.mask)

    def encode(self, texts: Sequence[Text]) -> list[tuple[Window, ...]]:
        """Return each text as one window.

        Raises:
            InputError: a text without words, or with a query beside it.
        """
        for text in texts:
            if not any(text.words):
                raise InputError(Fault.of("the text has no words", id=text.example_id))
            if text.query is not None or text.second is not None:
                expected = "a text without a query: a function reads one string"
                query = text.query if text.second is None else text.sides[0][0]
                raise InputError(Fault(expected, short_repr(query), id=text.example_id))
        return [(self.window(*text.plain),) for text in texts]

    def window(self, string: str, spans: Sequence[tuple[int, int]]) -> Window:
        """Return a text whose words are these characters [start, end), in order."""
        found: list[tuple[str, int, int]] = []
        before = 0
        for word, (start, end) in enumerate(spans):
            found += [(string[before:start], OUTSIDE, GAP if word else EDGE), (string[start:end], word, WORD)]
            before = end
        found.append((string[before:], OUTSIDE, EDGE))
        ids, words, types = zip(*((self._id(s), w, t) for s, w, t in found if s), strict=True)
        ends = [OUTSIDE if word == OUTSIDE else word + 1 for word in words]
        return Window(*(np.array(x, dtype=np.int64) for x in (ids, words, types, ends)))

    def _id(self, piece: str) -> int:
        hash = blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8)
        found = int.from_bytes(hash.digest()) >> 1  # an int64 of at least 0
        if self.known.setdefault(found, piece) != piece:
            raise ValueError(f"two pieces of one hash: {piece!r}, {self.known[found]!r}")
        return found

    def remove(
        self, windows: Sequence[Window], removed: Mask, how: Literal["delete", "mask"] = "delete"
    ) -> tuple[Window, ...]:
        """Return the windows without the words where `removed` [W] is True, or with the mask for each.

        Raises:
            InputError: nothing was given to put in their place.
        """
        if how == "delete":
            return tuple(without(w, removed) for w in windows)
        if self.mask_id is None:
            raise InputError(Fault.of("masking words needs a text to put in their place (--mask)"))
        return tuple(replace(w, ids=np.where(covers(w, removed), self.mask_id, w.ids)) for w in windows)

    def text(self, window: Window) -> str:
        """Return what a window says; where words are gone one gap is left, and none at the edges."""
        pieces = [(self.known[int(id)], int(t)) for id, t in zip(window.ids, window.types, strict=True)]
        runs = [(word, list(run)) for word, run in groupby(pieces, key=lambda piece: piece[1] == WORD)]
        inner = range(1, len(runs) - 1)
        return "".join(
            "".join(s for s, _ in run) if word else _gap(run, i in inner)
            for i, (word, run) in enumerate(runs)
        )

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to the longest of them."""
        return padded(windows, self.pad_id)

    def names(self, window: Window) -> list[str]:
        """Return the pieces as they are."""
        return [self.known[int(id)] for id in window.ids]


def _gap(run: list[tuple[str, int]], inner: bool) -> str:
    """Return what is left of gaps that words stood between: the first; at an edge what stood there before.

    What is more than white space stays: it belongs to no word.
    """
    kept = [s for s, type in run if type == EDGE or s.strip()]
    return "".join(kept) if kept or not inner else run[0][0]


@dataclass(frozen=True)
class BlackBox:
    """A function in the place of a Hugging Face model: a `TextClassifier` (text_classifier.py).

    `version` is what its answers depend on: cached answers of the same version are not asked again.
    `batch_size` is the largest number of texts per call; `None` sends all at once.
    """

    model: Answer
    encoder: Pieces
    labels: tuple[str, ...]
    head: Head
    name: str
    version: str
    batch_size: int | None = None
    passes: PassCache | None = None
    bf16: ClassVar[bool] = False
    opaque: ClassVar[bool] = True

    @property
    def device(self) -> torch.device:
        """Where scores are computed; the function itself runs anywhere."""
        return torch.device("cpu")

    def read(self, windows: Sequence[Window]) -> Floats:
        """Return the answers [window, C]; equal texts are asked once."""
        texts = [self.encoder.text(window) for window in windows]
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        lists = list(self._lists(list(place)))
        found = np.concatenate([self._ask(part) for part in progress(lists, "ask", "batches")])
        answers: Floats = found[[place[text] for text in texts]]
        return answers

    def _lists(self, texts: list[str]) -> Iterator[list[str]]:
        size = self.batch_size or len(texts)
        return (texts[i : i + size] for i in range(0, len(texts), size))

    def _ask(self, texts: list[str]) -> Floats:
        """Return the function's answers [N,C].

        Raises:
            InputError: it fails, or returns something else than the promised array.
        """
        try:
            answer = self.model(texts)
            found = np.asarray(answer, dtype=np.float64)
        except Exception as error:  # of foreign code, or of what it returns
            line = (str(error).splitlines() or [""])[0]
            expected = f"an array of numbers for {len(texts)} texts"
            raise InputError(Fault(expected, f"{type(error).__name__}: {line}", self.name)) from None
        if found.shape != (shape := (len(texts), len(self.labels))):
            columns = ", ".join(self.labels)
            expected = f"outputs of shape {list(shape)}, one row per text, one column per label ({columns})"
            raise InputError(Fault(expected, f"shape {list(found.shape)}", self.name))
        self._check(found, texts)
        return found

    def _check(self, found: Floats, texts: list[str]) -> None:
        rules = [(np.isfinite(found).all(1), "finite numbers")]
        if self.head != "value":
            inside = ((found >= -PROBABILITY_TOLERANCE) & (found <= 1 + PROBABILITY_TOLERANCE)).all(1)
            rules.append((inside, "probabilities from 0 to 1"))
        if self.head == "given":
            sums = np.abs(found.sum(1) - 1) <= PROBABILITY_TOLERANCE
            rules.append(
                (sums, f"probabilities that sum to 1 in each row (within {PROBABILITY_TOLERANCE:g})")
            )
        for holds, expected in rules:
            if not holds.all():
                row = int((~holds).argmax())
                numbers = ", ".join(f"{x:.4g}" for x in found[row][:4]) + ", …" * (len(self.labels) > 4)  # noqa: PLR2004
                got = f"{numbers} in row {row}, of the text {short_repr(texts[row])}"
                raise BadAnswerError(texts[row], self.encoder.text, Fault(expected, got, self.name))

    def identity(self) -> str:
        """Return a hash of the version, and of how answers are read."""
        told = repr((self.version, self.labels, self.head))
        return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def where(self) -> str:
        """Return that a function was asked."""
        return f"the function {self.name}"


def from_callable(  # noqa: PLR0913 (what is known of a function)
    predict_proba: Answer,
    labels: Sequence[str],
    *,
    kind: Kind = "class",
    mask: str | None = None,
    batch_size: int | None = None,
    version: str | None = None,
) -> BlackBox:
    """Return a function as a classifier for `explain`, `evaluate` and `attribute`.

    Args:
        predict_proba: list of N texts → array [N,C] of probabilities; all that is to be asked in one call,
            each text once. Whatever it needs (batches, a cache, new tries) is its own.
        labels: the columns' names.
        kind: `class`: rows sum to 1. `labels`: each label has a probability of its own. `value`: one column,
            a number.
        mask: put in place of a word where words are masked, not deleted.
        batch_size: the most texts of a call.
        version: what the answers depend on, in your words; of a run with the same version what is on disk
            is not asked again. Default: nothing on disk is taken for this function's.

    Raises:
        InputError: labels that do not differ, or other settings that cannot be used.
    """
    names = tuple(map(str, labels))
    rules = [
        (callable(predict_proba), "a function of a list of texts", type(predict_proba).__name__),
        (len(set(names)) == len(names), "each label once", short_repr(list(names), 100)),
        (kind in HEAD_OF, f"a kind of {', '.join(HEAD_OF)}", repr(kind)),
        (kind != "class" or len(names) > 1, "at least two classes", str(len(names))),
        (kind != "labels" or bool(names), "at least one label", "none"),
        (kind != "value" or len(names) == 1, "one name of a number", str(len(names))),
        (batch_size is None or batch_size >= 1, "a batch_size of at least 1", str(batch_size)),
        (mask is None or bool(mask.strip()), "a mask that can be seen", repr(mask)),
    ]
    if faults := [Fault(expected, got) for holds, expected, got in rules if not holds]:
        raise InputError(*faults)
    name = getattr(predict_proba, "__qualname__", type(predict_proba).__name__)
    told = uuid4().hex if version is None else version
    return BlackBox(predict_proba, Pieces(mask), names, HEAD_OF[kind], name, told, batch_size)
