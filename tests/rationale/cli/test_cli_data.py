from __future__ import annotations

import json
from pathlib import Path

import pytest

from eraser.load import load
from tests.helpers.eraser.own_files import FILMS, films, gold, save


def reviews(films=FILMS, n: int = 10):
    return [row | {"id": f"{row['id']}{i}"} for i in range(n) for row in films]


def test_import_and_describe_as_a_user_would(rationale):
    save(Path("reviews.csv"), reviews())
    code, out, err = rationale("data", "import", "--file", "reviews.csv", "--out", "data/my reviews")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "my reviews: 30 rows, labels NEG, POS",
        "  train rows 24 (NEG 8, POS 16)  with_rationale 15",
        "  val   rows 3 (NEG 1, POS 2)  with_rationale 3",
        "  test  rows 3 (NEG 1, POS 2)  with_rationale 2",
        "  note: form of the rationales: chars",
        "  note: texts both in train and in val: 2",
        "  note: texts both in train and in test: 3",
        "  note: texts both in val and in test: 2",
        "written: data/my reviews",
        "next: rationale train dense --dataset 'my reviews' --data 'data/my reviews' "
        "--backbone sentence-transformers/all-MiniLM-L6-v2 --out 'models/my reviews-dense'",
    ]
    code, out, err = rationale("data", "describe", "--dataset", "own", "--data", "data/my reviews", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["labels"] == ["NEG", "POS"]
    assert {s: row["examples"] for s, row in facts["splits"].items()} == {"train": 24, "val": 3, "test": 3}
    assert {s: row["with_evidence"] for s, row in facts["splits"].items()} == {
        "train": 15,
        "val": 3,
        "test": 2,
    }


def test_a_label_that_reads_like_no_number_stays_in_the_json(rationale):
    save(Path("n.csv"), [row | {"label": f"{row['label']}NaN"} for row in reviews()])
    assert rationale("data", "import", "--file", "n.csv", "--out", "n")[0] == 0
    _, out, _ = rationale("data", "describe", "--dataset", "own", "--data", "n", "--json")
    assert json.loads(out)["labels"] == ["NEGNaN", "POSNaN"]


def test_every_option_of_files_by_split_arrives(rationale):
    save(Path("a.tsv"), [{"n": 1, "t": "A <b>warm</b> film", "l": "P", "q": "Good ?"}])
    save(Path("b.jsonl"), [{"n": 2, "t": "Dull", "l": "N", "q": "Bad ?"}])
    options = "--text t --label l --id n --query q --rationale-form marks --open <b> --close </b>".split()
    files = ("--train", "a.tsv", "--test", "b.jsonl", "--out", "own")
    code, out, err = rationale("data", "import", *files, *options)
    assert (code, err) == (0, "")
    command = "rationale evaluate --dataset own --data own --model MODEL --split test"
    assert out.splitlines()[-1] == f"next: {command}"
    found = load("own", "own")
    assert gold(found) == {"1": [1], "2": []}
    assert [e.query for examples in found.splits.values() for e in examples] == ["Good ?", "Bad ?"]


def test_every_option_of_one_file_arrives(rationale):
    save(Path("a.csv"), [{"text": "A film", "label": i, "part": "val", "why": [1, 0]} for i in range(2)])
    options = ("--file", "a.csv", "--split-column", "part", "--rationale", "why", "--out", "own")
    assert rationale("data", "import", *options)[0] == 0
    assert gold(load("own", "own")) == {"row-00001": [0], "row-00002": [0]}
    save(Path("b.csv"), films(20))
    ids = []
    for seed in (1, 2):
        options = ("--file", "b.csv", "--fractions", "0.5,0.5,0", "--seed", seed, "--out", f"own{seed}")
        assert rationale("data", "import", *options)[0] == 0
        ids.append([e.id for e in load("own", f"own{seed}").splits["val"]])
    assert list(map(len, ids)) == [10, 10]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "expected --train, --val and --test files, or one --file, got none"),
        (
            "--file x.csv --train x.csv",
            "expected --train, --val and --test files, or one --file, got --train, --file",
        ),
        ("--train x.csv --fractions 1,0,0", "--fractions needs --file; it cannot be used with --train"),
        ("--test x.csv --split-column part", "--split-column needs --file; it cannot be used with --test"),
        (
            "--file x.csv --fractions 1,0,0 --split-column part",
            "choose one way to split: --split-column or --fractions",
        ),
        ("--file x.csv --fractions a,b", "expected numbers, comma-separated, got 'a,b'"),
        (
            "--file x.csv --fractions 0.9,0.2,0",
            "expected three shares, for train, val and test, that sum to 1, the first above 0, got 0.9,0.2,0",
        ),
        (
            "--file x.csv --text review",
            "x.csv: expected a column 'review', got only ['id', 'label', 'rationale', 'text']",
        ),
        ("--file nowhere.csv", "nowhere.csv: expected a readable file, got No such file or directory"),
        (
            "--file x.csv --out taken",
            "taken: expected a folder that is empty or not there, got one with ['mine']",
        ),
    ],
)
def test_a_bad_call_is_one_line_and_writes_nothing(rationale, arguments, told):
    save(Path("x.csv"), FILMS)
    Path("taken").mkdir()
    (Path("taken") / "mine").write_text("")
    assert rationale("data", "import", "--out", "own", *arguments.split()) == (2, "", f"error: {told}\n")
    assert sorted(path.name for path in Path().iterdir()) == ["taken", "x.csv"]
    assert [path.name for path in Path("taken").iterdir()] == ["mine"]


