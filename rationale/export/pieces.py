"""Does the tokenizer in an exported file cut texts as the model's own does?

The file holds what stands in tokenizer.json. A tokenizer may have settings beside that, which stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eraser import Fault, InputError, Text
from eraser.errors import short_repr
from rationale.export.graph import metadata
from rationale.hf.classifier import Classifier
from rationale.models.packed.entry import takes_types
from rationale.onnx.pieces import tokenizer_of
from rationale.text.cutting import WindowCutter
from rationale.text.windows import Window

OTHER_PIECES = (
    "the tokenizer has settings beside tokenizer.json, such as split_special_tokens, without which the file "
    "would read other pieces in {}"
)


def check_pieces(classifier: Classifier, texts: Sequence[Text], out: Path) -> None:
    """Refuse a tokenizer that would cut one of the texts, or its own special tokens, otherwise in a file."""
    encoder = classifier.encoder
    probe = " ".join(["a", *encoder.tokenizer.all_special_tokens, "b"])
    tried = [Text.of("special tokens", probe, "whitespace"), *texts]
    in_file = dict(_cutter_in_file(classifier, out).windows(tried))
    typed = takes_types(classifier.model, encoder.tokenizer)
    for place, (text, own) in enumerate(zip(tried, encoder.encode(tried), strict=True)):
        both = zip(own, in_file[place], strict=False)  # of a text that is cut off the model reads less
        if not all(_alike(a, b, typed) for a, b in both):
            raise InputError(Fault.of(OTHER_PIECES.format(short_repr(text.plain[0], 120))))


def _cutter_in_file(classifier: Classifier, out: Path) -> WindowCutter:
    """Return what cuts texts once the model is a file, see `rationale.onnx.model.load_file`."""
    told = metadata(classifier, "float32")
    tokenize, _ = tokenizer_of(told["tokenizer"], out)
    return WindowCutter(tokenize, told["max_length"], told["special"]["start"])


def _alike(one: Window, other: Window, typed: bool) -> bool:
    """Return whether two windows are the same to a model, which may have types of tokens."""
    names = ("ids", "word", "end", *(("types",) if typed else ()))
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
