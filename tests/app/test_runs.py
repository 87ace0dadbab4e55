from __future__ import annotations

import json

import pandas as pd
import pytest
from rationale_viewer.session.runs import CURVES, draw_curve, read_csv, read_run, together
from rationale_viewer.view.show import repaint, svg

from eraser import InputError
from rationale.report.figures import FIGURES
from rationale.report.plots import png
from tests.helpers.app.runs import DIAL, SPEEDS, write

pytestmark = pytest.mark.figures


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "runs" / "one")


def test_a_run_is_read_as_it_was_written(folder):
    run = read_run(folder)
    assert run.name == "one"
    assert run.budgets == ("gold",)
    assert run.facts["examples"] == 2
    assert set(run.tables.scores.method) == {"model", "survivors", "attention", "random"}
    assert not run.tables.layers.empty
    assert run.annotators == {}


def test_every_figure_can_be_drawn_from_what_was_read(folder):
    run = read_run(folder)
    for name, drawing in FIGURES.items():
        figure = drawing.make(run.tables, "gold")
        assert svg(figure).startswith(b"<?xml"), name
        assert png(repaint(figure, "dark")).startswith(b"\x89PNG"), name


def test_repainted_text_is_ink_and_ground_is_paper(folder):
    from rationale.templates.palette import INK, PAPER

    figure = FIGURES["layers"].make(read_run(folder).tables, "gold")
    repaint(figure, "dark")
    from matplotlib.colors import to_hex

    assert to_hex(figure.get_facecolor()) == PAPER.dark
    assert to_hex(figure.axes[0].title.get_color()) == INK.dark
    assert to_hex(figure.axes[0].xaxis.label.get_color()) == INK.dark


def test_a_grid_of_one_direction_is_repainted_too():
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_hex

    from rationale.templates.palette import LINE

    figure, axes = plt.subplots()
    axes.grid(axis="y", color="#dddddd")
    repaint(figure, "dark")
    assert {to_hex(line.get_color()) for line in axes.yaxis.get_gridlines()} == {LINE.dark}
    plt.close(figure)


def test_several_runs_name_their_methods(folder, tmp_path):
    one, two = read_run(folder), read_run(write(tmp_path / "runs" / "two", ("attention", "random")))
    assert set(together([one]).method) == {"model", "survivors", "attention", "random"}
    assert {"one: attention", "two: attention"} <= set(together([one, two]).method)
    assert len(together([one, two])) == len(one.tables.scores) + len(two.tables.scores)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("scores.csv", "", "scores.csv: expected a readable CSV file, got an empty one"),
        (
            "scores.csv",
            "a,b\n1,2\n",
            "scores.csv: expected the columns method, budget, .*none of the name method",
        ),
        ("scores.csv", 'method\n"x', "scores.csv:2: expected a readable CSV file, got unexpected end"),
        ("curves.csv", "x\n1\n", "curves.csv: expected the columns method, fraction"),
        ("scores.json", "[1", "scores.json: expected the scores.json of a run, got JSONDecodeError"),
        ("scores.json", "[]", "scores.json: expected the scores.json of a run, an object"),
    ],
)
def test_a_broken_run_says_what_is_broken(folder, file, content, message):
    (folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(folder)


def test_bytes_that_are_no_text_are_a_fault(folder):
    (folder / "scores.csv").write_bytes(b"\xff\xfe\x00method")
    with pytest.raises(InputError, match="^this run cannot be read: .*expected UTF-8 text, got"):
        read_run(folder)


def test_a_folder_without_scores_is_no_run(tmp_path):
    with pytest.raises(InputError, match="^this run cannot be read: .*a readable CSV file, got none"):
        read_run(tmp_path)


def test_an_older_run_without_facts_is_read(folder):
    (folder / "scores.json").unlink()
    (folder / "layers.csv").unlink()
    run = read_run(folder)
    assert run.facts == {}
    assert run.tables.layers.empty
    assert run.budgets == ("gold",)


FRONTIER = {
    "run": ["a", "b"], "speedup": [2.0, 3.0], "val_accuracy": [0.9, 0.8], "frontier": [True, False],
    "layer_0": [9.0, 5.0],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "columns"), [("dial.csv", DIAL), ("speeds.csv", SPEEDS), ("frontier.csv", FRONTIER)]
)
def test_curves_are_drawn_and_broken_ones_said(tmp_path, name, columns):
    path = tmp_path / name
    pd.DataFrame(columns).to_csv(path, index=False)
    table, figure = draw_curve(path)
    assert len(table) == 2
    assert figure.axes
    pd.DataFrame({c: ["x"] for c in CURVES[name].columns}).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"{name}:2: expected (a number|True or False) "):
        draw_curve(path)


def test_an_optional_table_is_empty(tmp_path):
    assert list(read_csv(tmp_path / "none.csv", ("a",), must=False)) == ["a"]


def test_facts_that_are_no_object_are_refused(folder):
    (folder / "scores.json").write_text(json.dumps({"run": 3}))
    with pytest.raises(InputError, match=r"""an object with "run", got \{'run': 3\}$"""):
        read_run(folder)