def test_several_faults_are_a_line_each(rationale):
    save(Path("x.csv"), [FILMS[0] | {"label": ""}, FILMS[1] | {"rationale": [[0, 99]]}])
    code, out, err = rationale("data", "import", "--test", "x.csv", "--out", "own")
    assert (code, out) == (2, "")
    assert [line.split(" expected")[0] for line in err.splitlines()] == [
        "error: x.csv:2: a:",
        "error: x.csv:3: b:",
    ]
    assert not Path("own").exists()


def test_imported_data_trains_a_model_and_is_scored(rationale, model_folder):
    save(Path("x.csv"), reviews(FILMS[:2]))
    assert rationale("data", "import", "--file", "x.csv", "--out", "own")[0] == 0
    data = ("--dataset", "own", "--data", "own")
    short = ("--epochs", 1, "--precision", "float32")
    code, _, err = rationale("train", "dense", *data, "--backbone", model_folder, "--out", "m", *short)
    assert code == 0, err
    code, out, err = rationale("evaluate", *data, "--model", "m", "--methods", "random", "--out", "run")
    assert code == 0, err
    assert "NaN" not in out
    predictions = ("--data", "own", "--predictions", "run/predictions/random.jsonl")
    code, out, err = rationale("score", *predictions)
    assert code == 0, err
    assert 0 < json.loads(out)["token_prf"]["instance_macro"]["f1"] <= 1


def test_imported_data_without_any_rationale_is_evaluated(rationale, model_folder):
    rows = [{k: v for k, v in row.items() if k != "rationale"} for row in FILMS]
    save(Path("x.jsonl"), rows)
    assert rationale("data", "import", "--test", "x.jsonl", "--out", "own")[0] == 0
    options = ("--dataset", "own", "--data", "own", "--model", model_folder, "--methods", "attention,random")
    code, out, err = rationale("evaluate", *options, "--out", "run")
    assert code == 0, err
    assert "accuracy" in out
    assert (Path("run") / "report.html").stat().st_size > 1000


def test_an_id_that_no_encoding_can_write_is_told_all_the_same(rationale):
    record = {"annotation_id": "a\ud800", "classification": "X", "query": "", "evidences": []}
    Path("data/docs").mkdir(parents=True)
    gold = [record | {"annotation_id": "a"}]
    Path("data/test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    said = {"classification": "X", "classification_scores": {"X": 1.0}, "rationales": []}
    made = [said | {"annotation_id": id} for id in ("a", "a\ud800")]
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    code, out, _ = rationale("check", "--data", "data", "--predictions", "p.jsonl")
    assert code == 0
    assert "warning: p.jsonl:2: a\\ud800: annotation_id is not in data/test.jsonl" in out


def test_an_import_knows_its_own_folder_and_says_what_differs(rationale):
    save(Path("x.csv"), FILMS)
    command = ("data", "import", "--train", "x.csv", "--out", "own")
    assert rationale(*command)[0] == 0
    before = {f.name: f.read_bytes() for f in Path("own").iterdir()}
    assert rationale(*command) == (
        0,
        "already done: own\nnext: rationale evaluate --dataset own --data own --model MODEL --split train\n",
        "",
    )
    save(Path("x.csv"), FILMS[:-1])
    code, out, err = rationale(*command)
    assert (code, out) == (2, "")
    assert err.startswith("error: own: the folder holds results with other ")
    assert "content_of_files (" in err
    assert {f.name: f.read_bytes() for f in Path("own").iterdir()} == before
    (Path("own") / "mine").write_text("mine")
    code, _, err = rationale(*command, "--overwrite")
    assert (code, err) == (
        2,
        "error: own: expected a folder that is empty or not there, got one with ['mine']\n",
    )
    assert {f.name: f.read_bytes() for f in Path("own").iterdir() if f.name != "mine"} == before
    (Path("own") / "mine").unlink()
    assert rationale(*command, "--overwrite")[0] == 0
    assert {f.name: f.read_bytes() for f in Path("own").iterdir()} != before
