from __future__ import annotations

import json

import pandas as pd

from tests.helpers.export_rows import FLAT, NESTED
from tests.helpers.exports import each, imported, marked, write

WANTED = {"r1": ("NEG", "truly awful"), "r2": ("POS", "warm")}
BY_USER = {"r1": {"u1": [(1, 2)], "u2": [(2, 3)]}, "r2": {"": [(1, 2)]}}


def test_nested_records_keep_users_apart_and_fall_back_to_suggestions_out_loud(tmp_path):
    found = imported(write(tmp_path / "x.json", NESTED))
    assert (marked(found), each(found)) == (WANTED, BY_USER)
    assert found.notes[:3] == (
        "form: Argilla's records",
        "labels of spans: R 3 (--span-labels chooses)",
        "records that nobody answered, read by their suggestions: 1",
    )


def test_flat_records_leave_out_drafts_and_count_them(tmp_path):
    found = imported(write(tmp_path / "x.jsonl", FLAT))
    assert (marked(found), each(found)) == (WANTED, BY_USER)
    assert "responses left out: draft: 1" in found.notes


def test_parquet_of_the_hub_is_read_alike(tmp_path):
    pd.DataFrame(FLAT).to_parquet(tmp_path / "x.parquet")
    found = imported(tmp_path / "x.parquet")
    assert (marked(found), each(found)) == (WANTED, BY_USER)


def test_csv_holds_lists_as_json(tmp_path):
    cells = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in FLAT]
    pd.DataFrame(cells).to_csv(tmp_path / "x.csv", index=False)
    assert marked(imported(tmp_path / "x.csv")) == WANTED
