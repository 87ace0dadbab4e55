"""What the reader of a run is told of it: how the model's answers, and the units picked, are to be read."""

from __future__ import annotations

from collections.abc import Iterator

from eraser import Dataset
from eraser.errors import short_repr
from eraser.labels import SEVERAL, number_of
from rationale.heads import HEADS, REGRESSION, problem_type
from rationale.settings import EvaluateSettings
from rationale.text_classifier import TextClassifier


def of_units(settings: EvaluateSettings) -> tuple[str, ...]:
    """Return notes for the reader of a run that picks sentences."""
    if settings.unit == "word":
        return ()
    how = f"a sentence's score is the {settings.sentence_score} of its words'"
    return (f"whole sentences are picked and removed, and budgets and shares count them; {how}",)


def told(classifier: TextClassifier, dataset: Dataset, settings: EvaluateSettings) -> tuple[str, ...]:
    """Return notes for the reader where answers are not one class of several logits."""
    match HEADS[classifier.head].kind:
        case "labels":
            return (
                f"multi-label: each label above {settings.threshold:g} is said; agreement and budget gold "
                "are of texts to which annotators gave the explained label",
                "no official predictions: their format knows one label a text",
            )
        case "value":
            return ("no official predictions: their format knows labels, no numbers",)
    if classifier.head == "two_classes" and problem_type(classifier.model.config) == REGRESSION:
        return ("the logit of a regression is read as two classes, as the labels given say",)
    return ()


def surprises(classifier: TextClassifier, dataset: Dataset) -> Iterator[str]:
    """Yield the notes to print as a run begins: the model answers otherwise than may be meant."""
    if HEADS[classifier.head].kind != "value":
        return
    labels = dataset.labels
    name = classifier.labels[0]
    yield f"the model gives a number, {name}: faithfulness is its change, no class is compared"
    if any(number_of(label) is None for label in labels):
        yield "the data set's labels are not numbers: no error is measured"
    if len(labels) == 2 and all(label and SEVERAL not in label for label in labels):  # noqa: PLR2004 (classes)
        names = ",".join(labels)
        yield f"--labels {names} reads the model's logit as two classes, a high one as {labels[1]}"


def unread_query(dataset: Dataset) -> Iterator[str]:
    """Yield a note if there is a query that the model is not given."""
    if dataset.query_matters:
        return
    examples = (e for of_split in dataset.splits.values() for e in of_split if not e.is_pair)
    if query := next((e.query for e in examples if e.query), None):
        yield (
            f"the query {short_repr(query)} is the same in all rows, so the model is not given it; if it was "
            "trained with queries, evaluate data whose rows differ in theirs, or put the query in the texts"
        )
