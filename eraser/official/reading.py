"""What the official scorer reads: gold annotations, lengths of documents, and a file of predictions.

Lines that cannot be parsed are faults; what is wrong with those that can, `check.py` says.
"""

from __future__ import annotations

import gc
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from msgspec import MsgspecError
from msgspec.json import Decoder

from eraser.data.source import Source, check_document, cut_sentences, cut_sentences_of_jsonl, with_strings
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import MAX_BYTES, lines_of, regular
from eraser.official.records import (
    COMP,
    LABEL,
    SCORES,
    SENTENCES,
    SUFF,
    THRESHOLDED,
    TOKENS,
    Numbered,
    Record,
    ScorerInputs,
    rationales_of,
)
from eraser.types import Floats

MAX_FAULTS = 1000  # broken lines of one file, after which no more are read


def read_inputs(
    source: Source, split: str, predictions: Path, labels: Sequence[str] = ()
) -> tuple[ScorerInputs, list[Fault]]:
    """Read everything, with the faults of broken prediction lines; broken gold or documents raise.

    Args:
        source: ERASER-format folder or archive.
        split: name of the gold file without `.jsonl`.
        predictions: file with one prediction a line.
        labels: what the scores of a prediction are of where they are a list.
    """
    gold_name = f"{split}.jsonl"
    gold = [with_strings(record) for record in _read_objects(source, gold_name)]
    records, faults = read_predictions(predictions)
    if labels:
        records = [(line, with_labels(record, labels)) for line, record in records]
    predicted = (r.get("docid") for _, prediction in records for r in rationales_of(prediction))
    lengths = read_lengths(source, {d for d in chain(predicted, _doc_ids_of(gold)) if isinstance(d, str)})
    return ScorerInputs(gold, lengths, records, source.place(gold_name), str(predictions)), faults


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python from looking for cycles: parsed JSON holds none, and each look walks through all of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _doc_ids_of(gold: Iterable[Record]) -> Iterator[Any]:
    """Yield the documents that evidence names, as far as it is well-formed."""
    groups = (g for a in gold if isinstance(a.get("evidences"), list) for g in a["evidences"])
    return (e.get("docid") for g in groups if isinstance(g, list) for e in g if isinstance(e, dict))


def read_predictions(path: Path) -> tuple[list[Numbered], list[Fault]]:
    """Read a .jsonl or .jsonl.gz of predictions: (line number, object) for each line, and broken lines."""
    try:
        with regular(path) as file:
            whole = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            return _parse_lines(_lines(cast(BinaryIO, whole), path), str(path), parse_prediction)
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(Fault("a readable .jsonl or .jsonl.gz file", str(error), path)) from None


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file, ended as in Python's text mode, of at most MAX_BYTES together."""
    read = 0
    for line in lines_of(file, path):
        read += len(line)
        if read > MAX_BYTES:
            raise InputError(Fault.of(f"the file is larger than {MAX_BYTES} bytes", path))
        text = line.decode("utf-8")
        yield from re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text) if "\r" in text else (text,)


def _read_objects(source: Source, name: str) -> list[Record]:
    """Read a .jsonl file of the data set."""
    found, faults = _parse_lines(StringIO(source.text(name)), source.place(name), parse_json)
    if faults:
        raise InputError(*faults)
    return [record for _, record in found]


def _parse_lines(
    lines: Iterable[str], place: str, parse: Callable[[str], Any]
) -> tuple[list[Numbered], list[Fault]]:
    """Parse each line. A blank one is a fault, unlike in `load`: the official scorer ends there."""
    found: list[Numbered] = []
    faults = []
    for number, line in enumerate(lines, start=1):
        try:
            record = parse(line)
        except (ValueError, RecursionError) as error:
            got = str(error) if line.strip() else "a blank line"
            faults.append(Fault("one JSON object", got, place, number))
            if len(faults) > MAX_FAULTS:
                faults[-1] = Fault.of(
                    f"more than {MAX_FAULTS} broken lines; the rest was not read", place, number
                )
                break
            continue
        if isinstance(record, dict):
            found.append((number, record))
        else:
            faults.append(Fault("one JSON object", short_repr(record), place, number))
    return found, faults


def parse_json(line: str) -> Any:
    """Return what `json.loads` returns, by a reader four times as fast of all but odd lines."""
    try:
        return _READER.decode(line)
    except (MsgspecError, UnicodeError, RecursionError):  # NaN, half of a pair of surrogates, or a fault
        return json.loads(line)


_READER = Decoder()


def parse_prediction(line: str) -> Any:
    """Parse a line; soft scores become arrays at once, since a Python object for every number is large."""
    record = parse_json(line)
    if not isinstance(record, dict):
        return record
    for rationale in rationales_of(record):
        for unit in (TOKENS, SENTENCES):
            if isinstance(scores := rationale.get(unit.field), list):
                rationale[unit.field] = _as_array(scores)
    return with_strings(record)


def with_labels(record: Record, labels: Sequence[str]) -> Record:
    """Return a prediction whose lists of scores, one for each label, are objects of label and score.

    A classification that is a whole number and none of the labels is the place of one, from 0.
    """
    label, entries = record.get(LABEL), record.get(THRESHOLDED)
    found = {f: _by_label(v, labels) if f in (SCORES, COMP, SUFF) else v for f, v in record.items()}
    if isinstance(label, str) and label not in labels and label.isdecimal() and int(label) < len(labels):
        found[LABEL] = labels[int(label)]
    if isinstance(entries, list):
        found[THRESHOLDED] = [with_labels(e, labels) if isinstance(e, dict) else e for e in entries]
    return found


def _by_label(scores: Any, labels: Sequence[str]) -> Any:
    """Return scores by label; what is no list of as many is left for `validation.py` to judge."""
    fits = isinstance(scores, list) and len(scores) == len(labels)
    return dict(zip(labels, scores, strict=True)) if fits else scores


def _as_array(scores: list[Any]) -> Floats | list[Any]:
    """Return floats [W], or the list itself where it holds anything else, for `validation.py` to judge."""
    try:
        array = np.array(scores)
    except (ValueError, OverflowError):
        return scores
    return array if array.dtype == np.float64 and array.ndim == 1 else scores


def read_lengths(source: Source, doc_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return how many words each sentence of the named documents has; documents not there are left out."""
    wanted = sorted(set(doc_ids))
    if not source.has("docs.jsonl"):
        texts = {d: source.text(f"docs/{d}") for d in wanted if source.has(f"docs/{d}")}
        return {d: tuple(map(len, cut_sentences(text))) for d, text in texts.items()}
    if (source.path / "docs").exists() or any(source.has(f"docs/{d}") for d in wanted):
        raise InputError(Fault.of("both docs.jsonl and a docs folder are there; remove one", source.path))
    texts = _texts_of_jsonl(source)
    cut = {d: cut_sentences_of_jsonl(texts[d]) for d in wanted if d in texts}
    return {d: tuple(map(len, sentences)) for d, sentences in cut.items()}


def _texts_of_jsonl(source: Source) -> dict[str, str]:
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    for number, record in enumerate(_read_objects(source, "docs.jsonl"), start=1):
        try:
            check_document(record, source.place("docs.jsonl"), number)
        except InputError as error:
            faults += error.faults
        else:
            texts[record["docid"]] = record["document"]
    if faults:
        raise InputError(*faults)
    return texts
