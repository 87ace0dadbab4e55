"""The metadata of an exported file. The file is untrusted input, so each field is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from eraser.errors import Fault, InputError, short_repr
from rationale.heads import Head
from rationale.settings import LongTexts

KEY = "rationale"  # of the metadata
VERSION = 1  # of their content
OPSET = 20  # of the graph: the first with GELU as one operator
FOREIGN = "no file of `rationale export`"
LONGEST = 2**20  # pieces of a window


@dataclass(frozen=True)
class Described:
    """How an exported model is called and its output read: see `rationale.hf.classifier.Classifier`.

    `depth` is its number of layers, `adaptive` whether it drops tokens, `start` the id that stands for an
    empty text, `tokenizer` the content of its tokenizer.json.
    """

    labels: tuple[str, ...]
    head: Head
    max_length: int
    long_texts: LongTexts
    depth: int
    adaptive: bool
    precision: str
    model: str
    tokenizer: Mapping[str, Any]
    start: int


def _names(value: Any) -> bool:
    names = isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
    return names and len(set(value)) == len(value)


def _number(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _one_of(names: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


HEADS_OF_MODELS = tuple(head for head in get_args(Head) if not head.startswith("given"))
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "labels": (_names, "a list of different names"),
    "head": (_one_of(HEADS_OF_MODELS), f"one of {', '.join(HEADS_OF_MODELS)}"),
    "max_length": (_number(1, LONGEST), "a whole number above 0"),
    "long_texts": (_one_of(get_args(LongTexts)), f"one of {', '.join(get_args(LongTexts))}"),
    "depth": (_number(1, LONGEST), "a whole number above 0"),
    "adaptive": (lambda value: isinstance(value, bool), "true or false"),
    "precision": (lambda value: isinstance(value, str), "a name"),
    "model": (lambda value: isinstance(value, str), "a hash"),
    "tokenizer": (lambda value: isinstance(value, dict), "an object"),
    "special": (
        lambda value: isinstance(value, dict) and _number(0, 2**31)(value.get("start")),
        'an object with the id "start"',
    ),
}  # field → (check, what is expected)


def read_description(metadata: Mapping[str, str], path: Path) -> Described:
    """Return the description of an exported file.

    Raises:
        InputError: `rationale export` did not write the file, its version is different, or a field is wrong.
    """
    if KEY not in metadata:
        raise InputError(Fault.of(FOREIGN, path))
    try:
        found = json.loads(metadata[KEY])
    except (ValueError, RecursionError):
        raise InputError(Fault.of(f"{FOREIGN}: its metadata are not JSON", path)) from None
    if not isinstance(found, dict):
        raise InputError(Fault.of(f"{FOREIGN}: its metadata are no object", path))
    if found.get("version") != VERSION:
        got = short_repr(found.get("version"))
        raise InputError(Fault(f"version {VERSION} of what `rationale export` writes", got, path))
    bad = [
        Fault(f"{name} in the metadata: {what}", short_repr(found.get(name)), path)
        for name, (holds, what) in FIELDS.items()
        if not holds(found.get(name))
    ]
    if bad:
        raise InputError(*bad)
    taken = {name: found[name] for name in FIELDS if name not in ("labels", "special")}
    return Described(labels=tuple(found["labels"]), start=found["special"]["start"], **taken)
