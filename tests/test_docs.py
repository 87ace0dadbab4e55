from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rationale.attribution import METHODS
from rationale.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_readme_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    assert len(code.strip().splitlines()) <= 12
    exec(compile(code, "README.md", "exec"), {})
    label, *words = capsys.readouterr().out.splitlines()
    assert re.match(r"(POS|NEG) \{'NEG': 0\.\d+, 'POS': 0\.\d+\}", label)
    assert len(words) == 3
    scores = [float(line.split()[-1]) for line in words]
    assert scores == sorted(scores, reverse=True)


def test_commands_in_the_documents_exist():
    import typer

    group = typer.main.get_command(app)
    nested = {f"{g} {n}" for g, c in group.commands.items() for n in getattr(c, "commands", ())}
    names = nested | {*group.commands}
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        blocks = re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.S)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            match = re.match(r"(?:\S+=\S+ )*rationale (\w+(?: (?!-)\w+)?)(.*)", line)
            if match is None:
                continue
            command = match[1] if match[1] in names else match[1].split()[0]
            assert command in names, line
            found = group
            for part in command.split():
                found = found.commands[part]
            flags = {flag for parameter in found.params for flag in parameter.opts}
            for flag in re.findall(r"(?<!\S)--[\w-]+", match[2]):
                assert flag in flags, line


def test_make_alone_lists_the_targets():
    out = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("evaluate", "test", "check", "lint", "types"):
        assert re.search(rf"^{target}\s+\S", out, flags=re.M)


def test_continuous_integration_and_hooks_run_make_check():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make check")
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"entry: make (\w+)", hooks)) == {"lint", "types", "test"}


def test_readme_and_protocol_name_every_method():
    for name in METHODS:
        assert f"`{name}`" in README, name
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    for name in METHODS:
        short = "`_" + name.rpartition("_")[2] + "`"  # gradient_x_input, `_l1`
        assert f"`{name}`" in protocol or short in protocol, name
