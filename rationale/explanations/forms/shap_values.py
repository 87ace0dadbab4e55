"""shap.Explanation of texts: values [N,T,C] or [N,T], the tokens in `data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eraser.errors import Fault, InputError, short_repr
from rationale.explanations.forms.values import Asked, numbers, of_class, strings
from rationale.explanations.scored import Scored


def is_shap(given: Any) -> bool:
    """Return whether it is such."""
    return all(hasattr(given, name) for name in ("values", "base_values", "data", "output_names"))


def read_shap(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield each text's; the class predicted is that of the largest output, which values sum up to."""
    if given.data is None or not len(given.data):
        raise InputError(Fault("shap values of texts, with their tokens in data", short_repr(given.data)))
    if isinstance(given.data[0], str):
        yield _one(given.values, given.base_values, given.data, given.output_names, asked)
        return
    for i, tokens in enumerate(given.data):
        base = None if given.base_values is None else given.base_values[i]
        yield _one(given.values[i], base, tokens, given.output_names, asked)


def _one(values: Any, base: Any, tokens: Any, names: Any, asked: Asked) -> Scored:
    found = numbers(values)
    output = None if base is None else numbers(base) + found.sum(0)
    scores, label, target = of_class(found, output, names, asked)
    read = strings(tokens)
    return Scored(scores, read, text="".join(read), label=label, target=target)  # tokens keep their spaces
