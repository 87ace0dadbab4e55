from __future__ import annotations

import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9]_*.py"))
by_name = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
PATH = re.compile(r"(?<![\w/<.:])/(?:\w|\.)[\w.-]*/[\w.-]|[A-Z]:\\\\|/site-packages/|~/")


def notebook(script: Path) -> dict:
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def cells_of_script(script: Path) -> list[tuple[str, str]]:
    """(kind, source) of each cell of a percent script."""
    text = script.read_text(encoding="utf-8")
    _, *cells = re.split(r"^# %%", text, flags=re.M)
    found = []
    for cell in cells:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            found.append(("markdown", re.sub(r"^# ?", "", body.strip(), flags=re.M)))
        else:
            found.append(("code", re.sub(r"^# (?=%\w)", "", body.strip(), flags=re.M)))
    return found


def outputs(script: Path) -> list[dict]:
    return [output for cell in notebook(script)["cells"] for output in cell.get("outputs", ())]


def said(output: dict) -> str:
    """All text of an output: what was printed, and every text form of what was shown."""
    forms = [output.get("text", "")]
    forms += [v for kind, v in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(v if isinstance(v, str) else "".join(map(str, v)) for v in forms)


@by_name
def test_a_notebook_imports_nothing_of_the_suite_but_the_front_door(script):
    lines = re.findall(
        r"^(?:import|from) (?:rationale|eraser)\b.*$", script.read_text(encoding="utf-8"), re.M
    )
    assert lines == ["import rationale"]


@by_name
def test_a_notebook_asks_and_answers(script):
    """A section is a question as heading, code that shows something, and a sentence below it."""
    cells = cells_of_script(script)
    headings = [i for i, (_, text) in enumerate(cells) if text.startswith("## ")]
    assert all(cells[i][1].splitlines()[0].endswith("?") for i in headings)
    for start, end in zip(headings, [*headings[1:], len(cells)], strict=True):
        assert "code" in [kind for kind, _ in cells[start:end]]
        assert any(kind == "markdown" for kind, _ in cells[start + 1 : end]), cells[start][1]


def test_six_notebooks_each_a_script_and_a_notebook():
    assert [path.stem[0] for path in SCRIPTS] == list("123456")
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == [path.stem for path in SCRIPTS]


@by_name
def test_script_and_notebook_have_the_same_cells(script):
    cells = [(c["cell_type"], "".join(c["source"]).strip()) for c in notebook(script)["cells"]]
    assert cells == cells_of_script(script)


@by_name
def test_every_code_cell_ran_in_order(script):
    counts = [c["execution_count"] for c in notebook(script)["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert any("image/png" in output.get("data", {}) for output in outputs(script))


@by_name
def test_no_output_is_an_error_or_a_warning_or_names_a_place(script):
    for output in outputs(script):
        assert output["output_type"] != "error"
        text = said(output)
        assert output.get("name") != "stderr", text
        assert "Warning" not in text
        assert "Traceback" not in text
        assert (place := PATH.search(text)) is None, text[max(0, place.start() - 40) : place.end() + 40]


@by_name
def test_saved_notebooks_are_of_the_bundled_sample(script):
    text = "\n".join(map(said, outputs(script)))
    assert "hatexplain test" not in text  # how `FinishedRun.basis` begins
    assert "movies test" not in text


@pytest.fixture
def subjects(monkeypatch):
    """What notebooks look at, with no variable set."""
    for name in ("RATIONALE_DATA", "RATIONALE_MODELS"):
        monkeypatch.delenv(name, raising=False)
    return importlib.import_module("notebooks.subjects")


def test_without_variables_notebooks_look_at_the_sample(subjects):
    assert subjects.movies() == {"dataset": "sample"}
    assert subjects.hatexplain() is None
    assert subjects.trained() == {"models": {"shipped": None}}


def test_a_variable_that_leads_nowhere_is_no_reason_to_look_at_the_sample(subjects, monkeypatch, tmp_path):
    monkeypatch.setenv("RATIONALE_DATA", str(tmp_path))
    monkeypatch.setenv("RATIONALE_MODELS", str(tmp_path / "models"))
    for asked, name, what in (
        (subjects.movies, "RATIONALE_DATA", "file {}/movies.tar.gz"),
        (subjects.hatexplain, "RATIONALE_DATA", "file {}/hatexplain.tar.gz"),
        (subjects.trained, "RATIONALE_MODELS", "folder {}/models"),
    ):
        with pytest.raises(FileNotFoundError) as refused:
            asked()
        assert str(refused.value) == f"{name} is set, but there is no {what.format(tmp_path)}"


def test_what_variables_name_is_looked_at(subjects, monkeypatch, tmp_path):
    movies, posts = (tmp_path / f"{name}.tar.gz" for name in ("movies", "hatexplain"))
    movies.touch()
    posts.touch()
    monkeypatch.setenv("RATIONALE_DATA", str(tmp_path))
    assert subjects.movies() == {"dataset": movies, "sample": 100}
    (model := tmp_path / "hatexplain-adapler").mkdir()
    monkeypatch.setenv("RATIONALE_MODELS", str(tmp_path))
    assert subjects.hatexplain() == {"dataset": posts, "model": model, "dense": None, "sample": 300}


@pytest.mark.parametrize("given", ["data", "./data", "/data"])
def test_make_gives_notebooks_the_folder_that_is_meant_where_it_runs(given, tmp_path):
    asked = "-f", "-", "print"
    rules = (ROOT / "Makefile").read_text().replace("\nhelp:", "\nprint:\n\t@echo $$RATIONALE_DATA\nhelp:", 1)
    environment = {"PATH": "/usr/bin:/bin", "RATIONALE_DATA": given}
    done = subprocess.run(
        ["make", *asked],
        input=rules,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / given)


@pytest.mark.parametrize(
    "text", ["/home/me/file", "in '/tmp/x1/run'", "C:\\\\x", "at /usr/lib", "/venv/site-packages/x"]
)
def test_places_are_recognised(text):
    assert PATH.search(text)


@pytest.mark.parametrize("text", ["warm / cold", "<b>x</b></td>", "token_f1/rate", "https://a.org/b", "1/2"])
def test_other_slashes_are_not(text):
    assert PATH.search(text) is None


def test_other_lines_of_standard_error_stay(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="comes with the extra 'notebooks'")
    from notebooks.tidy import tidy

    text = "a warning\nevaluate: 1,200 of 1,200 chunk in 1:02:03\nread f.csv: 3 rows in 0:03\n"
    output = nbformat.v4.new_output("stream", name="stderr", text=text)
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])]),
        tmp_path / "n.ipynb",
    )
    tidy(tmp_path / "n.ipynb")
    (cell,) = json.loads((tmp_path / "n.ipynb").read_text())["cells"]
    assert cell["outputs"][0]["text"] == ["a warning\n"]


