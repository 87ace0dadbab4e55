"""How each tool's explanations are read. They are recognised by their attributes, without imports.

To add one: a function that recognises the tool's objects, one that reads them, and a line in
EXPLANATION_FORMS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rationale.explanations.forms import lime_words, others, shap_values
from rationale.explanations.forms.values import Asked
from rationale.explanations.scored import Scored

__all__ = ["EXPLANATION_FORMS", "Asked", "ExplanationForm", "read_object"]


class ExplanationForm(NamedTuple):
    """How objects of a tool are recognised, and how they are read, text by text."""

    knows: Callable[[Any], bool]
    read: Callable[[Any, Asked], Iterator[Scored]]


EXPLANATION_FORMS: dict[str, ExplanationForm] = {  # the first that knows an object reads it
    "shap": ExplanationForm(shap_values.is_shap, shap_values.read_shap),
    "lime": ExplanationForm(lime_words.is_lime, lime_words.read_lime),
    "captum": ExplanationForm(others.is_captum_record, others.read_captum_record),
    "captum-llm": ExplanationForm(others.is_captum_llm, others.read_captum_llm),
    "inseq": ExplanationForm(others.is_inseq, others.read_inseq),
    "ferret": ExplanationForm(others.is_ferret, others.read_ferret),
    "ferret-evaluation": ExplanationForm(others.is_ferret_evaluation, others.read_ferret),
    "interpreto": ExplanationForm(others.is_interpreto, others.read_interpreto),
    "rationale": ExplanationForm(others.is_ours, others.read_ours),
    "word-weights": ExplanationForm(lime_words.is_word_list, lime_words.read_word_list),
    "tokens": ExplanationForm(others.is_tokens_and_scores, others.read_tokens_and_scores),
}


def read_object(given: Any, asked: Asked) -> Iterator[tuple[str, Scored]]:
    """Yield (form, scores) of each text that an object, or a sequence of objects, explains.

    Raises:
        InputError: no form recognises it, or it lacks what its form needs.
    """
    for name, form in EXPLANATION_FORMS.items():
        if form.knows(given):
            for scored in form.read(given, asked):
                yield name, scored
            return
    if isinstance(given, str | bytes | dict) or not hasattr(given, "__iter__"):
        raise others.unknown(given, tuple(EXPLANATION_FORMS))
    for one in given:
        yield from read_object(one, asked)
