"""FORMS: how each tool's explanations are read. They are recognised by their attributes, without imports.

To add one: a function that recognises the tool's objects, one that reads them, and a line in FORMS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rationale.explanations.forms import lime_words, others, shap_values
from rationale.explanations.forms.values import Asked
from rationale.explanations.scored import Scored

__all__ = ["FORMS", "Asked", "Form", "read_object"]


class Form(NamedTuple):
    """How objects of a tool are recognised, and how they are read, text by text."""

    knows: Callable[[Any], bool]
    read: Callable[[Any, Asked], Iterator[Scored]]


FORMS: dict[str, Form] = {  # the first that knows an object reads it
    "shap": Form(shap_values.is_shap, shap_values.read_shap),
    "lime": Form(lime_words.is_lime, lime_words.read_lime),
    "captum": Form(others.is_captum_record, others.read_captum_record),
    "captum-llm": Form(others.is_captum_llm, others.read_captum_llm),
    "inseq": Form(others.is_inseq, others.read_inseq),
    "ferret": Form(others.is_ferret, others.read_ferret),
    "ferret-evaluation": Form(others.is_ferret_evaluation, others.read_ferret),
    "interpreto": Form(others.is_interpreto, others.read_interpreto),
    "rationale": Form(others.is_ours, others.read_ours),
    "word-weights": Form(lime_words.is_word_list, lime_words.read_word_list),
    "tokens": Form(others.is_tokens_and_scores, others.read_tokens_and_scores),
}


def read_object(given: Any, asked: Asked) -> Iterator[tuple[str, Scored]]:
    """Yield (form, scores) of each text that an object, or a sequence of objects, explains.

    Raises:
        InputError: no form recognises it, or it lacks what its form needs.
    """
    for name, form in FORMS.items():
        if form.knows(given):
            for scored in form.read(given, asked):
                yield name, scored
            return
    if isinstance(given, str | bytes | dict) or not hasattr(given, "__iter__"):
        raise others.unknown(given, tuple(FORMS))
    for one in given:
        yield from read_object(one, asked)
