"""The rows on which rules for early exits are compared: drawn from other rows, none of them twice."""

from __future__ import annotations

import json
import sys

import pytest

from scripts import exit_rows


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(exit_rows, "TRAIN", 5)
    monkeypatch.setattr(exit_rows, "VAL", 3)
    for split, n in {"train": 9, "val": 4, "test": 6}.items():
        rows = ({"id": str(i), "text": f"{split} {i}", "label": "POS"} for i in range(n))
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def test_val_and_test_share_the_pool_and_train_is_of_train(source, monkeypatch):
    out = source / "out"
    monkeypatch.setattr(sys, "argv", ["exit_rows", str(source), "--out", str(out)])
    exit_rows.main()
    found = {s: [r["text"] for r in exit_rows.rows_of(out, s)] for s in ("train", "val", "test")}
    assert {s: len(texts) for s, texts in found.items()} == {"train": 5, "val": 3, "test": 7}
    assert {text.split()[0] for text in found["train"]} == {"train"}
    pool = [*found["val"], *found["test"]]
    assert sorted(pool) == sorted([f"val {i}" for i in range(4)] + [f"test {i}" for i in range(6)])
    with pytest.raises(FileExistsError):
        exit_rows.main()
