"""What the reference says of a public function: each argument where there are several, and what it raises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from tests.helpers.paths import ROOT

ENTRY = re.compile(r"^::: (\S+)\n(?: +options:\n +members: \[([^\]]*)\])?", re.M)
MANY = 4  # arguments, from which on each is described


def documented() -> dict[str, list[str] | None]:
    """The modules of the reference, and which of their names it shows; None: all public ones."""
    pages = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "reference").glob("*.md"))
    return {m[1]: re.split(r",\s*", m[2]) if m[2] else None for m in ENTRY.finditer(pages)}


def functions(module: str, names: list[str] | None) -> Iterator[tuple[str, ast.FunctionDef]]:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        shown = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not shown or (names is not None and node.name not in names):
            continue
        for found in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(found, ast.FunctionDef) and not found.name.startswith("_"):
                yield f"{module}.{node.name}.{found.name}", found


def raises(function: ast.FunctionDef) -> bool:
    """Whether it raises an error of its own; a method that subclasses must write does not count."""
    made = [ast.unparse(n.exc) for n in ast.walk(function) if isinstance(n, ast.Raise) and n.exc is not None]
    return any(not text.startswith("NotImplementedError") for text in made)


@pytest.mark.parametrize(("module", "names"), documented().items(), ids=documented())
def test_public_functions_say_what_they_take_and_raise(module, names):
    for name, function in functions(module, names):
        text = ast.get_docstring(function) or ""
        given = [a for a in function.args.args + function.args.kwonlyargs if a.arg not in ("self", "cls")]
        assert text, name
        assert "Raises:" in text or not raises(function), f"{name} does not say what it raises"
        assert "Args:" in text or len(given) < MANY, f"{name} does not describe its arguments"


@pytest.mark.parametrize(("module", "names"), documented().items(), ids=documented())
def test_what_the_reference_names_is_there(module, names):
    """The site leaves out, without a word, names that a module lacks."""
    place = import_module(module)
    if names is None:
        own = [found for found in vars(place).values() if getattr(found, "__module__", None) == module]
        assert own or place.__all__
    for name in names or ():
        assert not isinstance(getattr(place, name), ModuleType), name


def test_the_reference_is_read_and_its_faults_are_seen():
    assert "eraser.types" in documented()
    assert documented()["eraser.official"] == ["score_official"]
    (function,) = ast.parse("def f(x):\n    raise ValueError('x')").body
    assert isinstance(function, ast.FunctionDef)
    assert raises(function)
