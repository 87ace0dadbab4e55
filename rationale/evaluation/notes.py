"""What the reader of a run is told of it: how the model's answers, and the units picked, are to be read."""

from __future__ import annotations

from eraser import Dataset
from eraser.labels import number_of
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
            numbers = all(number_of(label) is not None for label in dataset.labels)
            return (
                f"the model gives a number, {classifier.labels[0]}: faithfulness is its change, "
                "no class is compared",
                *(() if numbers else ("the data set's labels are not numbers: no error is measured",)),
                "no official predictions: their format knows labels, no numbers",
            )
    if classifier.head == "two_classes" and problem_type(classifier.model.config) == REGRESSION:
        return ("the logit of a regression is read as two classes, as the labels given say",)
    return ()
