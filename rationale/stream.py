"""The texts of a file, of any length → the model's answers, and a score for each word.

A JSON-lines file is read by its line offsets, a chunk at a time; any other is converted first (text/rows.py).
Memory holds one chunk at a time.
A part is one chunk of lines with all methods, one Parquet file with a row for each text and method.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eraser import Fault, InputError, Text
from eraser.errors import short_repr, strings_of
from eraser.files.owned import claim, finish, writes
from eraser.files.whole import write_json
from eraser.labels import split_labels
from eraser.progress import progress
from eraser.types import Floats, Kind
from eraser.words import cutter_for
from rationale.attribution import METHODS, Attribution, AttributionInput, attribute, codes_of, refuse_unfit
from rationale.attribution.fit import reading
from rationale.evaluation.explained import explained_by
from rationale.evaluation.pipeline import PARTS_VERSION, seed_of
from rationale.evaluation.plan import check_asked
from rationale.evaluation.stored.part_files import PartRows, part, whole_part
from rationale.evaluation.stored.run_folder import read_own, unreadable
from rationale.heads import HEADS, predicted_label
from rationale.inference.predict import text_probs
from rationale.pass_cache import PassCache
from rationale.settings import THRESHOLD, StreamSettings, digest, without_usual
from rationale.text.lines import LineChunks, advised, check_texts, first_texts, id_of, own_id, text_in
from rationale.text.rows import FILE_OPTIONS, ROWS, Table, TableChunks, file_options, table_at
from rationale.text.windows import Window, note_in_part, words_in_part
from rationale.text_classifier import TextClassifier

MANIFEST = "manifest.json"
PART = re.compile(r"[\w-]+\.parquet", re.ASCII)
LATER = {"target": "predicted", "threshold": THRESHOLD, "mask": None}  # no part of a name but where changed
ROWS_VERSION = 4  # to be raised by a change of what rows hold, or of how texts are read


@dataclass(frozen=True)
class Stream:
    """A run over a file: computes the part of one chunk."""

    classifier: TextClassifier
    explained: TextClassifier
    settings: StreamSettings
    lines: LineChunks | TableChunks
    folder: Path
    model_hashes: tuple[str, str]
    notes: tuple[str, ...] = ()
    done: bool = False

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.classifier.device

    def compute(self, number: int) -> None:
        """Compute one chunk's part unless the folder has it."""
        self.part(number)

    def part(self, number: int) -> tuple[Path, PartRows]:
        """Return where a chunk's part is, and its rows, computed if the folder lacks it."""
        path = self.path(number)
        return path, part(path, lambda: self._rows(number))

    def path(self, number: int) -> Path:
        """Return where a chunk's part is: its name holds all it depends on."""
        s = replace(self.settings, file="", model="", dense=None, device="", chunk=1)
        # texts are known by themselves, however their file was read
        settings = {k: v for k, v in without_usual(vars(s)).items() if k not in FILE_OPTIONS}
        settings = {k: v for k, v in settings.items() if k not in LATER or v != LATER[k]}
        texts = sha256(self.lines.read(number)).hexdigest()
        code = [METHODS[method].code for method in s.methods]
        told = (PARTS_VERSION, self.model_hashes, settings, texts, code, *reading(self.explained))
        key = digest(ROWS_VERSION, *told)
        return self.folder / f"{number:08d}-{key}.parquet"

    def texts(self, number: int) -> list[Text]:
        """Return the texts of one chunk; each fault names its line."""
        return [self._text(*found) for found in self.lines.records(number)]

    def _text(self, number: int, line: int, record: dict[str, Any]) -> Text:
        s, place = self.settings, str(self.lines.path)
        id = id_of(record, number)
        try:
            check_texts(record, s.text, s.query, (place, line, own_id(record)))
        except InputError as error:
            raise InputError(*map(advised, error.faults)) from None
        assert s.words is not None  # since the run was opened
        query, given = None if s.query is None else record[s.query], text_in(record, s.text)
        if isinstance(given, list):
            words = Text(id, tuple(given), {"text": 0}, (0,), query, None, place, line)
            return words.with_query(s.words) if s.explain_query else words
        found = replace(Text.of(id, given, s.words, query, both=s.explain_query), file=place, line=line)
        if not found.words:
            expected = f"a text with words in {s.text!r}, cut by {s.words}"
            raise InputError(found.fault(expected, short_repr(found.string)))
        return found

    def _rows(self, number: int) -> PartRows:
        texts, passes = self.texts(number), PassCache(device=self.classifier.device)
        classifier = replace(self.classifier, passes=passes)
        explained = (
            classifier
            if self._same
            else replace(self.explained, passes=PassCache(device=self.explained.device))
        )
        windows = classifier.encoder.encode(texts)
        probs = text_probs(classifier, windows, texts)
        label = self.settings.target_label(classifier.labels, HEADS[classifier.head].kind)
        named = None if label is None else classifier.labels.index(label)
        targets = [int(p.argmax()) if named is None else named for p in probs]
        cases = [
            AttributionInput(w, len(t.words), target, seed_of(self.settings.seed, t.example_id), t)
            for w, t, target in zip(windows, texts, targets, strict=True)
        ]
        rows: PartRows = []
        for method in self.settings.methods:
            asked = classifier if METHODS[method].adaptive else explained
            found = attribute(asked, method, cases, self.settings)
            of_each = zip(texts, windows, probs, found, strict=True)
            rows += [self._row(method, *of_text) for of_text in of_each]
        return rows

    @property
    def _same(self) -> bool:
        return self.explained.model is self.classifier.model

    def _row(
        self, method: str, text: Text, windows: Sequence[Window], probs: Floats, found: Attribution
    ) -> dict[str, Any]:
        asked, s = self.classifier, self.settings
        each_its_class = HEADS[asked.head].kind == "class" and s.target == LATER["target"]
        return {
            "id": text.example_id,
            "method": method,
            "label": predicted_label(asked.head, asked.labels, probs, s.threshold),
            "probs": probs.tolist(),
            "words": list(text.words),
            "spans": [list(span) for _, spans in text.sides for span in spans],
            **self._sides(text),
            "scores": found.scores.tolist(),
            "words_in_part": words_in_part(windows),
            "ms": found.milliseconds,
            "where": asked.where(),
            **({} if each_its_class else {"target": asked.labels[found.target]}),
        }

    def _sides(self, text: Text) -> dict[str, list[int]]:
        """Return for each word 0 if it is the query's, 1 if it is the text's; nothing without a query."""
        if not self.settings.explain_query:
            return {}
        return {"side": [int(word >= text.unasked) for word in range(len(text.words))]}


