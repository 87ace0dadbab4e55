"""The interface of a classifier for evaluation: a Hugging Face model, or a function of texts.

`rationale.hf.classifier.Classifier` and `rationale.blackbox.BlackBox` implement it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, cast

from eraser import Fault, InputError, Text
from eraser.labels import split_labels
from eraser.types import Floats, Mask
from rationale.heads import HEADS, Head

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch

    from rationale.pass_cache import PassCache
    from rationale.text.encode import Batch, Encoder
    from rationale.text.windows import Window


AnyT = TypeVar("AnyT", bound="TextClassifier")


class TextEncoder(Protocol):
    """Cuts texts into windows of pieces that belong to words, and takes words out of them."""

    @property
    def max_length(self) -> int:
        """The most pieces of a window."""

    @property
    def pad_id(self) -> int:
        """The id that fills a batch."""

    @property
    def mask_id(self) -> int | None:
        """The id that stands for a masked word, where there is one."""

    def encode(self, texts: Sequence[Text]) -> list[tuple[Window, ...]]:
        """Return the windows of each text, at least one each."""

    def remove(
        self, windows: Sequence[Window], removed: Mask, how: Literal["delete", "mask"] = "delete"
    ) -> tuple[Window, ...]:
        """Return the windows without the words where `removed` [W] is True."""

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to the longest of them."""

    def names(self, window: Window) -> list[str]:
        """Return the pieces as they are displayed."""

    def identity(self) -> str:
        """Return a hash of what windows depend on: equal hashes cut texts alike."""


class TextClassifier(Protocol):
    """A classifier as evaluation sees it; a frozen dataclass, so that `replace` makes a changed one."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def model(self) -> Any:
        """What answers."""

    @property
    def encoder(self) -> TextEncoder:
        """What feeds it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its answers, in their order."""

    @property
    def head(self) -> Head:
        """How its output becomes answers: a name of HEADS."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def bf16(self) -> bool:
        """Whether it runs in bf16."""

    @property
    def passes(self) -> PassCache | None:
        """The cache that methods share, if any."""

    @property
    def opaque(self) -> bool:
        """Whether only its answers are available, and not its inside."""

    def read(self, windows: Sequence[Window]) -> Floats:
        """Return the logits [window, C], or a function's answers, of distinct windows."""

    def identity(self) -> str:
        """Return a hash of what its numbers depend on: equal hashes give equal answers."""

    def where(self) -> str:
        """Return device, threads and precision in words, as every timing needs them."""


class ModelClassifier(TextClassifier, Protocol):
    """A classifier whose inside is available: a PyTorch module behind a tokenizer."""

    @property
    def encoder(self) -> Encoder:
        """What feeds it."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which the model runs."""

    def inputs(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the model's keyword arguments for a batch, without the ids."""


def labelled_as(classifier: AnyT, wanted: Sequence[str], where: str | Path) -> AnyT:
    """Return a model with the labels of a data set; a number has none to be compared.

    A model whose labels were never named calls them LABEL_0, LABEL_1, …: where the data set's are 0, 1, …
    they are those.

    Raises:
        InputError: the data set has labels that the model lacks, or the number is called as one of several.
    """
    kind = HEADS[classifier.head].kind
    if kind == "value" and len(set(wanted)) > 1 and (name := classifier.labels[0]) in wanted:
        expected = f"two labels for the model's one logit (such as --labels {','.join(sorted(wanted)[:2])})"
        got = f"one, {name!r}, which is a class of the data set and no name of a number"
        raise InputError(Fault(expected, got, where))
    if kind == "labels":
        wanted = sorted({x for label in wanted for x in split_labels(label)})
    if kind == "value" or set(wanted) <= set(classifier.labels):
        return classifier
    numbers = tuple(map(str, range(len(classifier.labels))))
    if set(wanted) <= set(numbers) and classifier.labels == tuple(f"LABEL_{n}" for n in numbers):
        named: AnyT = replace(cast("Any", classifier), labels=numbers)
        return named
    expected = f"a model with the labels {sorted(wanted)} (or --labels in the order of its logits)"
    raise InputError(Fault(expected, f"{len(classifier.labels)} labels {list(classifier.labels)}", where))
