"""Predictions → the official ERASER JSON lines, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from zlib import crc32

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.spans import Span, cut_at, runs
from eraser.types import Example, Floats, Prediction, Text
from eraser.words import Spans

HOST = f"{crc32(gethostname().encode()):08x}"  # in the names of files that are being written


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` to write to, then rename it; a failure leaves nothing behind.

    What is written for a device or a FIFO goes through it.

    Raises:
        InputError: it cannot be written, or is a link: it would be gone, or its target overwritten unasked.
    """
    if _passes_on(path):
        with _through(path) as partial:
            yield partial
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}-{HOST}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left(path.parent, path.name)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        at = Path(error.filename or partial)
        if at not in (partial, *path.parents) and partial not in at.parents:
            raise  # of something else that was done meanwhile
        raise InputError(Fault.of(_why(error), path)) from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _why(error: OSError) -> str:
    """Return why a file could not be written, its folder having been made first."""
    if error.errno == errno.ENOENT:
        return "cannot write: its folder vanished during the work; run it again"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{'the disk is full' if full else 'cannot write'}: {error.strerror or error}"


def _passes_on(path: Path) -> bool:
    """Return whether a path is a device or a FIFO, or leads to one."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:  # nothing is there, or a link to nothing
        kind = 0
    if kind in (stat.S_IFCHR, stat.S_IFIFO):
        return True
    if path.is_symlink():
        raise InputError(Fault.of(f"will not write through a link (to {os.readlink(path)})", path))
    if kind in (stat.S_IFBLK, stat.S_IFSOCK):
        raise InputError(Fault.of("cannot write to a disk device or a socket", path))
    return False


@contextmanager
def _through(path: Path) -> Iterator[Path]:
    """Yield a file elsewhere, then copy its content to a device or a FIFO."""
    with TemporaryDirectory() as folder:
        partial = Path(folder) / (path.name or "out")
        yield partial
        try:
            with partial.open("rb") as file, path.open("wb") as device:
                shutil.copyfileobj(file, device)
        except OSError as error:
            raise InputError(Fault.of(f"cannot write: {error.strerror or error}", path)) from None


def remove_left(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files of this machine's killed writers from a folder: of one file, or all."""
    for partial in folder.glob(f".{'*' if name is None else escape(name)}.*-{HOST}.partial"):
        try:
            os.kill(int(partial.name.split(".")[-2].split("-")[0]), 0)  # asks only whether it is there
        except ProcessLookupError:
            with suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
        except (ValueError, OverflowError, PermissionError):
            continue  # not one of ours, or another user's process


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary neighbour of `path`, then rename it; a failure leaves nothing behind."""
    with whole(path) as partial:
        write(partial)


def is_text(name: str) -> bool:
    """Return whether a name is text in the system's encoding: not every library can write to another one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_fault(name: str) -> Fault:
    """Return what is wrong with a name that is no text."""
    expected = f"a name that is text in {sys.getfilesystemencoding()} (PYTHONUTF8=1 makes that UTF-8)"
    return Fault(expected, short_repr(name))


