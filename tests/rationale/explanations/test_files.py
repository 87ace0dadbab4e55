"""Files that other tools write: what is read of each, and what is said of those that are wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from eraser import InputError, Text
from rationale.explanations.collected import CollectOptions
from rationale.explanations.files import FILE_FORMS, form_of
from rationale.explanations.files.columns import Columns
from rationale.explanations.stored import hash_of_words

WORDS = {"a": ("A", "dull", "film", "."), "7": ("Warm", "and", "un-dull")}
TEXTS = {id: Text(id, words, {id: 0}, (0,)) for id, words in WORDS.items()}
NAN = np.nan


def read(path, form="tokens", columns=None, **how):
    return FILE_FORMS[form](path, TEXTS, "shap", CollectOptions(**how), columns or Columns())


def scores(found):
    return {id: [None if np.isnan(x) else x for x in e.scores.tolist()] for id, e in found.examples.items()}


def written(path, rows):
    frame = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


TIDY = [
    {"id": "a", "token": "[CLS]", "score": 9.0, "label": "NEG", "class": "NEG"},
    {"id": "a", "token": "a", "score": 0.25, "label": "NEG", "class": "NEG"},
    {"id": "a", "token": "du", "score": 1.0, "label": "NEG", "class": "NEG"},
    {"id": "a", "token": "##ll", "score": 0.5, "label": "NEG", "class": "NEG"},
    {"id": "a", "token": "film", "score": None, "label": "NEG", "class": "NEG"},
    {"id": "7", "token": "warm", "score": -1.0, "label": "POS", "class": "POS"},
    {"id": "7", "token": "un", "score": 0.5, "label": "POS", "class": "POS"},
    {"id": "7", "token": "-", "score": 0.5, "label": "POS", "class": "POS"},
    {"id": "7", "token": "dull", "score": 1.0, "label": "POS", "class": "POS"},
]
FOUND = {"a": [0.25, 1.5, None, None], "7": [-1.0, None, 2.0]}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_a_row_for_each_token_in_every_kind_of_file(ending, tmp_path):
    found = read(written(tmp_path / f"x{ending}", TIDY))
    assert scores(found) == FOUND
    one = found.examples["a"]
    assert (one.label, one.target, one.text_hash) == ("NEG", "NEG", hash_of_words(WORDS["a"]))
    assert found.counts == {
        "tokens": 9, "special tokens": 1, "tokens not in the text": 0, "words": 7, "words without a score": 3,
    }  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".parquet"])
def test_a_row_for_each_example_with_lists(ending, tmp_path):
    rows = [
        {"id": id, "tokens": [r["token"] for r in TIDY if r["id"] == id],
         "scores": [r["score"] for r in TIDY if r["id"] == id]} for id in ("a", "7")
    ]  # fmt: skip
    if ending == ".csv":  # lists as pandas writes them, then as JSON
        assert scores(read(written(tmp_path / "y.csv", rows))) == FOUND
        rows = [{k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows]
    assert scores(read(written(tmp_path / f"x{ending}", rows))) == FOUND


def test_integer_ids_and_pieces_by_their_characters(tmp_path):
    rows = [
        {"id": 7, "start": 0, "end": 4, "score": 1.0},
        {"id": 7, "start": 5, "end": 16, "score": 3.0},  # and, un-dull
    ]
    assert scores(read(written(tmp_path / "x.csv", rows))) == {"7": [1.0, 1.5, 1.5]}
    rows = [{"index": 7, "offsets": [[0, 4], [9, 12], [13, 16], [0, 0]], "scores": [1, 2, 3, 9]}]
    assert scores(read(written(tmp_path / "x.jsonl", rows), reduce="max")) == {"7": [1.0, None, 3.0]}
    bad = [{"id": 7, "start": 0, "end": 40, "score": 1.0}]
    with pytest.raises(
        InputError, match=r"7: expected characters \[start, end\) from 0 to 16, got \[0, 40\]"
    ):
        read(written(tmp_path / "y.csv", bad))


@pytest.mark.parametrize("unit", ["utf-16-le", "utf-8"])
def test_places_in_other_units_than_pythons(tmp_path, unit):
    """The places are worked out by encoding what stands before them."""
    text = Text("e", ("😀", "dull", "film"), {"e": 0}, (0,))
    size, offsets = (2, "utf16") if unit == "utf-16-le" else (1, "bytes")
    rows = []
    for token, score in (("dull", 2.0), ("film", 1.0)):
        start = len(text.plain[0].partition(token)[0].encode(unit)) // size
        rows.append({"id": "e", "start": start, "end": start + 4, "score": score})
    path, how = written(tmp_path / "x.csv", rows), CollectOptions(offsets=offsets)
    found = FILE_FORMS["tokens"](path, {"e": text}, "js", how, Columns())
    assert scores(found) == {"e": [None, 2.0, 1.0]}
    bad = written(tmp_path / "y.csv", [rows[0] | {"start": 1}])
    with pytest.raises(
        InputError, match=rf"y\.csv: e: expected \[start, end\) in .*got \[1, {rows[0]['end']}\]"
    ):
        FILE_FORMS["tokens"](bad, {"e": text}, "js", how, Columns())


def of_two(column="method"):
    """The rows of shap, and of a method whose scores are ten times as large."""
    other = [row | {"score": None if row["score"] is None else 10 * row["score"]} for row in TIDY]
    return [row | {column: name} for name, rows in (("lime", other), ("shap", TIDY)) for row in rows]


@pytest.mark.parametrize("column", ["method", "explainer", "Tool"])
def test_of_several_methods_one_must_be_named(tmp_path, column):
    for rows in (of_two(column), sorted(of_two(column), key=lambda row: (row["id"], row["token"]))):
        path = written(tmp_path / "x.csv", rows)
        with pytest.raises(InputError) as error:
            read(path)
        told = f"expected one method in column {column!r}, or the name of one as --method, got 'lime', 'shap'"
        assert str(error.value) == f"{path}: {told}"
    path = written(path, of_two(column))
    assert scores(read(path, columns=Columns(method="shap"))) == FOUND
    assert scores(read(path, columns=Columns(method="lime")))["7"] == [-10.0, None, 20.0]
    with pytest.raises(InputError, match=r"x.csv: expected rows of the method 'ig', got 'lime', 'shap'"):
        read(path, columns=Columns(method="ig"))
    with pytest.raises(InputError, match=r"expected rows of the method 'ig', got no column of methods"):
        read(written(path, TIDY), columns=Columns(method="ig"))
    assert scores(read(written(path, [row | {column: "shap"} for row in TIDY]))) == FOUND


def test_tokens_twice_are_not_passed_over(tmp_path):
    """Half of them stand in the text, the others after its end."""
    with pytest.raises(InputError, match="7: expected tokens of this text, got 4 of 8 that stand in it"):
        read(written(tmp_path / "x.csv", [row for row in of_two("by") if row["id"] == "7"]))


WARM = [{"id": "7", "token": "Warm", "start": 0, "end": 4, "score": 1.0},
        {"id": "7", "token": "and", "start": 5, "end": 8, "score": 2.0}]  # fmt: skip


@pytest.mark.parametrize("order", [[0, 1, 0, 1], [0, 0, 1, 1]])
def test_a_place_in_the_text_has_one_score(tmp_path, order):
    path = written(tmp_path / "x.csv", [WARM[n] for n in order])
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}:2: 7: expected one score for each place in the text, got [0, 4] twice"


def test_the_bytes_of_one_character_may_share_its_place(tmp_path):
    """As the tokenizers of GPT-2 and Llama cut what they do not know."""
    places = ((0, 1), (0, 1), (1, 4), (5, 8))
    rows = [{"id": "7", "start": start, "end": end, "score": 1.0} for start, end in places]
    assert scores(read(written(tmp_path / "x.csv", rows))) == {"7": [3.0, 1.0, None]}
    rows = [row | {"token": token} for row, token in zip(rows, ("W", "W", "arm", "and"), strict=True)]
    assert scores(read(written(tmp_path / "x.csv", rows))) == {"7": [3.0, 1.0, None]}


def test_picked_tokens(tmp_path):
    rows = [
        {"id": "a", "token": t, "picked": p} for t, p in zip(["a", "dull", "film"], [0, 1, 0], strict=True)
    ]
    one = read(written(tmp_path / "x.csv", rows)).examples["a"]
    assert one.scores is None
    assert one.selected.tolist() == [False, True, False, False]
    columns = Columns(score="picked", picked="picked")
    with pytest.raises(InputError, match="expected scores, or picked tokens, got both: picked, picked"):
        read(tmp_path / "x.csv", columns=columns)


def test_words_must_be_the_texts_own_where_that_is_asked(tmp_path):
    rows = [{"id": "a", "words": list(WORDS["a"]), "scores": [1, 2, 3, 4]}]
    path = written(tmp_path / "x.jsonl", rows)
    assert scores(read(path, "words")) == {"a": [1.0, 2.0, 3.0, 4.0]}
    rows[0] |= {"words": ["a", "dull", "film", "."]}
    with pytest.raises(InputError) as error:
        read(written(path, rows), "words")
    assert str(error.value) == (
        f"{path}: a: expected the 4 words of the text, one for one (--form tokens finds pieces), got 4 others"
    )
    assert scores(read(path, "tokens")) == {"a": [1.0, 2.0, 3.0, 4.0]}


def test_what_is_wrong_is_said_with_its_place(tmp_path):
    cases = [
        ([{"id": "a", "token": "a", "score": "much"}],
         "x.csv:2: a: expected a finite number in 'score', got 'much'"),
        ([{"id": "b", "token": "a", "score": 1}], "x.csv: b: the split has no example of this id"),
        ([{"id": "a", "token": "a", "score": None}, {"id": "a", "token": "dull", "score": "nan"}],
         "x.csv: a: expected a score of at least one word, got none: of its 2 tokens, 2 have an empty score"),
        ([{"id": "a", "token": "other", "score": 1}, {"id": "a", "token": "words", "score": 1}],
         "x.csv: a: expected tokens of this text, got 0 of 2 that stand in it"),
        ([{"id": "a", "token": "a", "weight": 1, "label": x} for x in ("POS", "NEG")],
         "x.csv:2: a: expected one label of an example, got NEG and POS"),
        ([{"name": "a", "token": "a", "score": 1}],
         "x.csv:2: expected a column of ids (--id), got ['name', 'token', 'score']"),
        ([{"id": "a", "token": "a"}],
         "x.csv:2: expected a column of scores (--score), or picked tokens (--picked), got ['id', 'token']"),
    ]  # fmt: skip
    for rows, message in cases:
        with pytest.raises(InputError) as error:
            read(written(tmp_path / "x.csv", rows))
        assert str(error.value).removeprefix(f"{tmp_path}/") == message
    with pytest.raises(InputError, match="expected a column 'z', got"):
        read(tmp_path / "x.csv", columns=Columns(score="z"))
    (tmp_path / "x.bin").touch()
    with pytest.raises(InputError, match="file, got .bin"):
        read(tmp_path / "x.bin")


def test_what_is_left_out_is_counted_and_the_first_is_named(tmp_path):
    rows = [*TIDY, {**TIDY[0], "id": "b"}, {**TIDY[0], "id": "c"}]
    found = read(written(tmp_path / "x.csv", rows), skip_invalid=True)
    assert scores(found) == FOUND
    first = f"{tmp_path}/x.csv: b"
    assert found.notes == (
        f"2 explanations left out, the first: {first}: the split has no example of this id",
    )
    assert f"imported-shap: {found.notes[0]}" in found.told()


def official(id, **rationale):
    return {"annotation_id": id, "classification": "NEG", "rationales": [{"docid": id, **rationale}]}


def test_official_predictions(tmp_path):
    hard = [{"start_token": 1, "end_token": 3}]
    rows = [
        official("a", hard_rationale_predictions=hard, soft_rationale_predictions=[0.1, 0.9, 0.8, 0.0]),
        official("7", hard_rationale_predictions=[], soft_rationale_predictions=[0.1, 0.2, 0.3]),
    ]
    path = written(tmp_path / "x.jsonl", rows)
    assert form_of(path) == "eraser"
    found = read(path, "eraser")
    assert scores(found) == {"a": [0.1, 0.9, 0.8, 0.0], "7": [0.1, 0.2, 0.3]}
    assert [e.selected.tolist() for e in found.examples.values()] == [[False, True, True, False], [False] * 3]
    assert found.examples["a"].label == "NEG"
    only = read(written(path, [official("a", hard_rationale_predictions=hard)]), "eraser")
    assert only.examples["a"].scores is None


def test_official_predictions_of_other_words_are_refused(tmp_path):
    cases = [
        (official("a", soft_rationale_predictions=[0.1]), "a: expected 4 finite numbers in soft_rationale"),
        (official("a", hard_rationale_predictions=[{"start_token": 3, "end_token": 5}]),
         "a: expected spans of words from 0 to 4"),
        ({**official("a"), "rationales": [{"docid": "z"}]}, "a: expected a document of a, got 'z'"),
        (official("a"), "a: expected hard_rationale_predictions or soft_rationale_predictions, got neither"),
        (official("z", soft_rationale_predictions=[0.1]), "z: the split has no example of this id"),
    ]  # fmt: skip
    for row, message in cases:
        with pytest.raises(InputError, match=message):
            read(written(tmp_path / "x.jsonl", [row]), "eraser")
    mixed = [
        official("a", soft_rationale_predictions=[0.1] * 4),
        official("7", hard_rationale_predictions=[]),
    ]
    with pytest.raises(InputError, match="expected scores, picked words or both, the same of all examples"):
        read(written(tmp_path / "x.jsonl", mixed), "eraser")


def test_forms_are_known_by_the_first_row(tmp_path):
    assert form_of(written(tmp_path / "x.jsonl", TIDY)) == "tokens"
    assert form_of(tmp_path / "x.csv") == "tokens"
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(InputError, match="expected one JSON object"):
        form_of(tmp_path / "broken.jsonl")
