"""HEADS: what a model's logits are, how they become answers, and which numbers can be explained.

`problem_type` and the number of logits decide which head a model has. To add one: a line in HEADS.

Axes: N text, L logit, C answer. Only a logit that is read as two classes makes more answers than logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eraser import Fault, InputError
from eraser.errors import short_repr
from eraser.labels import SEVERAL, join_labels, split_labels
from eraser.types import Floats, Kind
from rationale.settings import THRESHOLD, Explain

if TYPE_CHECKING:
    from torch import Tensor

Head = Literal["softmax", "sigmoid", "two_classes", "value", "given", "given_labels"]
MULTI_LABEL, REGRESSION = "multi_label_classification", "regression"  # of a configuration's problem_type
VALUE = "value"  # the name of a number whose model has none for it


@dataclass(frozen=True)
class HeadOf:
    """What a head answers, how its logits [N,L] become answers [N,C], and what can be explained of an answer.

    `explained` maps each way to (logits [N,L], answer of each [N]) → [N]; the first is the usual one.
    """

    kind: Kind
    answers: Callable[[Floats], Floats]
    explained: Mapping[Explain, Callable[[Tensor, Tensor], Tensor]]

    @property
    def usual(self) -> Explain:
        """What is explained where nothing is said."""
        return next(iter(self.explained))


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))  # [N,L]
    found: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return found


def _sigmoid(logits: Floats) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0.0, -logits))
    return found


def _two(logits: Floats) -> Floats:
    """Return [1 − σ(z), σ(z)]."""
    return _sigmoid(logits * np.array([-1.0, 1.0]))


def _themselves(logits: Floats) -> Floats:
    return logits


def _picked(logits: Tensor, target: Tensor) -> Tensor:
    return logits.gather(1, target[:, None])[:, 0]


def _probability(logits: Tensor, target: Tensor) -> Tensor:
    return _picked(logits.softmax(-1), target)


def _margin(logits: Tensor, target: Tensor) -> Tensor:
    """Return the lead over the best other."""
    others = logits.scatter(1, target[:, None], -math.inf)
    return _picked(logits, target) - others.amax(-1)


def _chance(logits: Tensor, target: Tensor) -> Tensor:
    return _picked(logits, target).sigmoid()


def _signed(logits: Tensor, target: Tensor) -> Tensor:
    """Return z for the second class, −z for the first."""
    return logits[:, 0] * (2 * target - 1)


def _signed_chance(logits: Tensor, target: Tensor) -> Tensor:
    return _signed(logits, target).sigmoid()


HEADS: dict[Head, HeadOf] = {
    "softmax": HeadOf("class", _softmax, {"logit": _picked, "probability": _probability, "margin": _margin}),
    # a label's margin is its lead over its own absence: its logit
    "sigmoid": HeadOf("labels", _sigmoid, {"logit": _picked, "probability": _chance, "margin": _picked}),
    "two_classes": HeadOf(
        "class", _two, {"logit": _signed, "probability": _signed_chance, "margin": _signed}
    ),
    "value": HeadOf("value", _themselves, {"logit": _picked}),
    # of a function that gives probabilities, and has no logits
    "given": HeadOf("class", _themselves, {"probability": _picked}),
    "given_labels": HeadOf("labels", _themselves, {"probability": _picked}),
}


def explained(logits: Tensor, target: Tensor, explain: Explain, head: Head) -> Tensor:
    """Return the explained numbers [N], from logits [N,L] and answers [N].

    Raises:
        InputError: the head has no such thing.
    """
    check_explain(explain, head)
    return HEADS[head].explained[explain](logits, target)


def check_explain(explain: Explain, head: Head) -> None:
    """Refuse to explain what a head lacks: a function has no logits, a number no probability."""
    ways = HEADS[head].explained
    if explain not in ways:
        what = "a function of texts" if head.startswith("given") else "a model that gives a number"
        raise InputError(Fault(f"explain as {' or '.join(ways)}, for {what}", repr(explain)))


def same_answer(head: Head, one: str, other: str) -> bool:
    """Return whether two labels are the same answer: of several labels the order does not matter."""
    if HEADS[head].kind == "labels":
        return set(split_labels(one)) == set(split_labels(other))
    return one == other


def predicted_label(head: Head, labels: Sequence[str], answers: Floats, threshold: float = THRESHOLD) -> str:
    """Return the prediction from answers [C]: the best class, all labels above the threshold, or the number.

    Args:
        head: of HEADS.
        labels: the model's, in the order of its answers.
        answers: probabilities [C], or one number.
        threshold: of multi-label models.

    >>> import numpy as np
    >>> predicted_label("sigmoid", ("a", "b", "c"), np.array([0.7, 0.1, 0.6]))
    'a|c'
    """
    match HEADS[head].kind:
        case "class":
            return labels[int(answers.argmax())]
        case "labels":
            return join_labels(x for x, p in zip(labels, answers, strict=True) if p > threshold)
    return f"{float(answers[0]):.6g}"


# ── which head a model has ──────────────────────────────────────────────────────────────────────────────


def problem_type(config: Any) -> str | None:
    """Return the `problem_type` of a configuration, or of the classifier inside an adaptive one."""
    record = config.to_dict()
    while isinstance(record.get("encoder"), dict) and record.get("problem_type") is None:
        record = record["encoder"]
    found: str | None = record.get("problem_type")
    return found


def read_head(
    config: Any, given: Sequence[str] | None, place: str | Path
) -> tuple[Head, tuple[str, ...], int]:
    """Return a model's head, the names of its answers, and how many logits it has.

    Args:
        config: the model's.
        given: the user's names, if any: two for one logit make it two classes.
        place: where the model is from.

    Raises:
        InputError: several logits that are numbers, names that do not fit, or its own in another order.
    """
    names = config.id2label or {}
    own = tuple(str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0])))
    head = _head(problem_type(config), len(own), 0 if given is None else len(given))
    found = own if given is None else tuple(given)
    if head == "value" and len(own) > 1:
        raise InputError(Fault("one number from a regression", f"{len(own)}: {list(own)}", place))
    if head == "value" and found == ("LABEL_0",):
        found = (VALUE,)
    _check_names(head, found, len(own), place)
    _check_order(found, own, place)
    return head, found, len(own)


def _head(problem: str | None, logits: int, given: int) -> Head:
    if logits == 1 and given == 2:  # noqa: PLR2004 (two classes)
        return "two_classes"
    if problem == MULTI_LABEL:
        return "sigmoid"
    return "value" if logits == 1 or problem == REGRESSION else "softmax"


def _check_order(names: Sequence[str], own: Sequence[str], place: str | Path) -> None:
    """Refuse the model's own names in another order, which would swap its answers."""
    if set(names) == set(own) and tuple(names) != tuple(own):
        expected = f"the model's own labels in their own order, {','.join(own)}"
        raise InputError(Fault(expected, ",".join(names), place))


def _check_names(head: Head, names: Sequence[str], logits: int, place: str | Path) -> None:
    if len(set(names)) < len(names):
        raise InputError(Fault.of(f"duplicate labels: {short_repr(list(names), 100)}", place))
    if head != "two_classes" and len(names) != logits:
        expected = f"{logits} labels, as the model has"
        if logits == 1:
            expected = "1 label, as the model has one logit, or 2 to read it as two classes"
        raise InputError(Fault(expected, f"{len(names)}: {list(names)}", place))
    if head == "sigmoid" and (bad := [x for x in names if SEVERAL in x or not x.strip()]):
        raise InputError(Fault(f"labels without {SEVERAL}, which joins several", repr(bad[0]), place))
