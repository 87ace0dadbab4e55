"""The classifier that a command names: a folder, a hub id, or a function `package.module:function`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from eraser import Fault, InputError
from rationale.blackbox import BlackBox, from_callable
from rationale.process.children import installed_only
from rationale.text_classifier import TextClassifier

FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
OF_MODELS = {"max_length": None, "long_texts": "window", "precision": "float32"}  # not a function's


def is_function(model: str) -> bool:
    """Return whether a name is that of a function, as `package.module:function`, and of no file."""
    return FUNCTION.fullmatch(model) is not None and not Path(model).exists()


def load_named(
    model: str, labels: Sequence[str] | None, mask: str | None, how: Mapping[str, Any]
) -> TextClassifier:
    """Return a classifier by name.

    Args:
        model: folder, hub id, or `package.module:function`.
        labels: of its answers; default its own.
        mask: what a function reads in place of a masked word.
        how: options of `load_classifier`; a function reads texts whole and chooses its own device.

    Raises:
        InputError: it cannot be loaded, or settings do not fit it.
    """
    if not is_function(model):
        if mask is not None:
            raise InputError(
                Fault.of(
                    f"--mask {mask!r} is for functions; a model's tokenizer has its own mask token", model
                )
            )
        from rationale.hf.classifier import (  # a function needs no Hugging Face library
            cast_once,
            load_classifier,
        )

        return cast_once(load_classifier(model, labels=labels, **how))
    if bad := [n for n, usual in OF_MODELS.items() if how.get(n, usual) != usual]:
        message = f"{bad[0]} {how[bad[0]]} is for models; a function reads each text whole"
        raise InputError(Fault.of(message, model))
    return from_name(model, labels, mask)


def from_name(name: str, labels: Sequence[str] | None = None, mask: str | None = None) -> BlackBox:
    """Return a function, or an object with `predict_proba`, in an installed module as a classifier.

    Its version is a hash of the module's file, which does not cover what that reads at run time (weights, an
    API).

    Args:
        name: `package.module:function`.
        labels: of the columns; default the object's `classes_`.
        mask: put in place of masked words.

    Raises:
        InputError: it cannot be imported, or does not say its labels.
    """
    module, _, path = name.partition(":")
    found = _imported(module, name)
    file = getattr(found, "__file__", None)
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(Fault.of(f"the module {module} has no {path!r}", name))
        found = getattr(found, part)
    function = getattr(found, "predict_proba", found)
    names = [class_name(x) for x in getattr(found, "classes_", ())] if labels is None else list(labels)
    if not callable(function) or not names:
        expected = "a function with --labels, or an object with predict_proba and classes_"
        got = f"{type(found).__name__} without {'labels' if callable(function) else 'predict_proba'}"
        raise InputError(Fault(expected, got, name))
    code = Path(file).read_bytes() if file else b""
    box = from_callable(function, names, mask=mask, version=f"{name} {sha256(code).hexdigest()}")
    return replace(box, name=name)


def class_name(label: Any) -> str:
    """Return a class as scikit-learn has it as text: 1.0 is 1."""
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label) if whole else label)


def _imported(module: str, name: str) -> Any:
    try:
        with installed_only():
            return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
        line = (str(error).splitlines() or [""])[0]
        remedy = "install it, or add its folder to PYTHONPATH"
        message = f"the module cannot be imported ({remedy}): {type(error).__name__}: {line}"
        raise InputError(Fault.of(message, name)) from None