def stream(
    classifier: TextClassifier,
    settings: StreamSettings,
    folder: Path,
    dense: TextClassifier | None = None,
    overwrite: bool = False,
) -> Stream:
    """Check the settings, claim the folder, and return the run over a file.

    Raises:
        InputError: the settings cannot be carried out, or the folder holds something else.
    """
    settings.check(tuple(METHODS))
    lines, table = _file(settings)
    explained = explained_by(classifier, dense)
    refuse_unfit(classifier, settings.methods, explained)
    settings.target_label(classifier.labels, HEADS[classifier.head].kind)
    check_asked(classifier, settings, settings.threshold, settings.model)
    first = first_texts(lines.path, settings.text) if table is None else table.first_texts()
    words, note = cutter_for(first, settings.words, "whitespace")
    hashes = (classifier.identity(), explained.identity())
    cut = replace(settings, words=words)
    notes = () if note is None else (note,)
    if table is not None:
        table = replace(table, settings=cut)
        notes = (*table.notes(folder), *notes)
    of = {
        k: v
        for k, v in without_usual(vars(cut)).items()
        if k not in ("file", "model", "dense", *FILE_OPTIONS)
    }
    of |= file_options(settings)
    of |= {"content_of_model": hashes[0], "content_of_dense": hashes[1]}
    of |= {"content_of_file": (table or lines).content}
    of |= {"content_of_tokenizer": classifier.encoder.identity(), **codes_of(cut.methods)}
    of |= {} if table is None else {"form": table.form}
    scratch = () if table is None else (ROWS,)
    done = claim(folder, "attribute", of, (settings.model, settings.dense), scratch, overwrite)
    chunks = lines if table is None else table.convert(folder, settings.chunk)
    return Stream(classifier, explained, cut, chunks, folder / "parts", hashes, notes, done)