def make_folder(path: Path) -> None:
    """Make a folder, or refuse in one line."""
    if not is_text(str(path)):
        raise InputError(name_fault(str(path)))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Fault.of(f"cannot make this folder: {error.strerror}", path)) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole."""
    write_whole(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes whole."""
    write_whole(path, lambda p: p.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def official_record(text: Text, prediction: Prediction) -> dict[str, Any]:
    """Return one line of an official prediction file.

    Unread words (score NaN) get the lowest score minus 1: the format knows numbers only. Where the text was
    given as such, spans say their characters too, and `word_spans` those of every word of the document; the
    official scorer passes them over. Of several documents they count from the first one's beginning, but of
    a premise and a hypothesis from each one's own. Where sentences were picked each is a span, and each
    document's sentences have scores.
    """
    unknown = text.string is None and text.first is None
    places = None if unknown else tuple(place for _, spans in text.sides for place in spans)
    record: dict[str, Any] = {
        "annotation_id": prediction.example_id,
        "rationales": [
            _rationale(doc_id, of_document, prediction, text)
            | _characters(places, of_document, prediction, text)
            for doc_id, of_document in _documents(text)
        ],
        "classification": prediction.label,
        "classification_scores": dict(prediction.probs),
    }
    if prediction.at_rationale is not None:
        record["comprehensiveness_classification_scores"] = dict(prediction.at_rationale.without)
        record["sufficiency_classification_scores"] = dict(prediction.at_rationale.only)
        if prediction.ablations:
            record["thresholded_scores"] = [
                {
                    "threshold": a.fraction,
                    "comprehensiveness_classification_scores": dict(a.without),
                    "sufficiency_classification_scores": dict(a.only),
                }
                for a in prediction.ablations
            ]
    return record


def _documents(text: Text) -> list[tuple[str, slice]]:
    """Return the words of each document."""
    starts = sorted(text.doc_starts.items(), key=lambda item: item[1])
    ends = [start for _, start in starts[1:]] + [len(text.words)]
    return [(doc_id, slice(start, end)) for (doc_id, start), end in zip(starts, ends, strict=True)]


def _rationale(doc_id: str, words: slice, prediction: Prediction, text: Text) -> dict[str, Any]:
    found = {
        "docid": doc_id,
        "hard_rationale_predictions": [
            {"start_token": s.start, "end_token": s.end} for s in _picked(words, prediction, text)
        ],
        "soft_rationale_predictions": _numbers(prediction.scores, words),
    }
    if prediction.sentence_scores is not None:
        first, after = (bisect_left(text.sentence_starts, word) for word in (words.start, words.stop))
        found["soft_sentence_predictions"] = _numbers(prediction.sentence_scores, slice(first, after))
    return found


def _numbers(scores: Floats, some: slice) -> list[float]:
    """Return some scores as the format knows them: those that are NaN below all others."""
    known = scores[~np.isnan(scores)]
    lowest = float(known.min()) - 1 if len(known) else 0.0
    return [float(x) for x in np.nan_to_num(scores[some], nan=lowest)]


def _picked(words: slice, prediction: Prediction, text: Text) -> tuple[Span, ...]:
    """Return the picked spans of a document."""
    found = runs(prediction.rationale[words])
    if prediction.sentence_scores is None:
        return found
    return cut_at(found, [start - words.start for start in text.sentence_starts])


def _characters(places: Spans | None, words: slice, prediction: Prediction, text: Text) -> dict[str, Any]:
    """Return what more a rationale says of a document whose words' places are known."""
    if places is None:
        return {}
    of_document = places[words]
    hard = [
        {
            "start_token": s.start,
            "end_token": s.end,
            "start_char": of_document[s.start][0],
            "end_char": of_document[s.end - 1][1],
        }
        for s in _picked(words, prediction, text)
    ]
    return {"hard_rationale_predictions": hard, "word_spans": [list(span) for span in of_document]}


def add_predictions(file: TextIO, pairs: Iterable[tuple[Text, Prediction]]) -> None:
    """Write more lines of an official prediction file."""
    for text, prediction in pairs:
        file.write(json.dumps(official_record(text, prediction), ensure_ascii=False) + "\n")


def gold_record(example: Example, words: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return one annotation in ERASER form; `words` are those of each document."""

    def span(doc_id: str, at: Span) -> dict[str, Any]:
        text = " ".join(words[doc_id][at.start : at.end])
        place = {"start_token": at.start, "end_token": at.end, "start_sentence": -1, "end_sentence": -1}
        return {"docid": doc_id, **place, "text": text}

    groups = sorted(map(sorted, example.gold))
    return {
        "annotation_id": example.id,
        "classification": example.label,
        "docids": list(example.doc_ids),
        "evidences": [[span(e.doc_id, e.span) for e in group] for group in groups],
        "query": example.query or "",
        "query_type": None,
    }
