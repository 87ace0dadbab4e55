"""What adapters share: numbers of any library, and the class that is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, short_repr
from eraser.types import Floats


@dataclass(frozen=True)
class Asked:
    """Which class is read from an object that explains several.

    `target`: the label to take; None: the one that the tool's model predicted. `labels` are the names of
    classes in order, where the object only numbers them.
    """

    target: str | None = None
    labels: tuple[str, ...] = ()

    def name(self, number: Any, names: Any = None) -> str | None:
        """Return the label of a class that a tool gives by number or by name."""
        known = self.labels or (tuple(map(str, names)) if _is_list(names) else ())
        if number is None or isinstance(number, str):
            return number
        index = int(number)
        return known[index] if index < len(known) else str(index)


def _is_list(names: Any) -> bool:
    return names is not None and not isinstance(names, str) and len(names) > 0


def numbers(values: Any) -> Floats:
    """Return numbers of an array, a list, or a tensor of any device.

    Raises:
        InputError: they are none.
    """
    values = values.detach().cpu() if hasattr(values, "detach") else values
    values = values.float() if hasattr(values, "float") and callable(values.float) else values
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(Fault("numbers", short_repr(values))) from None


def of_class(
    values: Floats, output: Floats | None, names: Any, asked: Asked
) -> tuple[Floats, str | None, str | None]:
    """Return the scores [T] of one class of [T,C], the label predicted and the label explained.

    Args:
        values: [T,C], or [T] of one output.
        output: what the model answers [C], where that is known.
        names: of the classes, or of the one output.
        asked: which class.

    Raises:
        InputError: there is no such class, or the predicted one is not known.
    """
    if values.ndim == 1 or values.shape[1] == 1:
        one = names if isinstance(names, str) else names[0] if _is_list(names) and len(names) == 1 else None
        return values.reshape(-1), None, asked.target or (None if one is None else str(one))
    known = [asked.name(i, names) for i in range(values.shape[1])]
    label = None if output is None else known[int(np.argmax(output))]
    target = asked.target or label
    if target is None:
        raise InputError(Fault(f"target=…, a class of {', '.join(map(str, known))}", "none"))
    if target not in known:
        raise InputError(Fault(f"a class of {', '.join(map(str, known))}", short_repr(target)))
    return values[:, known.index(target)], label, target


def strings(tokens: Sequence[Any]) -> tuple[str, ...]:
    """Return tokens as strings; inseq's token objects give theirs."""
    found = tuple(getattr(token, "token", token) for token in tokens)
    if odd := [token for token in found if not isinstance(token, str)]:
        raise InputError(Fault("tokens that are strings", short_repr(odd[0])))
    return tuple(map(str, found))
