"""What a run's settings say: the command that computes it again, and what was explained."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from eraser.load import SAMPLE_NAME
from rationale.attribution import METHODS
from rationale.settings import SHIPPED, EvaluateSettings

NO_OPTION = frozenset({"fractions"})  # settings that only Python can choose
ALWAYS = ("dataset", "model", "split")
IN_MEMORY = " (in memory)"  # ends the name of a model that no command can load
THE_SHIPPED = "the shipped one"  # whose path is another on each machine


USUAL = {f.name: None if f.default is MISSING else f.default for f in fields(EvaluateSettings)}
EXPLAINED = ("target", "explain", "threshold", "explain_query")  # settings of what was explained


def model_name(model: str) -> str:
    """Return what pages call a model: the path or name that was given, but for the shipped one."""
    return THE_SHIPPED if Path(model).resolve() == SHIPPED.resolve() else model


def command_of(settings: Mapping[str, Any]) -> str | None:
    """Return `rationale evaluate` with the options that give these settings; None where none do.

    A file of the user's own (`--data`, `--labels`), how it is read, and `--inside` are no settings: the page
    says so.
    """
    changed = {n: v for n, v in settings.items() if n in ALWAYS or _plain(v) != _plain(USUAL.get(n))}
    changed |= {n: settings[n] for n in ("methods", "budgets") if n in settings}
    if changed.get("dataset") == SAMPLE_NAME and model_name(str(changed.get("model"))) == THE_SHIPPED:
        del changed["model"]  # it is what the command then takes
    if any(str(settings.get(name)).endswith(IN_MEMORY) for name in ("model", "dense")):
        return None
    if changed.keys() & NO_OPTION or any(m not in METHODS for m in settings.get("methods", ())):
        return None
    options = [part for name, value in changed.items() for part in _option(name, value)]
    return shlex.join(["rationale", "evaluate", *options])


def explained(settings: Mapping[str, Any]) -> list[str]:
    """Return what was explained, where it is not the usual.

    >>> explained({"target": "label:NEG", "explain": "logit", "explain_query": True})
    ['target label:NEG', 'explain query']
    """
    chosen = {name: settings[name] for name in EXPLAINED if name in settings}
    changed = {name.replace("_", " "): v for name, v in chosen.items() if v != USUAL[name]}
    return [name if value is True else f"{name} {value}" for name, value in changed.items()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _option(name: str, value: Any) -> list[str]:
    """Return a setting as it is typed.

    >>> _option("budgets", ["gold", "top=3"]), _option("explain_query", True)
    (['--budget', 'gold', '--budget', 'top=3'], ['--explain-query'])
    """
    if name == "budgets":
        return [part for budget in value for part in ("--budget", str(budget))]
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    return [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
