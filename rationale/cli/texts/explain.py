"""The command `rationale explain`: a model's answers to a few texts, and a score for each of their words."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eraser.words import WordCutter
from rationale.cli.options import AsJson, LabelNames, label_names
from rationale.cli.texts.attribute import MethodNames
from rationale.process.terminal import digits, say_json, say_lines, say_next
from rationale.settings import CUTS_HELP

if TYPE_CHECKING:  # torch is imported when the command runs
    from rationale.explanation import Explanation

LEAST = 8  # characters of a column of scores
UNREAD = "-"  # in the place of the score of a word that the model did not read
AnyModel = Annotated[
    str | None,
    typer.Option(
        help="Model folder, hub id or package.module:function; by default the shipped model of film reviews."
    ),
]
TargetLabel = Annotated[
    str | None, typer.Option(help="Label to explain; by default the one predicted for each text.")
]
FirstText = Annotated[
    str | None, typer.Option(help="Question, or first text of a pair, that goes before each text.")
]
Cutter = Annotated[WordCutter | None, typer.Option("--words", help=CUTS_HELP.format("punctuation"))]
Seed = Annotated[int, typer.Option(help="Random seed of baselines and perturbations.")]


def explain_command(  # noqa: PLR0913 (one option each)
    texts: Annotated[list[str], typer.Argument(help="One text or several, each in quotes.")],
    model: AnyModel = None,
    methods: MethodNames = None,
    target: TargetLabel = None,
    query: FirstText = None,
    labels: LabelNames = None,
    words: Cutter = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Print what a model answers to a text, and the score of each word for that answer."""
    from rationale.cli.methods import choose_methods
    from rationale.front.explanations import explain, load

    classifier = load(model, labels=label_names(labels))
    usual = ("leave_one_out" if classifier.opaque else "integrated_gradients",)
    asked = choose_methods(methods, usual, classifier, None)
    pairs = [text if query is None else (query, text) for text in texts]
    found = explain(classifier, pairs, asked, target=target, words=words, seed=seed)
    for of_text in found.found:
        if as_json:
            say_json(_record(of_text))
        else:
            say_lines("\n".join(_table(of_text)))
    if not as_json:
        say_next("app", *(() if model is None else ("--model", model)))


def _table(of_text: tuple[Explanation, ...]) -> Iterator[str]:
    """Yield the lines of a text: the answer, then a line for each word with the score of each method."""
    first = of_text[0]
    said = "" if first.label == first.target else f"{first.label}; explained: "
    yield f"{said}{first.target} {digits(first.probs[first.target])}"
    longest = max(len("word"), *map(len, first.words))
    widths = [max(LEAST, len(one.method)) for one in of_text]
    rows = [(one.method for one in of_text), *zip(*(map(_shown, one.scores) for one in of_text), strict=True)]
    for word, cells in zip(("word", *first.words), rows, strict=True):
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join([word.ljust(longest), *numbers])
    if first.note:
        yield f"note: {first.note}"


def _shown(score: float) -> str:
    """Return a word's score as it is printed."""
    return UNREAD if isnan(score) else digits(score)


def _record(of_text: tuple[Explanation, ...]) -> dict[str, Any]:
    """Return a text's explanations as JSON data; a word that the model did not read has the score None."""
    first = of_text[0]
    places = zip(first.words, first.spans, first.sides, strict=True)
    return {
        "texts": first.texts,
        "label": first.label,
        "probs": dict(first.probs),
        "target": first.target,
        "words": [{"word": w, "start": a, "end": z, "side": side} for w, (a, z), side in places],
        "scores": {one.method: [None if isnan(s) else float(s) for s in one.scores] for one in of_text},
    }
