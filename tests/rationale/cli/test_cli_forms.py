"""`data import` of exports, as a user would: what is said, and what stands in the folder then."""

from __future__ import annotations

import json
from pathlib import Path

from eraser.load import load
from tests.helpers.exports import each, write

DOCCANO = [
    {
        "id": 1,
        "text": "A truly awful film.",
        "cats": ["NEG"],
        "entities": [[2, 13, "REASON"], [14, 18, "WORK"]],
    },
    {"id": 2, "text": "A warm film.", "cats": ["POS"], "entities": [[2, 99, "REASON"]]},
    {"id": 3, "text": "Warm.", "cats": ["POS"], "entities": []},
]


def test_a_folder_of_users_with_an_invalid_row(rationale):
    Path("users").mkdir()
    for user in ("anna", "ben"):
        write(Path("users") / f"{user}.jsonl", DOCCANO)
    options = ("--span-labels", "REASON", "--skip-invalid", "--out", "own")
    code, out, err = rationale("data", "import", "--test", "users", *options)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "own: 2 rows, labels NEG, POS",
        "  test  rows 2 (NEG 1, POS 1)  with_rationale 1",
        "  each annotator against the others, 95 % interval over texts (left out: texts that fewer than",
        "  two marked, or where the metric is undefined):",
        "  test  union     token_f1             1.00 [1.00, 1.00]      n 1  left out 1",
        "  test  union     iou_f1_one_to_one    1.00 [1.00, 1.00]      n 1  left out 1",
        "  test  union     false_positive_rate  0.00 [0.00, 0.00]      n 1  left out 1",
        "  note: form: doccano's JSONL",
        "  note: labels of spans: REASON 4, WORK 2",
        "  note: spans of other labels left out: 2",
        "  note: form of the rationales: chars",
        "  note: annotators: 2; texts that more than one saw: 2 of 2",
        "  note: texts on whose label all annotators agree: 2 of 2",
        "  note: rows left out as invalid: 2: 2, 2",
        "  note: left out: users/anna.jsonl:2: 2: expected [start, end) in characters, "
        "0 <= start < end <= 12, got [2, 99]",
        "  note: left out: users/ben.jsonl:2: 2: expected [start, end) in characters, "
        "0 <= start < end <= 12, got [2, 99]",
        "written: own",
        "next: rationale evaluate --dataset own --data own --model MODEL --split test",
    ]
    assert each(load("own", "own")) == {
        "1": {"anna": [(1, 3)], "ben": [(1, 3)]},
        "3": {"anna": [], "ben": []},
    }
    code, out, _ = rationale("data", "describe", "--data", "own", "--json")
    assert code == 0
    (row, *_) = json.loads(out)["agreement"]
    assert (row["split"], row["others"], row["metric"], row["value"]) == ("test", "union", "token_f1", 1.0)
    assert rationale("data", "import", "--test", "users", *options)[1].startswith("already done: own\n")
    write(Path("users") / "ben.jsonl", DOCCANO[:1])
    code, _, err = rationale("data", "import", "--test", "users", *options)
    assert (code, err.startswith("error: own: ")) == (2, True)


def test_the_form_may_be_given_and_a_wrong_one_is_told(rationale):
    write(Path("x.jsonl"), DOCCANO[::2])
    code, _, err = rationale("data", "import", "--test", "x.jsonl", "--form", "csv", "--out", "own")
    told = (
        "expected a form of auto, table, brat, webanno, bio, label-studio, label-studio-min, argilla, "
        "prodigy, annotators, doccano, spacy, got 'csv'"
    )
    assert (code, err) == (2, f"error: {told}\n")
    assert rationale("data", "import", "--test", "x.jsonl", "--form", "doccano", "--out", "own")[0] == 0
