"""Options of a command made from dataclasses: each field with a help text is an option.

A command takes the whole object as one keyword-only parameter; its name, type and default are the field's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

Command = Callable[..., None]


@dataclass(frozen=True)
class _Option:
    """An option: its parameter, its type with help text, and what reads its text if it is no plain value."""

    name: str
    hint: Any
    default: Any
    parse: Callable[[Any], Any] | None = None

    def parameter(self) -> inspect.Parameter:
        default = inspect.Parameter.empty if self.default is MISSING else self.default
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=self.hint
        )


def from_settings(without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Replace each parameter of a command that is a dataclass, or `partial[dataclass]`, by its options.

    A `partial` lacks the fields that the command fills in later. A field that is also a parameter of the
    command is not an option of the dataclass.

    Args:
        without: fields that are no options of this command, and keep their default.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        signature = inspect.signature(command)
        kinds = {name: kind for name in signature.parameters if (kind := _kind(hints[name])) is not None}
        own = [p.replace(annotation=hints[n]) for n, p in signature.parameters.items() if n not in kinds]
        skipped = {*without, *(p.name for p in own)}
        options = {name: list(_options(kind, skipped)) for name, kind in kinds.items()}

        def run(**values: Any) -> None:
            made = {name: _made(hints[name], kinds[name], options[name], values, skipped) for name in kinds}
            command(**{p.name: values[p.name] for p in own}, **made)

        made = [option.parameter() for of_kind in options.values() for option in of_kind]
        ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + made
        ordered.sort(key=lambda p: p.default is not inspect.Parameter.empty)  # what is needed comes first
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in ordered}
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        return run

    return decorate


def _kind(hint: Any) -> type[Any] | None:
    """Return the dataclass that a parameter asks for, if it asks for one."""
    inner = get_args(hint)[0] if get_origin(hint) is partial else hint
    return inner if isinstance(inner, type) and is_dataclass(inner) else None


def _options(kind: type[Any], skipped: Collection[str]) -> Iterator[_Option]:
    """Yield the options of a dataclass, those of dataclasses inside it too."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        if (inner := _inner(field)) is not None:
            found = _options(type(inner), skipped)
            yield from (replace(option, default=getattr(inner, option.name)) for option in found)
        elif field.name not in skipped and (option := _option(field, hints[field.name])) is not None:
            yield option


def _inner(field: Field[Any]) -> Any:
    """Return the dataclass object that a field holds by default; None if it holds a plain value."""
    value = None if field.default_factory is MISSING else field.default_factory()
    return value if is_dataclass(value) else None


def _option(field: Field[Any], hint: Any) -> _Option | None:
    """Return a field's option; None without a help text."""
    if get_origin(hint) is Annotated:
        return _Option(field.name, hint, field.default)
    if "help" not in field.metadata:
        return None
    flag = (f"--{field.name.replace('_', '-')}",) if hint is bool else ()
    parse = field.metadata.get("parse")
    shown = hint if parse is None else str | None
    return _Option(
        field.name, Annotated[shown, typer.Option(*flag, help=field.metadata["help"])], field.default, parse
    )


def _made(
    hint: Any,
    kind: Callable[..., Any],
    options: list[_Option],
    values: Mapping[str, Any],
    skipped: Collection[str],
) -> Any:
    """Return the object that a parameter asks for, with the values of its options."""
    found = {o.name: values[o.name] if o.parse is None else o.parse(values[o.name]) for o in options}
    outer: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
        if (inner := _inner(field)) is not None:
            names = {f.name for f in fields(inner)} - set(skipped)
            outer[field.name] = replace(inner, **{n: found[n] for n in names if n in found})
        elif field.name in found:
            outer[field.name] = found[field.name]
    return partial(kind, **outer) if get_origin(hint) is partial else kind(**outer)