def test_what_chance_named_is_numbered(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="comes with the extra 'notebooks'")
    from notebooks.tidy import PROGRESS, tidy

    def written(first: str, second: str, cell: str) -> bytes:
        shown = {"text/html": f"<table id='T_{first}'><td id='T_{first}_row0'>T_x</table><p id='T_{second}'>"}
        outputs = [
            nbformat.v4.new_output("display_data", shown),
            nbformat.v4.new_output("display_data", {PROGRESS: {}, "text/plain": "50%"}),
            nbformat.v4.new_output("stream", name="stderr", text="evaluate: 1 of 3 chunk, 0:09 left\n"),
            nbformat.v4.new_output("stream", name="stderr", text=f"evaluate: 3 of 3 chunk in 0:{cell}\n"),
        ]
        code = nbformat.v4.new_code_cell("x", outputs=outputs, id=cell, metadata={"execution": {"at": cell}})
        nbformat.write(nbformat.v4.new_notebook(cells=[code]), tmp_path / "n.ipynb")
        tidy(tmp_path / "n.ipynb")
        tidy(tmp_path / "n.ipynb")  # a second time changes nothing
        return (tmp_path / "n.ipynb").read_bytes()

    text = written("0a1b2", "c3d4e", "41")
    assert text == written("fffff", "00000", "19")
    (cell,) = json.loads(text)["cells"]
    (output,) = cell["outputs"]
    assert output["data"]["text/html"] == ["<table id='T_0'><td id='T_0_row0'>T_x</table><p id='T_1'>"]
