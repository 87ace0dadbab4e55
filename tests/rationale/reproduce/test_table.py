"""The table, worked out by hand from two rows of measurement."""

import pytest

from eraser import Dataset, Document, Example, InputError
from rationale.reproduce.models import named_models
from rationale.reproduce.sets import SETS, Limits, named_sets
from rationale.reproduce.table import COLUMNS, as_markdown, as_table, rows_of

DENSE = {"model": "dense", "accuracy": 0.9}
FAST = {
    "model": "adapler", "accuracy": 0.8955, "accuracy_low": 0.88, "accuracy_high": 0.911, "loss": 0.0045,
    "loss_low": -0.002, "loss_high": 0.01, "flops": 8.0, "wall": 5.5, "wall_low": 5.25, "wall_high": 5.75,
    "tokens": "9.0 5.0", "where": "cpu", "n": 4,
}  # fmt: skip


@pytest.fixture
def table():
    documents = {str(i): Document(str(i), (("word",),)) for i in range(7)}
    examples = [Example(i, (i,), "ab"[int(i) % 2]) for i in documents]
    splits = {"train": examples[:4], "val": examples[4:5], "test": examples[5:]}
    dataset = Dataset("agnews", documents, splits)
    return as_table(rows_of("agnews", SETS["agnews"], dataset, Limits(1000, 2, None), [DENSE, FAST]))


def test_every_published_set_has_a_row_in_the_papers_order(table):
    assert list(table.columns) == list(COLUMNS)
    assert table.dataset.tolist() == [
        "sst2", "imdb", "hatexplain", "mrpc", "mnli", "qnli", "agnews", "dbpedia14",
    ]  # fmt: skip
    assert table.paper_flops.tolist() == [1.49, 3.21, 4.73, 1.27, 1.42, 1.47, 7.73, 22.23]
    assert table.model.tolist() == ["not run"] * 6 + ["adapler", "not run"]


def test_the_aim_is_above_what_is_published():
    assert all(of.speedup < of.aim < of.of_stack for of in SETS.values())


def test_a_row_says_what_was_measured_of_how_many_texts(table):
    [line] = [line for line in as_markdown(table).splitlines() if "| agnews |" in line]
    assert line == (
        "| agnews | adapler | 4, 1, 2 (5 of 1,000 of train) | 0.900 | 0.895 [0.880, 0.911] | 0.4 [−0.2, 1.0] "
        "| 8.00× | 7.73× | 5.50× [5.25, 5.75] | not measured | 9.0 5.0 |"
    )


def test_a_data_set_that_was_not_run_says_so_in_a_line_of_as_many_cells(table):
    lines = as_markdown(table).splitlines()
    assert "| dbpedia14 | not run | – | – | – | – | – | 22.23× | – | – | – |" in lines
    assert len({line.count("|") for line in lines}) == 1


def test_onnx_is_shown_where_it_was_measured(table):
    table.loc[table.model == "adapler", "onnx_int8"] = 12.5
    assert "| 12.50× |" in as_markdown(table)


def test_lists_of_names_are_read_and_unknown_ones_refused():
    assert list(named_sets("agnews, sst2")) == ["agnews", "sst2"]
    assert named_sets(None) == SETS
    assert named_models("stack,adapler") == ("adapler", "stack")
    with pytest.raises(InputError, match=r"data sets of sst2, .*dbpedia14, got 'ag'"):
        named_sets("ag")
    with pytest.raises(InputError, match="models of adapler, stack, got 'dact'"):
        named_models("dact")
