from __future__ import annotations

import re
import shlex
import subprocess

import pandas as pd
import pytest
import typer

from rationale.attribution import METHODS
from rationale.cli import app
from tests.helpers.doc_blocks import DOCUMENTS, ROOT, RUN, blocks, commands, do, same_output

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
NESTED = {f"{g} {n}" for g, c in GROUP.commands.items() for n in getattr(c, "commands", ())}
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, flags=re.M))
HOWTOS = ROOT / "docs" / "howto"  # done from top to bottom in test_howtos.py
SHELL = [(d, b) for d in DOCUMENTS if d.parent != HOWTOS for b in blocks(d) if b.language == "bash"]


def command_of(words):
    """Return the command that the words after `rationale` call, and its arguments."""
    two = " ".join(words[:2])
    name = two if two in NESTED else words[0]
    found = GROUP
    for part in name.split():
        assert part in found.commands, words
        found = found.commands[part]
    return found, words[len(name.split()) :]


def test_the_readme_is_under_two_screens():
    (tree,) = re.findall(r"<!-- tree -->.*<!-- tree -->\n", README, flags=re.S)
    assert len(README.replace(tree, "").splitlines()) <= 85
    (example,) = (b for b in blocks(ROOT / "README.md") if b.language == "python")
    assert len(example.code.split("\n\n")[1].splitlines()) <= 5


def test_no_block_of_the_documents_goes_unread():
    """A fence in another form would be passed over by every test here."""
    for document in DOCUMENTS:
        fences = re.findall(r"^\s*```", document.read_text(encoding="utf-8"), flags=re.M)
        assert len(fences) == 2 * len(blocks(document)), document


