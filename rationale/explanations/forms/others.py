"""Objects that hold a text's tokens and their scores, under the names that their libraries gave them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.types import Floats
from rationale.explanations.forms.values import Asked, numbers, of_class, strings
from rationale.explanations.scored import Scored


def _has(*names: str) -> Any:
    return lambda given: all(hasattr(given, name) for name in names)


def _flat(values: Any, what: str) -> Floats:
    """Return one score for each token [T]; of vectors [T,D], their sums."""
    found = numbers(values)
    if found.ndim in (2, 3) and found.shape[0] == 1:
        found = found[0]  # a batch of one
    if found.ndim not in (1, 2):
        raise InputError(Fault(f"{what} of shape [T] or [T,D]", str(list(found.shape))))
    return found if found.ndim == 1 else np.asarray(found.sum(1))


# captum: its record for showing, its results of language models; or tokens and attributions as they are

is_captum_record = _has("word_attributions", "raw_input_ids", "attr_class")
is_captum_llm = _has("seq_attr", "input_tokens", "output_tokens")


def read_captum_record(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the text of a VisualizationDataRecord, whose `raw_input_ids` are tokens."""
    label, target = (asked.name(_number(x)) for x in (given.pred_class, given.attr_class))
    scores = _flat(given.word_attributions, "word_attributions")
    yield Scored(scores, strings(given.raw_input_ids), label=label, target=target)


def _number(value: Any) -> Any:
    """Return a class as a tool keeps it: a tensor of one number as that, a number in a text too."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def read_captum_llm(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the prompt of an LLMAttributionResult: scores for all that was generated."""
    yield Scored(_flat(given.seq_attr, "seq_attr"), strings(given.input_tokens), target=asked.target)


def is_tokens_and_scores(given: Any) -> bool:
    """Return whether it is a pair (tokens, attributions), or a mapping that has both."""
    if isinstance(given, Mapping):
        return bool({"tokens", "words"} & given.keys()) and bool({"scores", "attributions"} & given.keys())
    pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], list | tuple)
    return pair and bool(len(given[0])) and all(isinstance(token, str) for token in given[0])


def read_tokens_and_scores(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the one text's; attributions [T,D] are summed over D."""
    if not isinstance(given, Mapping):
        yield Scored(_flat(given[1], "attributions"), strings(given[0]), target=asked.target)
        return
    tokens = given["tokens"] if "tokens" in given else given["words"]
    scores = given["scores"] if "scores" in given else given["attributions"]
    id = None if given.get("id") is None else str(given["id"])
    label, target = (asked.name(given.get(name)) for name in ("label", "target"))
    places = given.get("offsets")
    spans = None if places is None else tuple((int(a), int(b)) for a, b in places)
    found = _flat(scores, "attributions")
    yield Scored(found, strings(tokens), spans, given.get("text"), label, target or asked.target, id)


# inseq: attributions of generated tokens, to the source or, of a decoder, to the prompt

is_inseq = _has("sequence_attributions")


def read_inseq(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield each sequence's input tokens, their scores summed over what was generated."""
    for one in given.sequence_attributions:
        source = one.source_attributions
        values = numbers(source if source is not None else one.target_attributions)
        if values.ndim != 2:
            expected = "one score for each pair of tokens (call .aggregate() on inseq's output first)"
            raise InputError(Fault(expected, f"scores of shape {list(values.shape)}"))
        tokens = strings(one.source if source is not None else one.target[: one.attr_pos_start])
        scores = np.nansum(values[: len(tokens)], axis=1)
        yield Scored(scores, tokens, target=asked.target)


# ferret: text, tokens, scores, and the class; or an explanation inside its evaluation

is_ferret = _has("tokens", "scores", "explainer", "target")
is_ferret_evaluation = _has("explanation", "evaluation_scores")


def read_ferret(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the one text's."""
    one = getattr(given, "explanation", given)
    target = asked.name(_number(one.target))
    yield Scored(_flat(one.scores, "scores"), strings(one.tokens), target=target)


# interpreto: attributions [C,T] or [T] of elements

is_interpreto = _has("attributions", "elements", "granularity")


def read_interpreto(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the one text's; of what was generated, the sum over it."""
    values = numbers(given.attributions)
    tokens = strings(given.elements)
    if values.ndim == 2 and "GENERATION" in str(given.model_task).upper():
        n_input = len(tokens) - values.shape[0]
        yield Scored(np.nansum(values, axis=0)[:n_input], tokens[:n_input], target=asked.target)
        return
    classes = given.targets if given.classes is None else given.classes
    names = [asked.name(int(c)) for c in numbers(classes).reshape(-1)]
    scores, label, target = of_class(values.T if values.ndim == 2 else values, None, names, asked)
    yield Scored(scores, tokens, label=label, target=target)


# our own

is_ours = _has("words", "spans", "scores", "probs", "target")


def read_ours(given: Any, asked: Asked) -> Iterator[Scored]:
    """Yield the text of an Explanation that `rationale.explain` returned."""
    yield Scored(
        numbers(given.scores), tuple(given.words), tuple(given.spans), given.text, given.label, given.target
    )


def unknown(given: Any, names: Sequence[str]) -> InputError:
    """Return the error for an object that no form recognises."""
    return InputError(Fault(f"explanations of {', '.join(names)}", short_repr(given)))
