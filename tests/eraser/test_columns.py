from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import InputError
from eraser.metrics.table import rows_of
from rationale.evaluation.stored import columns as module
from rationale.evaluation.stored.columns import ColumnsFile, ColumnsWriter

KEYS = (("token_f1", "gold", "a"), ("token_f1", "ratio=0.2", "a"), ("iou_f1_eraser", "match=a", "b / c"))
numbers = st.floats(-1e6, 1e6)
values = st.one_of(st.none(), st.tuples(numbers), st.tuples(numbers))


@given(st.lists(st.lists(values, max_size=4), min_size=1, max_size=5), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_columns_are_read_as_they_were_written_whatever_the_blocks(tmp_path_factory, batches, block):
    path = tmp_path_factory.mktemp("c") / "c.parquet"
    wide = [[None if v is None else (v[0], np.nan, -v[0]) for v in batch] for batch in batches]
    written = {KEYS[0]: batches, KEYS[2]: wide}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        with ColumnsWriter(path) as writer:
            number = 0
            for i, batch in enumerate(batches):
                ids = [f"e{number + n}" for n in range(len(batch))]
                writer.add(ids, {key: of_key[i] for key, of_key in written.items()})
                number += len(batch)
    if not number:
        return
    found = ColumnsFile(path)
    assert found.ids == tuple(f"e{n}" for n in range(number))
    assert list(found) == list(written)
    for key, of_key in written.items():
        expected = rows_of([value for batch in of_key for value in batch])
        np.testing.assert_array_equal(found[key], expected)


def test_what_is_undefined_for_all_is_nan(tmp_path):
    with ColumnsWriter(tmp_path / "c.parquet") as writer:
        writer.add(["x", "y"], {KEYS[0]: [None, None], KEYS[1]: [(1.0,), None]})
    found = ColumnsFile(tmp_path / "c.parquet")
    assert np.isnan(found[KEYS[0]]).tolist() == [[True], [True]]
    assert KEYS[1] in found
    assert ("token_f1", "gold", "b") not in found
    with pytest.raises(KeyError):
        found["token_f1", "gold", "b"]


def test_pandas_reads_lists_and_nulls(tmp_path):
    with ColumnsWriter(tmp_path / "c.parquet") as writer:
        writer.add(["x", "y"], {KEYS[0]: [(0.5,), None]})
    table = pd.read_parquet(tmp_path / "c.parquet")
    assert table.columns.tolist() == ["example", "token_f1 / gold / a"]
    assert [None if v is None else v.tolist() for v in table["token_f1 / gold / a"]] == [[0.5], None]


def test_a_file_of_the_form_before_is_refused(tmp_path):
    path = tmp_path / "per_example.parquet"
    pd.DataFrame({"example": ["x"], "metric": ["m"], "values": [[0.5]]}).to_parquet(path)
    with pytest.raises(InputError) as caught:
        ColumnsFile(path)
    expected = "expected the per_example.parquet of a run, got columns example, metric, values"
    assert (
        str(caught.value)
        == f"this run cannot be read: {path}: {expected} … (evaluate again, into a new folder)"
    )


def test_nothing_is_left_open_by_a_failure(tmp_path):
    def fail():
        with ColumnsWriter(tmp_path / "c.parquet") as writer:
            writer.add(["x"] * module.BLOCK, {KEYS[0]: [(0.5,)] * module.BLOCK})
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
