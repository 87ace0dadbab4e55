"""Texts → pieces with `tokenizers` alone, the same as `rationale.text.encode` gets from transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, first_line
from rationale.text.cutting import Pieces, Tokenize
from rationale.text.tokenizer_trial import Trial, check_spec
from rationale.text.windows import OUTSIDE


def tokenizer_of(spec: Mapping[str, Any], path: Path) -> tuple[Tokenize, int]:
    """Return a function that cuts texts into pieces, and the largest id that it may produce.

    Args:
        spec: the content of a tokenizer.json.
        path: the file that contains it.

    Raises:
        InputError: it is not a tokenizer, or nothing bounds it and it cannot read a word within limits.
    """
    text = json.dumps(spec)
    check_spec(spec, text, path)
    from tokenizers import Tokenizer

    try:
        inner = Tokenizer.from_str(text)
    except Exception as error:  # the library raises a bare Exception
        raise InputError(Fault.of(f"its tokenizer cannot be read: {first_line(error)}", path)) from None
    inner.no_truncation()
    inner.no_padding()
    trial = Trial(inner, str(path))

    def tokenize(texts: Sequence[str], seconds: Sequence[str] | None) -> Iterator[Pieces]:
        trial.check([*texts, *(seconds or ())])
        for one, second in zip(texts, seconds or repeat(None), strict=False):
            yield _pieces(inner.encode(one, second))

    return tokenize, max(inner.get_vocab().values(), default=-1)


def _pieces(found: Any) -> Pieces:
    """Return the pieces of one of the library's encodings."""
    side = np.array([OUTSIDE if s is None else s for s in found.sequence_ids], dtype=np.int64)  # [T]
    offsets = np.array(found.offsets, dtype=np.int64).reshape(-1, 2)  # [T,2]
    ids, types = (np.array(numbers, dtype=np.int64) for numbers in (found.ids, found.type_ids))  # [T], [T]
    return Pieces(ids, types, side, offsets, np.array(found.special_tokens_mask, dtype=bool))
