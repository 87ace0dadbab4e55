"""Explanations that other tools made, from their own objects: `rationale.from_scores`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eraser import Dataset, Fault, InputError, Text
from eraser.words import cutter_for
from rationale.explanation import Explanation
from rationale.explanations.collected import CollectOptions, Told, collected
from rationale.explanations.forms import EXPLANATION_FORMS, Asked, read_object
from rationale.explanations.forms.others import unknown
from rationale.explanations.pooling import Reduce
from rationale.explanations.scored import Scored
from rationale.explanations.stored import ImportedMethod
from rationale.front.data import load_data


@dataclass(frozen=True)
class ImportedExplanations(ImportedMethod):
    """Another tool's explanations, for `evaluate(…, explanations=…)`; `save` writes their file.

    `found[i]`, or `found["id"]`, is an Explanation as `rationale.explain` returns it.
    """

    texts: Mapping[str, Text] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int | str) -> Explanation:
        id = place if isinstance(place, str) else list(self.examples)[place]
        one, text = self.examples[id], self.texts[id]
        predicted, explained = one.label or "", one.target or ""
        return Explanation(
            text.words, one.ranking, predicted, {}, explained, self.method, string=text.plain[0]
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[id] for id in self.examples)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each text and word: text (its id), word, start, end, method, score."""
        rows = [
            (id, word, start, end, one.method, float(score))
            for id, one in zip(self.examples, self, strict=True)
            for word, (start, end), score in zip(one.words, one.spans, one.scores, strict=True)
        ]
        return pd.DataFrame(rows, columns=["text", "word", "start", "end", "method", "score"])


def from_scores(  # noqa: PLR0913 (what a tool may leave open)
    scores: Any,
    data: str | Path | Dataset | Sequence[str] = "sample",
    *,
    split: str = "test",
    ids: Sequence[str] | None = None,
    name: str | None = None,
    target: str | None = None,
    labels: Sequence[str] = (),
    pieces: Reduce = "sum",
    skip_invalid: bool = False,
) -> ImportedExplanations:
    """Return explanations that another tool made as a row of `evaluate`.

    Args:
        scores: a shap.Explanation, lime's, captum's VisualizationDataRecord or (tokens, attributions),
            inseq's output, ferret's or interpreto's explanation, {"tokens": …, "scores": …}; or a sequence of
            such, or a mapping from ids to such.
        data: the data set they explain, as `evaluate` takes it; or the texts themselves.
        split: of the data set.
        ids: of the examples, in the order of `scores`; default the ids that these have, or the examples whose
            texts they hold, or all examples of the split in their order.
        name: of the row; default the tool's.
        target: the label whose scores are taken, where there are several; default the predicted one.
        labels: names of the classes in order, where the tool only numbers them.
        pieces: how scores of pieces become those of a word.
        skip_invalid: leave out what cannot be aligned; it is counted.

    Raises:
        InputError: no form knows such an object, or it is not of these texts.
    """
    texts = _texts(data, split)
    asked = Asked(target, tuple(labels))
    if isinstance(scores, Mapping) and not EXPLANATION_FORMS["tokens"].knows(scores):
        ids = [str(id) for id, one in scores.items() for _ in read_object(one, asked)]
        scores = list(scores.values())
    read = list(read_object(scores, asked))
    if not read:
        raise unknown(scores, tuple(EXPLANATION_FORMS))
    form, _ = Counter(form for form, _ in read).most_common(1)[0]
    how = CollectOptions(pieces, skip_invalid, _tool(scores))
    found = collected(name or form, _by_id([s for _, s in read], texts, ids), texts, how)
    known = {id: texts[id] for id in found.examples}
    return ImportedExplanations(found.name, found.examples, found.tool, found.settings, found.notes, known)


def _texts(data: Any, split: str) -> dict[str, Text]:
    """Return the texts of a data set's split by id; plain texts by number."""
    if not isinstance(data, str | Path | Dataset | Mapping):
        found = [str(text) for text in data]
        cut, _ = cutter_for(found, None, "punctuation")
        return {str(i): Text.of(str(i), text, cut) for i, text in enumerate(found)}
    dataset = data if isinstance(data, Dataset) else load_data(data)
    return {example.id: dataset.text(example) for example in dataset.examples(split)}


def _by_id(read: Sequence[Scored], texts: Mapping[str, Text], ids: Sequence[str] | None) -> Iterator[Told]:
    """Yield scores by the example's id, which is given, found by the text, or the text's place."""
    if ids is not None:
        if len(ids) != len(read):
            raise InputError(Fault(f"{len(read)} ids, one for each explanation", str(len(ids))))
        yield from zip(map(str, ids), read, strict=True)
        return
    strings = Counter(_unspaced(text.plain[0]) for text in texts.values())
    by_string = {s: id for id, text in texts.items() if strings[s := _unspaced(text.plain[0])] == 1}
    known = [s.id if s.id is not None else by_string.get(_unspaced(s.text or "")) for s in read]
    if None not in known:
        yield from ((str(id), scored) for id, scored in zip(known, read, strict=True))
        return
    if len(read) != len(texts):
        expected = (
            f"ids=[…] of the examples explained, or an explanation of each of the {len(texts)} in order"
        )
        raise InputError(Fault(expected, str(len(read))))
    yield from zip(texts, read, strict=True)


def _unspaced(text: str) -> str:
    """Return a text without its white space, of which a tool may keep less than there is."""
    return "".join(text.split())


def _tool(scores: Any) -> str:
    """Return the name and version of the library that an object is from."""
    one = next(iter(scores), None) if isinstance(scores, list | tuple) else scores
    root = type(one).__module__.split(".")[0]
    version = getattr(sys.modules.get(root), "__version__", "")
    return "" if root == "builtins" else f"{root} {version}".strip()
