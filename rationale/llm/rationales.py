"""The words that methods picked, out of a run's predictions or of explanations files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import lines_of, regular
from eraser.types import Mask, Text
from rationale.evaluation.stored.run_folder import own_file
from rationale.explanations.read import read_explanations
from rationale.explanations.stored import hash_of_words

PREDICTIONS = "predictions"
MOST_LINE = 2**26  # bytes
Rationales = dict[str, dict[str, Mask]]  # method → id → the words it picked [W]


def of_run(folder: Path, texts: Mapping[str, Text]) -> Rationales:
    """Return what each method of a run picked at its first rationale length.

    Raises:
        InputError: it has no predictions, or some of other texts.
    """
    files = sorted((folder / PREDICTIONS).glob("*.jsonl"))
    if not files:
        expected = "a run of `rationale evaluate` with predictions (of texts whose words annotators marked)"
        raise InputError(Fault(expected, "none", folder))
    own = [path for file in files if (path := own_file(folder, f"{PREDICTIONS}/{file.name}")) is not None]
    return {file.stem: dict(_of_file(file, texts)) for file in own}


def of_explanations(files: Sequence[Path], texts: Mapping[str, Text]) -> Rationales:
    """Return the words that explanations made elsewhere picked.

    Raises:
        InputError: some only rank words, or are of other texts.
    """
    found: Rationales = {}
    for file in files:
        method = read_explanations(file)
        if not method.chooses:
            expected = "explanations that pick words (evaluate makes rationales of scores: --run)"
            raise InputError(Fault(expected, "scores alone", file))
        if method.method in found:
            raise InputError(Fault.of(f"a second explanations file has the name {method.name}", file))
        of_method = found[method.method] = {}
        for id, one in method.examples.items():
            if id in texts and one.text_hash != hash_of_words(texts[id].words):
                message = "the explanation is of other words than the data set's"
                raise InputError(Fault.of(message, file, id=id))
            if id in texts and one.selected is not None:
                of_method[id] = one.selected
    return found


def common(rationales: Rationales) -> set[str]:
    """Return the ids of which every method has a rationale."""
    first, *others = rationales.values()
    return set(first).intersection(*others)


def _of_file(file: Path, texts: Mapping[str, Text]) -> Iterator[tuple[str, Mask]]:
    with regular(file) as opened:
        for number, line in enumerate(lines_of(opened, file, MOST_LINE), start=1):
            try:
                row = json.loads(line)
                id = str(row["annotation_id"])
                text = texts.get(id)
                selected = None if text is None else _picked(row["rationales"], text)
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                got = f"{type(error).__name__}: {short_repr(str(error))}"
                raise InputError(
                    Fault("a prediction for a text of the data set", got, file, number)
                ) from None
            if selected is None:
                raise InputError(Fault("an id of the data set's split", short_repr(id), file, number))
            yield id, selected


def _picked(rationales: Sequence[Mapping[str, Any]], text: Text) -> Mask:
    """Return the words [W] in the spans of a prediction."""
    selected = np.zeros(len(text.words), dtype=bool)
    for of_document in rationales:
        begin = text.doc_starts[of_document["docid"]]
        for span in of_document["hard_rationale_predictions"]:
            start, end = begin + span["start_token"], begin + span["end_token"]
            if not begin <= start < end <= len(selected):
                raise ValueError(f"a span from {start} to {end} of {len(selected)} words")
            selected[start:end] = True
    return selected
