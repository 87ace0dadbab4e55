"""The layout: imports run down only, in no circle; folders are small; the README's tree is what is there."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGES = {"eraser": ROOT, "rationale": ROOT, "rationale_viewer": ROOT / "app"}
FLOORS = """
    eraser.errors eraser.progress eraser.words eraser.labels eraser.spans eraser.text eraser.types
    eraser.files eraser.data eraser.load
    eraser.download eraser.metrics eraser.official eraser rationale.registration rationale.process
    rationale rationale.explanations rationale.pass_cache rationale.budgets rationale.settings rationale.text
    rationale.heads rationale.onnx rationale.text_classifier rationale.models.packed rationale.models
    rationale.inference rationale.hf rationale.blackbox rationale.named rationale.attribution
    rationale.evaluation rationale.hatexplain rationale.training rationale.export rationale.bench
    rationale.reproduce
    rationale.templates rationale.explanation rationale.stream rationale.llm rationale.report
    rationale.trusting rationale.front rationale.runners rationale.serve rationale.cli
    rationale.__main__ rationale_viewer
""".split()  # from the ground up; a module belongs to the longest name that it begins with
MOST_FILES = 12  # of a folder


@cache
def modules() -> dict[str, Path]:
    found = {}
    for name, parent in PACKAGES.items():
        for file in (parent / name).rglob("*.py"):
            parts = file.relative_to(parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imported(tree: ast.AST, for_types: bool) -> set[str]:
    """Modules of ours that code imports, in functions too; those that only types need where `for_types`."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {n if n in modules() else node.module for n in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        found |= imported(node, for_types)
    return found & modules().keys()


@cache
def arrows(for_types: bool = False) -> dict[str, set[str]]:
    return {name: imported(parsed(file), for_types) - {name} for name, file in modules().items()}


def floor(module: str) -> int:
    fitting = [f for f in FLOORS if module == f or module.startswith(f"{f}.")]
    return FLOORS.index(max(fitting, key=len))


def test_imports_run_down_only():
    up = [f"{a} -> {b}" for a, found in arrows().items() for b in found if floor(b) > floor(a)]
    assert up == []


def test_no_imports_run_in_a_circle():
    """Modules are taken away whose imports are all gone; in a circle none ever is. Types count too."""
    left = {name: set(found) for name, found in arrows(for_types=True).items()}
    while gone := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in gone}
    assert left == {}


def test_what_people_said_needs_no_torch():
    for name, file in modules().items():
        if name.startswith("eraser"):
            assert not re.search(
                r"^\s*(from|import) (torch|transformers|captum)\b", file.read_text(), re.M
            ), name


def test_the_viewer_is_imported_by_nothing_else():
    outside = {a: found for a, found in arrows().items() if not a.startswith("rationale_viewer")}
    assert [a for a, found in outside.items() if any(b.startswith("rationale_viewer") for b in found)] == []


def names_of(tree: ast.AST) -> set[str]:
    return {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(tree)} - {""}


def model_classes() -> set[str]:
    """Classes in rationale.models that are models, by the last word of what they are made of."""
    return {
        node.name
        for name, file in modules().items()
        if name.startswith("rationale.models.")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ClassDef)
        and any(n.endswith(("Module", "PreTrainedModel", "ForSequenceClassification"))
                for base in node.bases for n in names_of(base))
    }  # fmt: skip


def asked_classes(tree: ast.AST) -> set[str]:
    """Names in the questions of a class that code asks: isinstance, issubclass, `type(x) is`, `case X()`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and names_of(node.func) & {"isinstance", "issubclass"}:
            found |= names_of(node.args[1])
        elif isinstance(node, ast.Compare) and "type" in names_of(node.left):
            found |= set().union(*map(names_of, node.comparators))
        elif isinstance(node, ast.MatchClass):
            found |= names_of(node.cls)
    return found


def test_what_a_model_can_do_is_asked_of_models_capabilities():
    models = model_classes()
    assert {"AdaptiveForSequenceClassification", "AdaplerForSequenceClassification", "FullDepth"} <= models
    asked = {
        name: asked_classes(parsed(file)) & models
        for name, file in modules().items()
        if not name.startswith("rationale.models")
    }
    assert {name: found for name, found in asked.items() if found} == {}


@pytest.mark.parametrize(
    "question",
    [
        "isinstance(model, FullDepth)",
        "isinstance(model, (str, dact.FullDepth))",
        "issubclass(kind, FullDepth | str)",
        "type(model) is FullDepth",
        "match model:\n    case FullDepth(): pass",
    ],
)
def test_questions_of_a_class_are_found(question):
    assert "FullDepth" in asked_classes(ast.parse(question))


def test_no_folder_is_a_drawer():
    counts: dict[str, int] = {}
    for file in modules().values():
        folder = str(file.parent.relative_to(ROOT))
        counts[folder] = counts.get(folder, 0) + 1
    assert {folder: n for folder, n in counts.items() if n > MOST_FILES} == {}


def test_what_tests_share_lives_in_helpers():
    borrowed = {
        str(file.relative_to(ROOT)): found
        for file in (ROOT / "tests").rglob("*.py")
        if (found := re.findall(r"^\s*from (\S*test_\S*) import", file.read_text(), re.M))
    }
    assert borrowed == {}


def test_the_tree_of_the_readme_is_what_is_there():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    there = {str(Path(f).parent) for f in listed if Path(f).parts[0] in ("app", "eraser", "rationale")}
    block = (ROOT / "README.md").read_text().split("<!-- tree -->")[1]
    told, above = set(), []
    for line in block.splitlines():
        if match := re.match(r"( *)([\w/]+)/ ", line):
            depth = len(match[1]) // 2
            above[depth:] = [match[2]]
            told.add("/".join(above))
    assert told == there | {"app"}
