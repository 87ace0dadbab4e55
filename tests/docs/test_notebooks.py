from __future__ import annotations

import json
import re
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
        if output.get("name") == "stderr":  # where training says how far it is, a record a line
            assert all(set(json.loads(line)) >= {"epoch"} for line in text.splitlines() if line), text
        assert "Warning" not in text
        assert "Traceback" not in text
        assert (place := PATH.search(text)) is None, text[max(0, place.start() - 40) : place.end() + 40]


@by_name
def test_saved_notebooks_are_of_the_bundled_sample(script):
    text = "\n".join(map(said, outputs(script)))
    assert "HateXplain: " not in text
    assert "ERASER movies: " not in text


@pytest.mark.parametrize(
    "text", ["/home/me/file", "in '/tmp/x1/run'", "C:\\\\x", "at /usr/lib", "/venv/site-packages/x"]
)
def test_places_are_recognised(text):
    assert PATH.search(text)


@pytest.mark.parametrize("text", ["warm / cold", "<b>x</b></td>", "token_f1/rate", "https://a.org/b", "1/2"])
def test_other_slashes_are_not(text):
    assert PATH.search(text) is None


def test_what_chance_named_is_numbered(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="comes with the extra 'notebooks'")
    from notebooks.tidy import PROGRESS, tidy

    def written(first: str, second: str, cell: str) -> bytes:
        shown = {"text/html": f"<table id='T_{first}'><td id='T_{first}_row0'>T_x</table><p id='T_{second}'>"}
        outputs = [
            nbformat.v4.new_output("display_data", shown),
            nbformat.v4.new_output("display_data", {PROGRESS: {}, "text/plain": "50%"}),
        ]
        code = nbformat.v4.new_code_cell("x", outputs=outputs, id=cell, metadata={"execution": {"at": cell}})
        nbformat.write(nbformat.v4.new_notebook(cells=[code]), tmp_path / "n.ipynb")
        tidy(tmp_path / "n.ipynb")
        tidy(tmp_path / "n.ipynb")  # a second time changes nothing
        return (tmp_path / "n.ipynb").read_bytes()

    text = written("0a1b2", "c3d4e", "one")
    assert text == written("fffff", "00000", "two")
    (cell,) = json.loads(text)["cells"]
    (output,) = cell["outputs"]
    assert output["data"]["text/html"] == ["<table id='T_0'><td id='T_0_row0'>T_x</table><p id='T_1'>"]