def test_blocks_know_their_file_and_line(tmp_path):
    page = tmp_path / "p.md"
    page.write_text(
        '# P\n\n```python title="a.py"\nx = 1\n```\n\n<!-- not run: takes hours -->\n'
        "```bash\nrationale score \\\n  --split t  # c\n```\n"
    )
    code, shell = blocks(page)
    assert (code.language, code.title, code.code, code.line) == ("python", "a.py", "x = 1\n", 4)
    assert (code.not_run, shell.not_run, shell.line) == (None, "takes hours", 9)
    assert shell.follows
    assert list(commands(shell)) == [["rationale", "score", "--split", "t"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_no_two_commands_of_a_page_write_to_one_folder(document):
    """A folder with a model of other settings is refused, one with a run of others written over."""
    shell = (b for b in blocks(document) if b.language == "bash")
    outs = [w[w.index("--out") + 1] for block in shell for w in commands(block) if "--out" in w]
    assert not {out for out in outs if outs.count(out) > 1}


def test_no_two_pages_write_to_one_folder():
    """Who follows one page after the other would be refused; what takes hours may repeat."""
    pages = {}
    for document in DOCUMENTS:
        run = (b for b in blocks(document) if b.language == "bash" and not b.not_run)
        for words in (w for block in run for w in commands(block) if "--out" in w):
            pages.setdefault(words[words.index("--out") + 1], set()).add(document.name)
    assert not {out: found for out, found in pages.items() if len(found) > 1}


@pytest.mark.parametrize(
    ("document", "block"), SHELL, ids=lambda x: getattr(x, "name", getattr(x, "line", ""))
)
def test_commands_in_the_documents_exist(document, block):
    variables = {}
    for words in commands(block):
        while words and re.match(r"\w+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[f"${name}"] = shlex.split(value)
        program, *rest = [part for word in words for part in variables.get(word, [word])] or ["true"]
        if program == "rationale":
            found, arguments = command_of(rest)
            flags = {flag for parameter in found.params for flag in parameter.opts}
            used = {word.partition("=")[0] for word in arguments if word.startswith("--")}
            assert used <= flags, (words, used - flags)
        elif program == "make":
            assert set(rest) <= TARGETS, words
        elif program == "python":
            file = rest[1].replace(".", "/") + ".py" if rest[0] == "-m" else rest[0]
            assert (ROOT / file).is_file(), words
        else:
            assert program in ("pip", "pytest", "true") or (ROOT / program).is_file(), words


def test_flags_and_targets_in_the_text_exist():
    flags, todo = {"--help"}, [GROUP]
    while todo:
        command = todo.pop()
        flags |= {flag for parameter in command.params for flag in parameter.opts}
        todo += getattr(command, "commands", {}).values()
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.S | re.M)
        for code in re.findall(r"`([^`\n]+)`", text):
            assert set(re.findall(r"(?<!\S)--[a-z][\w-]+", code)) <= flags, (document, code)
            if make := re.match(r"make ([a-z-]+)", code):
                assert make[1] in TARGETS, (document, code)


def test_links_between_the_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), (document, target)


def test_each_test_that_a_promise_names_is_there():
    security = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/.]+)`", security))
    assert len(named) > 20
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_figures_in_the_readme_are_in_the_results():
    files = [f for f in (ROOT / "docs" / "results").iterdir() if f.suffix in (".md", ".csv")]
    results = "".join(file.read_text(encoding="utf-8") for file in files).replace("**", "")
    (section,) = re.findall(r"^## Results in short\n(.*?)^## ", README, flags=re.S | re.M)
    figures = re.findall(r"\d\.\d{3} \[[^\]]+\]|\b\d\.\d\d\b|\b\d,\d{3}\b", section)
    assert len(figures) >= 11
    for figure in figures:
        assert figure in results, figure


def test_make_alone_lists_the_targets():
    out = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("evaluate", "test", "check", "lint", "types", "docs"):
        assert re.search(rf"^{target}\s+\S", out, flags=re.M)


def test_continuous_integration_and_hooks_run_make_check():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith('|| set -- check\nmake "$@"')
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"entry: make (\w+)", hooks)) == {"lint", "types", "test"}


def test_guide_and_protocol_name_every_method():
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for name in METHODS:
        assert f"`{name}`" in guide, name
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    for name in METHODS:
        short = "`_" + name.rpartition("_")[2] + "`"  # gradient_x_input, `_l1`
        assert f"`{name}`" in protocol or short in protocol, name


# --- pages that are done from top to bottom; docs/howto/ in test_howtos.py

RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("guide", "tutorial", "faq", "scale")]
DONE = {ROOT / "README.md", *PAGES, *RECIPES}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the shipped model where a checkout has it."""
    from rationale.hf.classifier import SHIPPED

    (tmp_path / "rationale").mkdir()
    (tmp_path / "rationale" / "movies_model").symlink_to(SHIPPED)
    return tmp_path


def test_every_block_is_run_or_says_why_not():
    left = {
        (document.name, block.line)
        for document in DOCUMENTS
        for block in blocks(document)
        if block.language in RUN and not (block.title or block.not_run)
        if document not in DONE and document.parent != HOWTOS
    }
    assert left == set()


def test_a_page_is_held_to_what_it_prints(tmp_path, monkeypatch):
    page = tmp_path / "p.md"
    promise = "```python\nprint('loss', 0.251, [1])\n```\n\n```text\nloss {} [1]\n```\n"
    page.write_text(promise.format("0.25"))
    do(page, tmp_path, monkeypatch)
    page.write_text(promise.format("0.35"))
    with pytest.raises(AssertionError, match=r"loss 0\.251 \[1\]"):
        do(page, tmp_path, monkeypatch)


def test_outputs_are_the_same_but_for_the_last_digit():
    assert same_output("a  1.004 b\n", "a 1.00\nb")
    assert not same_output("a 1.02", "a 1.00")
    assert not same_output("a 1.00 b", "a 1.00")
    assert not same_output("12", "13")


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", *RECIPES], ids=lambda page: page.stem)
def test_readme_and_recipes_print_what_they_show(page, checkout, monkeypatch):
    assert any(b.language == "text" and b.follows for b in blocks(page))
    do(page, checkout, monkeypatch)


def test_no_recipe_is_longer_than_a_page():
    for page in RECIPES:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 70, page
        assert page.read_text(encoding="utf-8").count("**How to read it.**") == 1, page


@pytest.mark.slow
def test_guide(checkout, monkeypatch):
    do(ROOT / "docs" / "guide.md", checkout, monkeypatch)
    scores = pd.read_csv(checkout / "runs/reviews/scores.csv")
    assert set(scores[scores.metric == "token_f1"].n) == {2}


@pytest.mark.slow
def test_tutorial(checkout, monkeypatch):
    names = do(ROOT / "docs" / "tutorial.md", checkout, monkeypatch)
    assert names["found"].method == "leave_one_out"
    scores = names["scores"]
    assert set(scores[scores.metric == "token_f1"].n) == {4}
    written = {"report.html", "scores.csv", "summary.tex", "predictions"}
    assert written <= {p.name for p in (checkout / "runs/mine").iterdir()}


def test_faq_python(tmp_path, monkeypatch):
    names = do(ROOT / "docs" / "faq.md", tmp_path, monkeypatch, languages=("python",))
    assert names["found"].target == "NEG"


def test_scale_python(classifier, tmp_path, monkeypatch):
    from rationale.settings import StreamSettings
    from rationale.stream import collect, stream

    names = do(ROOT / "docs" / "scale.md", tmp_path, monkeypatch, languages=("python",))
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "A warm , moving film ."}\n{"text": "Dull ."}\n')
    settings = StreamSettings(file=str(file), model="m", methods=("random",), chunk=1)
    collect(stream(classifier, settings, tmp_path / "out"))
    assert names["words_above"](tmp_path / "out", float("-inf")) == 8
    assert names["words_above"](tmp_path / "out", float("inf")) == 0
