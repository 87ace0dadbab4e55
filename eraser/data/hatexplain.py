"""HateXplain's own files → Dataset (Mathew et al. 2021, https://github.com/hate-alert/HateXplain).

The rules are the authors' (Explainability_Calculation_NB.ipynb): majority label of three, ties left
out, gold = union of the annotators, one span per run, all spans one group. Each annotator's own spans
are kept beside it, so their mean and their agreement can be computed.

The library `datasets` has the same posts with labels as numbers, annotators as an object of lists, and a
division called `validation`; that is read too.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from eraser.data.source import SPLITS, Source, as_string, parse_json_lines
from eraser.errors import Fault, InputError, short_repr
from eraser.types import Dataset, Document, Evidence, Example, Mask, runs

POSTS, DIVISIONS, TRAIN_TEXT = "dataset.json", "post_id_divisions.json", "train_text.jsonl"
LABELS = ("hatespeech", "normal", "offensive")  # in the order of their numbers
TOXIC = frozenset({"hatespeech", "offensive"})
CALLED = {**{split: split for split in SPLITS}, "validation": "val"}  # a division → its split


def is_hatexplain(source: Source) -> bool:
    """Return whether the source holds HateXplain's own files."""
    return source.has(POSTS) and source.has(DIVISIONS)


def load_hatexplain(source: Source, name: str = "hatexplain") -> Dataset:
    """Load `dataset.json` and `post_id_divisions.json`.

    Where the divisions name no train post and `train_text.jsonl` (lines of `text`, `label`) lies
    beside them, its texts become the train split, without evidence.
    """
    posts, divisions = _read_json(source, POSTS), _by_split(source, _read_json(source, DIVISIONS))
    documents: dict[str, Document] = {}
    counts: Counter[str] = Counter()
    splits: dict[str, tuple[Example, ...]] = {}
    for split in SPLITS:
        examples = []
        for post_id in _post_ids(source, divisions.get(split) or [], posts):
            document, example, misaligned = _read_post(source, post_id, posts[post_id])
            if misaligned:
                counts[f"{split}: evidence left out where its length is not the post's, posts"] += 1
            if example is None:
                counts[f"{split}: left out for want of a majority label, posts"] += 1
                continue
            documents[document.id] = document
            examples.append(example)
        splits[split] = tuple(examples)
    notes = [f"{what}: {n}" for what, n in counts.items()]
    if not splits["train"] and source.has(TRAIN_TEXT):
        splits["train"] = _read_train_text(source, documents)
        notes.append(f"train: {len(splits['train'])} texts without evidence, from {TRAIN_TEXT}")
    splits = {s: examples for s, examples in splits.items() if examples}
    return Dataset(name, documents, splits, tuple(notes), str(source.path))


def _read_json(source: Source, name: str) -> dict[str, Any]:
    try:
        record = json.loads(source.text(name))
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("JSON", str(error), source.place(name))) from None
    if not isinstance(record, dict):
        raise InputError(Fault("a JSON object", short_repr(record), source.place(name)))
    return record


def _by_split(source: Source, divisions: dict[str, Any]) -> dict[str, Any]:
    """Return what the divisions hold under the names of our splits."""
    place = source.place(DIVISIONS)
    if unknown := [name for name in divisions if name not in CALLED]:
        expected = f"divisions called {', '.join(CALLED)}"
        raise InputError(*(Fault(expected, short_repr(name), place) for name in unknown))
    if {"val", "validation"} <= divisions.keys():
        raise InputError(Fault.of("both val and validation are there; remove one", place))
    return {CALLED[name]: ids for name, ids in divisions.items()}


def _post_ids(source: Source, ids: Any, posts: dict[str, Any]) -> list[str]:
    place = source.place(DIVISIONS)
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise InputError(Fault("lists of post ids", short_repr(ids), place))
    if unknown := [i for i in ids if i not in posts]:
        raise InputError(*(Fault.of(f"no post in {POSTS} has this id", place, None, i) for i in unknown))
    return ids


def _read_post(source: Source, post_id: str, post: Any) -> tuple[Document, Example | None, bool]:
    """Return the post's document, its example, and whether evidence was left out as misaligned.

    No example where the annotators disagree; no evidence where a mark list is not as long as the post.
    """
    place = source.place(POSTS)
    try:
        words = tuple(str(word) for word in post["post_tokens"])
        people = _people(post["annotators"])
        votes = Counter(_label(a["label"]) for a in people)
        targets = Counter(t for a in people for t in set(a.get("target") or []))
        marks = [_marks(r) for r in post.get("rationales") or []]
    except (KeyError, TypeError, ValueError) as error:
        expected = "post_tokens, annotators with labels, rationales of 0 and 1"
        raise InputError(Fault(expected, f"{type(error).__name__} {error}", place, None, post_id)) from None
    misaligned = any(m.shape != (len(words),) for m in marks)
    marks = [] if misaligned else marks
    document = Document(post_id, (words,))
    top = votes.most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return document, None, misaligned
    annotators = tuple(_evidence(post_id, mask) for mask in marks)
    union = _evidence(post_id, np.any(marks, axis=0)) if marks else frozenset()
    gold = frozenset({union}) if union and top[0][0] in TOXIC else frozenset()
    tags = frozenset(t for t, n in targets.items() if n >= 2 and t != "None")
    example = Example(post_id, (post_id,), top[0][0], None, gold, annotators, tags)
    return document, example, misaligned


def _people(annotators: Any) -> list[dict[str, Any]]:
    """Return an object for each annotator, from a list of these or from an object of lists."""
    if not isinstance(annotators, dict):
        return list(annotators)
    columns = list(annotators.values())
    if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        raise ValueError("annotators that are no lists of one length")
    return [dict(zip(annotators, row, strict=True)) for row in zip(*columns, strict=True)]


def _label(value: Any) -> str:
    """Return a label by its name or its number.

    >>> _label("normal"), _label(2)
    ('normal', 'offensive')
    """
    name = as_string(value)
    numbers = {str(n): label for n, label in enumerate(LABELS)}
    if not isinstance(name, str) or (name := numbers.get(name, name)) not in LABELS:
        raise ValueError(f"a label {short_repr(value)}, none of {', '.join(LABELS)} (0, 1, 2)")
    return name


def _marks(rationale: list[int]) -> Mask:
    if wrong := [mark for mark in rationale if mark not in (0, 1)]:
        raise ValueError(f"a mark {short_repr(wrong[0])}")
    return np.array(rationale, dtype=bool)


def _evidence(doc_id: str, mask: Mask) -> frozenset[Evidence]:
    return frozenset(Evidence(doc_id, span) for span in runs(mask))


def _read_train_text(source: Source, documents: dict[str, Document]) -> tuple[Example, ...]:
    place = source.place(TRAIN_TEXT)
    examples = []
    for line, record in parse_json_lines(source.text(TRAIN_TEXT), place):
        text, label = record.get("text"), record.get("label")
        if not isinstance(text, str) or not isinstance(label, str):
            raise InputError(Fault('"text" and "label" strings', short_repr(record), place, line))
        id = f"train_text-{line:05d}"
        documents[id] = Document(id, (tuple(text.split()),))
        examples.append(Example(id, (id,), label))
    return tuple(examples)