def _file(settings: StreamSettings) -> tuple[LineChunks, Table | None]:
    """Return a file by its lines, and as a table where it is one."""
    lines = LineChunks(Path(settings.file), settings.chunk)
    table = table_at(settings)
    if table is None:
        len(lines)
        lines.check_ids()
    return lines, table


def collect(run: Stream) -> dict[str, Any]:
    """Compute what is missing; write the manifest: counts, and the parts in the order of the file."""
    labels: Counter[str] = Counter()
    spent: dict[str, list[float]] = {m: [0.0, 0] for m in run.settings.methods}
    names, numbers, n_texts, unread, in_part, words = [], 0.0, 0, 0, 0, 0
    kind = HEADS[run.classifier.head].kind
    for path, rows in progress(map(run.part, range(len(run))), "attribute", "chunks", len(run)):
        names.append(path.name)
        for row in rows:
            spent[row["method"]][0] += row["ms"]
            spent[row["method"]][1] += 1
            if row["method"] == run.settings.methods[0]:
                n_texts += 1
                labels.update(_labels_of(row["label"], kind))
                numbers += row["probs"][0]
                words += len(row["scores"])
                unread += int(np.isnan(row["scores"]).sum())
                in_part += row["words_in_part"]
    cost = {m: total / n for m, (total, n) in spent.items()}
    told = {"mean": numbers / n_texts} if kind == "value" else {"labels": dict(labels)}
    counts = {"texts": n_texts, **told, "words": words, "words_unread": unread}
    settings = {k: v for k, v in without_usual(vars(run.settings)).items() if k not in FILE_OPTIONS}
    settings |= file_options(run.settings)
    found = {"settings": settings, **counts, "ms_per_text": cost, "parts": names}
    found["notes"] = [*run.notes, *note_in_part(in_part)]
    run.lines.check_unchanged()
    folder = run.folder.parent
    write_json(folder / MANIFEST, found)
    writes(folder, MANIFEST)
    finish(folder)
    return found


def _labels_of(label: str, kind: Kind) -> tuple[str, ...]:
    """Return the labels of a prediction that are counted."""
    return {"class": (label,), "labels": split_labels(label), "value": ()}[kind]


def read_stream(folder: str | Path, methods: str | Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a finished run, in the order of the file, one part in memory at a time.

    Args:
        folder: of the run.
        methods: one or several of the run's; default all.

    Raises:
        InputError: the run is not finished or lacks a method, or a part does not match its name or the
            manifest.
    """
    folder = Path(folder)
    parts, known = _contents_of(folder)
    wanted = known if methods is None else strings_of("methods", methods)
    if strange := [name for name in wanted if name not in known]:
        raise InputError(Fault(f"methods of the run: {', '.join(known)}", short_repr(strange[0]), folder))
    for name in parts:
        for row in whole_part(folder, f"parts/{name}").to_pylist():
            if methods is None or row["method"] in wanted:
                yield row


def _contents_of(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of a run's parts, and its methods."""
    text = read_own(folder, MANIFEST)
    if text is None:
        raise InputError(Fault.of(f"not a finished run of `rationale attribute`: no {MANIFEST}", folder))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(folder / MANIFEST, "JSON", str(error)) from None
    names = found.get("parts") if isinstance(found, dict) else None
    if not isinstance(names, list) or not all(isinstance(n, str) and PART.fullmatch(n) for n in names):
        raise unreadable(folder / MANIFEST, 'an object with "parts", names of files', short_repr(names))
    settings = found.get("settings")
    methods = settings.get("methods") if isinstance(settings, dict) else None
    if not isinstance(methods, list) or not all(isinstance(m, str) for m in methods):
        raise unreadable(folder / MANIFEST, '"settings" with "methods", names', short_repr(methods))
    return names, methods
