"""The front door: what `import rationale` gives, a few lines from a model to its words.

>>> import rationale
>>> why = rationale.explain(rationale.load(), "A warm, moving film.", methods="random")
>>> why.to_frame().columns.tolist()
['text', 'word', 'start', 'end', 'method', 'score']
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from eraser import Fault, InputError
from eraser.errors import short_repr, strings_of
from eraser.words import WordCutter
from rationale import explanation
from rationale.budgets import top_words
from rationale.explanation import Explanation
from rationale.front.texts import texts_of
from rationale.heads import Head
from rationale.pass_cache import PassCache
from rationale.text.pairs import Pair, pair_of
from rationale.text_classifier import TextClassifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OF_MODELS = ("max_length", "long_texts", "device", "precision")  # what a model is loaded with
TASK = "text-classification"  # of pipelines
APPLIED: dict[Head, str] = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "two_classes": "sigmoid",
    "value": "none",
}
OF_FUNCTIONS = ("kind", "mask", "batch_size", "version")  # and a function


def load(model: Any = None, *, labels: Sequence[str] | None = None, **how: Any) -> TextClassifier:
    """Load a classifier from a folder or the hub, or wrap one that is in memory.

    It is for one thread at a time: methods change how the model runs while they explain it.

    Args:
        model: a folder or hub id; `package.module:function`; a (model, tokenizer) of Hugging Face, which
            stays trainable, or a pipeline of text classification; a function of a list of texts that returns
            probabilities [N,C]; an object with `predict_proba` and `classes_`, as scikit-learn's; default the
            shipped model of film reviews.
        labels: names of the answers in order; a function without `classes_` needs them.
        how: `max_length`, `long_texts`, `device`, `precision` of a model, see `load_classifier`; `kind`,
            `mask`, `batch_size`, `version` of a function, see `rationale.blackbox.from_callable`.

    Raises:
        InputError: it cannot be read, its parts do not fit each other, or it is none of the above.
    """
    if model is None or isinstance(model, str | Path):
        _refuse_unknown(how, (*OF_MODELS, "mask"))
        return _named(model, labels, how)
    if (parts := _parts(model)) is not None:
        from rationale.hf.classifier import classifier_of
        from rationale.models.capabilities import frozen_view

        inner, tokenizer = parts
        _refuse_unknown(how, OF_MODELS)
        own = deepcopy(tokenizer)  # a padding token may have to be set
        found = classifier_of(frozen_view(inner), own, type(inner).__name__, labels=labels, **how)
        _check_applied(model, found.head)
        return found
    function = getattr(model, "predict_proba", model)
    if not callable(function) or hasattr(model, "config"):  # a model without its tokenizer
        expected = "a folder, a hub id, (model, tokenizer), a pipeline, or a function of texts"
        raise InputError(Fault(expected, short_repr(model)))
    from rationale.blackbox import from_callable
    from rationale.named import class_name

    _refuse_unknown(how, OF_FUNCTIONS)
    names = [class_name(c) for c in getattr(model, "classes_", ())] if labels is None else list(labels)
    if not names:
        raise InputError(Fault.of("a function needs labels=[…], the names of its outputs in order"))
    return from_callable(function, names, **how)


def _parts(model: Any) -> tuple[Any, Any] | None:
    """Return the model and the tokenizer of a pair or a pipeline; None of anything else.

    Raises:
        InputError: the pipeline answers something else than its model's classes, as a zero-shot one does.
    """
    own = (getattr(model, "model", None), getattr(model, "tokenizer", None))
    parts = model if isinstance(model, tuple) else own
    if len(parts) != 2 or not (hasattr(parts[0], "config") and hasattr(parts[1], "get_vocab")):  # noqa: PLR2004 (a pair)
        return None
    if parts is own and (task := getattr(model, "task", None)) != TASK:
        raise InputError(Fault(f"a pipeline of the task {TASK}", short_repr(task)))
    return parts


def _check_applied(model: Any, head: Head) -> None:
    """Refuse a pipeline that makes other answers of the logits than is usual for its model."""
    asked = getattr(model, "_postprocess_params", {}).get("function_to_apply")
    name = getattr(asked, "value", asked)
    if name not in (None, APPLIED[head]):
        expected = f"a pipeline that applies {APPLIED[head]}, as its model is made for"
        raise InputError(Fault(expected, short_repr(name)))


def _refuse_unknown(how: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse options that such a model has not."""
    if unknown := [name for name in how if name not in known]:
        raise InputError(*(Fault(f"an option of {', '.join(known)}", short_repr(name)) for name in unknown))


def _named(model: str | Path | None, labels: Sequence[str] | None, how: dict[str, Any]) -> TextClassifier:
    """Return a classifier by its name."""
    from rationale.hf.classifier import SHIPPED
    from rationale.named import load_named

    mask = how.pop("mask", None)
    return load_named(str(SHIPPED if model is None else model), labels, mask, how)


