"""The rows of the comparison with language models: none of the scored sentences is trained on."""

from __future__ import annotations

import json

from scripts.sst2_rows import apart, main

SENTENCES = [
    {"id": 7, "text": "A truly awful film .", "label": 0, "human": [0, 1, 1, 0, 0]},
    {"id": 8, "text": "warm", "label": 1, "human": [1]},
]


def test_sentences_and_their_phrases_are_left_out_and_short_ones_stay():
    texts = ["a TRULY awful film", "truly awful film", "awful film", "WARM!", "warm film", "! ? ."]
    left = apart([{"text": text} for text in texts], SENTENCES)
    assert [row["text"] for row in left] == ["awful film", "warm film", "! ? ."]


def test_the_command_writes_three_splits(tmp_path, capsys):
    for name, rows in (("train", "one two,1\nwarm,1\nthree four,0\n"), ("test", "five six,0\n")):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(s) + "\n" for s in SENTENCES))
    main([str(tmp_path), str(tmp_path / "s.jsonl"), "--out", str(tmp_path / "rows"), "--size", "5"])
    assert capsys.readouterr().out.splitlines()[:2] == [
        "train: 3 rows, 1 left out",
        "val: 1 rows, 0 left out",
    ]
    found = {
        split: [json.loads(line) for line in (tmp_path / "rows" / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "val", "test")
    }
    assert {(row["text"], row["label"]) for row in found["train"]} == {
        ("one two", "POS"),
        ("three four", "NEG"),
    }
    assert found["val"] == [{"id": "val_0", "text": "five six", "label": "NEG"}]
    assert found["test"][0] == {
        "id": 7, "text": "A truly awful film .", "label": "NEG", "rationale": [0, 1, 1, 0, 0]
    }  # fmt: skip
