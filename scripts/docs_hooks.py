"""What the documentation site makes from the code when it is built: tables, commands, equations, pages.

mkdocs calls the functions named on_… (mkdocs.yml). A line `<!-- made: NAME -->` stands for a table made from
the code, a line `[table: x.csv](x.csv)` for a CSV file beside the page. (Elsewhere it is a plain link.)
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

ROOT = Path(__file__).parents[1]
PAGES = {"LOG.md": "log.md", "CHANGELOG.md": "changelog.md"}  # of the repository's root → of the site
MADE = re.compile(r"^<!-- made: (\w+) -->$", flags=re.M)
CSV_TABLE = re.compile(r"^\[table: ([\w.-]+\.csv)\]\(\1\)$", flags=re.M)
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)\)")  # a link out of docs/
MATHS = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', flags=re.S)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")  # it lies among them now
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in what is made from the code; links out of docs/ lead to their page, or are text alone."""
    text = MADE.sub(lambda match: TABLES[match[1]](), markdown)
    folder = (ROOT / "docs" / page.file.src_uri).parent
    text = CSV_TABLE.sub(lambda match: csv_table(folder / match[1]), text)
    return OUTSIDE.sub(lambda match: _link(match[0], match[1], match[2], page.file.src_uri), text)


def _link(whole: str, text: str, target: str, page: str) -> str:
    if target in PAGES:
        return f"[{text}]({'../' * page.count('/')}{PAGES[target]})"
    return whole if (ROOT / "docs" / target).exists() and "/" in page else text


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Turn TeX into MathML, which browsers show without a script."""
    from latex2mathml.converter import convert

    def shown(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return str(convert(html.unescape(match[2]).strip(), display=display))

    return MATHS.sub(shown, content)


def csv_table(path: Path) -> str:
    """Return a CSV file as a Markdown table, cell by cell as it stands there."""
    from eraser.files.cells import unquoted

    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = ([unquoted(cell) for cell in row] for row in csv.reader(file))
    return _table(head, rows)


def methods_table() -> str:
    """Return METHODS, a row each."""
    from rationale.attribution import METHODS

    return _table(
        ("method", "score of a piece", "pieces to word", "sign", "settings it depends on", "source"),
        (
            (f"`{name}`", _says(m.scores), m.reduce, "±" if m.signed else "+", _names(m.uses), m.source)
            for name, m in METHODS.items()
        ),
    )


def metrics_table() -> str:
    """Return METRICS, a row each."""
    from eraser.metrics.table import METRICS

    better = {True: "higher", False: "lower", None: "–"}
    return _table(
        ("metric", "for one example", "aggregated by", "better", "range", "unit", "needs", "source"),
        (
            (
                f"`{name}`",
                _says(m.measure),
                m.fold.__name__,
                better[m.higher_is_better],
                f"{m.range[0]:g} to {m.range[1]:.3g}",
                m.unit,
                m.needs,
                m.source,
            )
            for name, m in METRICS.items()
        ),
    )


def recipes_table() -> str:
    """Return RECIPES, a row each."""
    from rationale.training.recipes.table import RECIPES

    return _table(
        ("recipe", "settings", "stages", "settings beyond the shared ones"),
        (
            (f"`train {name}`", r.settings.__name__, " → ".join(r.stages), _names(_own(r.settings)))
            for name, r in RECIPES.items()
        ),
    )


def data_table() -> str:
    """Return the data sets that can be fetched, a row each."""
    from eraser.data.catalog import ARCHIVES

    return _table(
        ("data set", "what it is", "licence", "examples"),
        (
            (f"`{name}`", a.about, a.licence, ", ".join(f"{s} {n:,}" for s, n in (a.counts or {}).items()))
            for name, a in ARCHIVES.items()
        ),
    )


def families_table() -> str:
    """Return what `make test-families` found of each family, a row each."""
    made = _found_of_families()
    head = ("family", "model type", "methods", "drops tokens, stops early", "can be pruned", "tests")
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    rows = [_family(name, found) for name, found in made["families"].items()]
    return f"Tested with {versions}.\n\n" + _table(head, rows)


def _family(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    refused = found["refused"]
    left_out = [f"`{what}`" for what in refused if what not in ("loading", "packed", "cut")]
    methods = "all but " + ", ".join(left_out) if left_out else "all"
    if "loading" in refused:
        methods = "none"
    packed = refused.keys().isdisjoint(("loading", "packed"))
    cut = packed and "cut" not in refused
    shown = {True: "yes", False: "no"}
    return name, f"`{found['model_type']}`", methods, shown[packed], shown[cut], str(found["tests"])


def refusals_table() -> str:
    """Return why something is refused of a family, a row for each reason."""
    families: dict[tuple[str, str], list[str]] = {}
    for name, found in _found_of_families()["families"].items():
        for what, reason in found["refused"].items():
            families.setdefault((what, reason), []).append(name)
    rows: dict[tuple[str, str], list[str]] = {}
    for (what, reason), names in families.items():
        rows.setdefault((reason, ", ".join(names)), []).append(f"`{what}`")
    return _table(
        ("families", "refused", "reason"),
        sorted((names, ", ".join(what), html.escape(reason)) for (reason, names), what in rows.items()),
    )


def _found_of_families() -> dict[str, Any]:
    made: dict[str, Any] = json.loads((ROOT / "docs" / "families.json").read_text(encoding="utf-8"))
    return made


def commands() -> str:
    """Return every command of `rationale`, with its options, as `--help` knows them."""
    import typer

    from rationale.cli import app

    return "\n".join(_command("rationale", typer.main.get_command(app)))


def _command(name: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from _command(f"{name} {part}", inner)
        return
    kinds = get_type_hints(command.callback)
    rows = [
        (f"`{' '.join(p.opts)}`" if p.opts[0].startswith("-") else f"`{p.name.upper()}`",
         _kind(kinds[p.name]), _default(p), p.help or "")
        for p in command.params
    ]  # fmt: skip
    yield f"## {name}\n\n{command.help}\n\n" + _table(("option", "value", "default", ""), rows)


def _kind(hint: Any) -> str:
    """Return what an option takes, from the type of the function's argument."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if inner := [h for h in get_args(hint) if h is not type(None)]:
        several = " …" if get_origin(hint) is list else ""
        return _kind(inner[0]) + several
    return {bool: "flag", Path: "path", str: "text", int: "whole number", float: "number"}[hint]


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    value = parameter.default
    return "" if value is None or value is False or not str(value) else f"`{value}`"


TABLES: dict[str, Callable[[], str]] = {
    "methods": methods_table,
    "metrics": metrics_table,
    "recipes": recipes_table,
    "data": data_table,
    "families": families_table,
    "refusals": refusals_table,
    "commands": commands,
}


def _says(function: Callable[..., Any]) -> str:
    """Return the first sentence of a docstring, without the word that begins it by custom."""
    first = (function.__doc__ or "").split("\n\n")[0]
    text = " ".join(first.split()).removeprefix("Return ").rstrip(".")
    return text[:1].upper() + text[1:]


def _own(settings: type[Any]) -> list[str]:
    from rationale.training.settings import AdaptiveSettings

    shared = {f.name for f in fields(AdaptiveSettings)}
    return [f.name for f in fields(settings) if f.name not in shared]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines) + "\n"