@dataclass(frozen=True, repr=False)
class Explanations:
    """Explanations of texts, or pairs, by methods: `why[i]` is the first method's for the i-th text.

    `why[i, "attention"]` is that of a method, `why[i:j]` are those of some of the texts.
    """

    texts: tuple[str | Pair, ...]
    methods: tuple[str, ...]
    found: tuple[tuple[Explanation, ...], ...]  # for each text, each method's

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, place: int | tuple[int, str]) -> Explanation: ...

    @overload
    def __getitem__(self, place: slice) -> Explanations: ...

    def __getitem__(self, place: int | tuple[int, str] | slice) -> Explanation | Explanations:
        """Return the explanation of a text, that of a method, or those of several texts by all methods.

        Raises:
            InputError: no such method was asked for, or the place is none of a text.
        """
        if isinstance(place, slice):
            return replace(self, texts=self.texts[place], found=self.found[place])
        at, method = place if isinstance(place, tuple) else (place, self.methods[0])
        if method not in self.methods:
            raise InputError(Fault(f"a method of {', '.join(self.methods)}", short_repr(method)))
        if not hasattr(at, "__index__"):
            raise InputError(Fault('a text\'s number, as in why[0] or why[0, "method"]', short_repr(at)))
        return self.found[at][self.methods.index(method)]

    def __iter__(self) -> Iterator[Explanation]:
        return (row[0] for row in self.found)

    def __repr__(self) -> str:
        """Return a line for each text and method."""
        return "\n".join(f"{n}: {one!r}" for n, row in enumerate(self.found) for one in row)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each text, method and word: text, word, start, end, method, score.

        `text` is the number of the text, `start` and `end` are characters of it; words that the model did
        not read have no score (NaN). Where there are pairs, `side` is 0 for words of a pair's first text and
        1 for those of its second; `start` and `end` are characters of that one.
        """
        rows = [
            (number, word, start, end, one.method, float(score), side)
            for number, row in enumerate(self.found)
            for one in row
            for word, (start, end), score, side in zip(
                one.words, one.spans, one.scores, one.sides, strict=True
            )
        ]
        frame = pd.DataFrame(rows, columns=["text", "word", "start", "end", "method", "score", "side"])
        pairs = any(one.second is not None for row in self.found for one in row)
        return frame if pairs else frame.drop(columns="side")

    def to_html(self) -> str:
        """Return the texts with their words coloured by score; every text of yours is escaped."""
        return "\n".join(one._repr_html_() for row in self.found for one in row)

    _repr_html_ = to_html

    def plot(self, text: int = 0, size: int = 10) -> Axes:
        """Draw the words of a text with the highest absolute scores, a bar for each method.

        Raises:
            InputError: no word of it was read.
        """
        from rationale.report.plots import new_figure

        first = self.found[text][0]
        strength = np.abs(first.scores)
        order = sorted(top_words(strength, size).nonzero()[0], key=lambda i: -strength[i])
        if not order:
            raise InputError(Fault.of("no word of the text was read, so there is none to draw"))
        figure, (axes,) = new_figure(width=5.0, height=0.35 * len(order) + 1.0)
        table = pd.DataFrame({one.method: [one.scores[i] for i in order] for one in self.found[text]})
        table.index = pd.Index([first.words[i] for i in order])
        table.iloc[::-1].plot.barh(ax=axes)
        axes.set_xlabel(f"score for {first.target or 'the class explained'}", parse_math=False)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)  # a dollar in a text begins no formula
        return axes


def explain(
    model: Any,
    texts: str | Sequence[str | Pair] | Mapping[str, Any] | pd.DataFrame,
    methods: str | Sequence[str] | None = None,
    *,
    target: str | None = None,
    words: WordCutter | None = None,
    seed: int = 0,
) -> Explanations:
    """Explain a classifier's answers to one text or many, by one method or many.

    Args:
        model: what `load` takes, or returned.
        texts: one, or several; of a pair, a tuple such as (premise, hypothesis), both texts are explained;
            of a data frame, a mapping or a data set of Hugging Face those of its column `text`.
        methods: names of METHODS; default integrated gradients, of a function leave-one-out.
        target: the label to explain; default each text's predicted one.
        words: what cuts texts into words, see `eraser.words.cut_words`.
        seed: of methods that sample.

    Raises:
        InputError: the model or a method is unknown or does not fit; there is no text, or one has no words
            (named by its place from 1).
    """
    classifier = model if hasattr(model, "encoder") and hasattr(model, "head") else load(model)
    given = texts_of(texts)
    asked = (None,) if methods is None else strings_of("methods", methods)
    if not given or not asked:
        raise InputError(Fault("at least one text and one method", f"{len(given)} and {len(asked)}"))
    if classifier.opaque:  # what a function answers depends on no batch, so methods can share it
        classifier = replace(classifier, passes=classifier.passes or PassCache(logits={}))
    found: list[tuple[Explanation, ...]] = []
    for number, (first, second) in enumerate(_pairs_of(given), start=1):
        how: dict[str, Any] = {
            "target": target,
            "query": first,
            "explain_query": True,
            "words": words,
            "seed": seed,
        }
        try:
            found.append(tuple(explanation.explain(classifier, second, m, **how) for m in asked))
        except InputError as error:
            place = f"text {number}"
            raise InputError(*(replace(f, id=place) if f.id else f for f in error.faults)) from None
    return Explanations(given, tuple(one.method for one in found[0]), tuple(found))


def _pairs_of(texts: Sequence[str | Pair]) -> list[tuple[str | None, str]]:
    """Return each text and what goes before it; refuse what is neither a text nor a pair, by its place."""
    pairs, faults = list[tuple[str | None, str]](), list[Fault]()
    for number, text in enumerate(texts, start=1):
        try:
            pairs.append(pair_of(text))
        except InputError as error:
            faults += [replace(f, id=f"text {number}") for f in error.faults]
    if faults:
        raise InputError(*faults)
    return pairs
