"""One rule for labels, whatever file they stand in: a whole number is an integer."""

from __future__ import annotations

import pytest

from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.custom.tables import LABELLED
from eraser.labels import plain_label
from tests.helpers.eraser.own_files import save


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("0.0", "0"), ("1.", "1"), ("-0.0", "0"), ("+3.00", "3"), ("007.0", "7"), ("0.5", "0.5"), ("7", "7"),
        ("1.0.0", "1.0.0"), ("1.0 star", "1.0 star"), (".0", ".0"), ("٣.0", "٣.0"), ("9" * 16 + ".0",) * 2,
    ],
)  # fmt: skip
def test_a_whole_number_is_an_integer(label, plain):
    assert plain_label(label) == plain


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("as_text", [False, True])
def test_every_kind_of_file_gives_the_same_labels(tmp_path, kind, as_text):
    rows = [
        {"text": f"film {n}", "label": str(n) if as_text else n, "id": float(i)}
        for i, n in enumerate((0.0, 1.0, 2.5))
    ]
    found = read_custom("own", {"test": save(tmp_path / f"x{kind}", rows)}, ImportOptions(ColumnNames()))
    assert [e.label for e in found.splits["test"]] == ["0", "1", "2.5"]
    assert [e.id for e in found.splits["test"]] == (
        ["0.0", "1.0", "2.0"] if kind in (".csv", ".tsv") else ["0", "1", "2"]
    )


def test_several_labels_follow_the_rule(tmp_path):
    rows = [{"text": "a", "label": [0.0, "1.0", 2]}, {"text": "b", "label": ["x"]}]
    found = read_custom("own", {"test": save(tmp_path / "x.jsonl", rows)}, ImportOptions())
    assert [e.label for e in found.splits["test"]] == ["0|1|2", "x"]
