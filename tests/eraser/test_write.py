from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eraser import Ablation, Dataset, Document, Evidence, Example, InputError, Prediction, Span, Text
from eraser.data.eraser_format import load_eraser
from eraser.data.official_records import gold_record, official_record
from eraser.data.source import Source
from eraser.files.whole import (
    HOST,
    remove_left,
    whole,
    write_json,
    write_text,
    write_whole,
)
from eraser.load import load
from tests.helpers.eraser.prediction_files import write_predictions

NAN = float("nan")
TEXT = Text("e1", ("Great", "fun", "A", "film", "."), {"b": 0, "a": 2}, (0, 2))
AT_RATIONALE = Ablation(0.0, {"NEG": 0.5, "POS": 0.5}, {"NEG": 0.25, "POS": 0.75})
STEPS = (
    Ablation(0.05, {"NEG": 0.1, "POS": 0.9}, {"NEG": 0.9, "POS": 0.1}),
    Ablation(0.5, {"NEG": 0.6, "POS": 0.4}, {"NEG": 0.2, "POS": 0.8}),
)


def prediction(scores=(0.5, 2.0, -1.5, 0.0, 1.0), picked=(0, 1, 1, 0, 1), **fields) -> Prediction:
    rationale = np.array(picked, dtype=bool)
    return Prediction("e1", "POS", {"NEG": 0.25, "POS": 0.75}, np.array(scores), rationale, **fields)


def soft(record: dict) -> list[list[float]]:
    return [r["soft_rationale_predictions"] for r in record["rationales"]]


def test_each_document_gets_its_own_spans_and_scores():
    """The run of words 1 and 2 crosses from one document to the next, and is cut there."""
    assert official_record(TEXT, prediction()) == {
        "annotation_id": "e1",
        "rationales": [
            {
                "docid": "b",
                "hard_rationale_predictions": [{"start_token": 1, "end_token": 2}],
                "soft_rationale_predictions": [0.5, 2.0],
            },
            {
                "docid": "a",
                "hard_rationale_predictions": [
                    {"start_token": 0, "end_token": 1},
                    {"start_token": 2, "end_token": 3},
                ],
                "soft_rationale_predictions": [-1.5, 0.0, 1.0],
            },
        ],
        "classification": "POS",
        "classification_scores": {"NEG": 0.25, "POS": 0.75},
    }


def test_texts_that_were_given_as_such_tell_the_characters_of_their_words_and_spans():
    text = Text.of("e1", " Great,\nfun  film", "punctuation")
    record = official_record(text, prediction((1.0, 2.0, NAN, 0.5), (1, 1, 0, 1)))
    assert record["rationales"] == [
        {
            "docid": "text",
            "hard_rationale_predictions": [
                {"start_token": 0, "end_token": 2, "start_char": 1, "end_char": 7},
                {"start_token": 3, "end_token": 4, "start_char": 13, "end_char": 17},
            ],
            "soft_rationale_predictions": [1.0, 2.0, -0.5, 0.5],
            "word_spans": [[1, 6], [6, 7], [8, 11], [13, 17]],
        }
    ]


def test_characters_of_several_documents_count_from_the_first():
    text = Text("e1", ("A", "film", "So", "."), {"a": 0, "b": 2}, (0, 2), None, "A  film So.")
    (one, other) = official_record(text, prediction((1.0,) * 4, (0, 1, 1, 0)))["rationales"]
    assert one["word_spans"] == [[0, 1], [3, 7]]
    assert other["word_spans"] == [[8, 10], [10, 11]]
    assert other["hard_rationale_predictions"] == [
        {"start_token": 0, "end_token": 1, "start_char": 8, "end_char": 10}
    ]


def test_what_the_model_says_of_ablated_texts_is_written_under_the_official_names():
    record = official_record(TEXT, prediction(at_rationale=AT_RATIONALE, ablations=STEPS))
    assert record["comprehensiveness_classification_scores"] == {"NEG": 0.5, "POS": 0.5}
    assert record["sufficiency_classification_scores"] == {"NEG": 0.25, "POS": 0.75}
    assert record["thresholded_scores"] == [
        {
            "threshold": 0.05,
            "comprehensiveness_classification_scores": {"NEG": 0.1, "POS": 0.9},
            "sufficiency_classification_scores": {"NEG": 0.9, "POS": 0.1},
        },
        {
            "threshold": 0.5,
            "comprehensiveness_classification_scores": {"NEG": 0.6, "POS": 0.4},
            "sufficiency_classification_scores": {"NEG": 0.2, "POS": 0.8},
        },
    ]


@pytest.mark.parametrize(("at_rationale", "ablations"), [(None, ()), (None, STEPS), (AT_RATIONALE, ())])
def test_shares_are_written_only_beside_the_rationales_own_as_the_scorer_demands(at_rationale, ablations):
    record = official_record(TEXT, prediction(at_rationale=at_rationale, ablations=ablations))
    assert ("comprehensiveness_classification_scores" in record) == (at_rationale is not None)
    assert ("sufficiency_classification_scores" in record) == (at_rationale is not None)
    assert "thresholded_scores" not in record


def test_unread_words_get_one_less_than_the_lowest_score_of_all_documents():
    record = official_record(TEXT, prediction((0.5, NAN, NAN, -2.0, 3.0), (0, 0, 0, 0, 1)))
    assert soft(record) == [[0.5, -3.0], [-3.0, -2.0, 3.0]]


def test_scores_of_a_text_that_was_not_read_are_all_alike():
    assert soft(official_record(TEXT, prediction((NAN,) * 5, (0,) * 5))) == [[0, 0], [0, 0, 0]]


def test_a_document_without_words_keeps_its_place():
    text = Text("e1", ("A", "film", "."), {"none": 0, "a": 0, "nothing": 3}, (0,))
    record = official_record(text, prediction((1.0, 2.0, 3.0), (1, 1, 0)))
    assert [r["docid"] for r in record["rationales"]] == ["none", "a", "nothing"]
    assert soft(record) == [[], [1.0, 2.0, 3.0], []]
    assert [len(r["hard_rationale_predictions"]) for r in record["rationales"]] == [0, 1, 0]


def test_a_file_of_predictions_is_one_json_line_each(tmp_path):
    other = replace(TEXT, example_id="é\u2028😀")
    pairs = [
        (TEXT, prediction((1 / 3, NAN, 1e-17, 1e300, -0.1), at_rationale=AT_RATIONALE, ablations=STEPS)),
        (other, replace(prediction(), example_id="é\u2028😀")),
    ]
    path = tmp_path / "new" / "folders" / "predictions.jsonl"
    write_predictions(path, iter(pairs))
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[-1] == ""
    assert [json.loads(line) for line in lines[:-1]] == [official_record(*pair) for pair in pairs]


def test_no_predictions_make_an_empty_file(tmp_path):
    write_predictions(tmp_path / "predictions.jsonl", [])
    assert (tmp_path / "predictions.jsonl").read_text() == ""


def test_json_is_written_whole_and_readable(tmp_path):
    write_json(tmp_path / "x.json", {"name": "é😀", "values": [1, 0.1, None]})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == (
        '{\n "name": "é😀",\n "values": [\n  1,\n  0.1,\n  null\n ]\n}\n'
    )


# Whole or not at all


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "run" / "scores.txt"
    write_text(path, "old")
    write_text(path, "new")
    assert files(tmp_path) == {"run/scores.txt": "new"}


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_text("old")
    seen = []

    def write(partial: Path) -> None:
        partial.write_text("half")
        seen.append(path.read_text())
        partial.write_text("whole")

    write_whole(path, write)
    assert seen == ["old"]
    assert files(tmp_path) == {"scores.txt": "whole"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "the disk is full: No space left on device"),
        (errno.EDQUOT, "the disk is full: Disk quota exceeded"),
        (errno.EIO, "cannot write: Input/output error"),
        (errno.EACCES, "cannot write: Permission denied"),
    ],
)
def test_a_failure_says_why_and_leaves_nothing_behind(tmp_path, number, expected):
    path = tmp_path / "scores.txt"
    path.write_text("old")

    def write(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: {expected}$"):
        write_whole(path, write)
    assert files(tmp_path) == {"scores.txt": "old"}


def test_a_fault_of_the_program_passes_through_and_leaves_nothing_behind(tmp_path):
    def write(partial: Path) -> None:
        partial.write_text("half")
        raise KeyError("a slip")

    with pytest.raises(KeyError, match="a slip"):
        write_whole(tmp_path / "scores.txt", write)
    assert files(tmp_path) == {}


def test_a_prediction_that_cannot_be_written_leaves_no_file(tmp_path):
    def pairs() -> Iterator[tuple[Text, Prediction]]:
        yield TEXT, prediction()
        raise KeyError("a slip in the second")

    with pytest.raises(KeyError, match="a slip in the second"):
        write_predictions(tmp_path / "predictions.jsonl", pairs())
    assert files(tmp_path) == {}


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("a file")
    path = tmp_path / "run" / "scores.txt"
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: cannot write: "):
        write_text(path, "x")
    assert files(tmp_path) == {"run": "a file"}


def test_a_name_that_is_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match=r"/run: cannot write: Is a directory$"):
        write_text(tmp_path / "run", "x")
    assert files(tmp_path) == {}


def test_a_name_too_long_for_the_disk(tmp_path):
    with pytest.raises(InputError, match=r"cannot write: File name too long$"):
        write_text(tmp_path / ("x" * 250), "x")
    assert files(tmp_path) == {}


# Gold in ERASER form


def marked(*places: tuple[str, int, int]) -> frozenset[Evidence]:
    return frozenset(Evidence(doc_id, Span(start, end)) for doc_id, start, end in places)


def save(dataset: Dataset, folder: Path) -> Source:
    words = {d.id: d.words for d in dataset.documents.values()}
    for document in dataset.documents.values():
        write_text(folder / "docs" / document.id, "".join(" ".join(s) + "\n" for s in document.sentences))
    for split, examples in dataset.splits.items():
        records = (json.dumps(gold_record(e, words)) for e in examples)
        write_text(folder / f"{split}.jsonl", "".join(record + "\n" for record in records))
    return Source(folder)


def test_an_annotation_has_the_official_keys_and_the_text_of_its_evidence():
    example = Example("e1", ("b", "a"), "POS", None, frozenset({marked(("a", 1, 3), ("a", 0, 1))}))
    place = {"start_sentence": -1, "end_sentence": -1}
    assert gold_record(example, {"a": ("A", "warm", "film"), "b": ("Fun",)}) == {
        "annotation_id": "e1",
        "classification": "POS",
        "docids": ["b", "a"],
        "evidences": [
            [
                {"docid": "a", "start_token": 0, "end_token": 1, **place, "text": "A"},
                {"docid": "a", "start_token": 1, "end_token": 3, **place, "text": "warm film"},
            ]
        ],
        "query": "",
        "query_type": None,
    }


def test_groups_are_written_in_one_order_whatever_order_they_are_kept_in():
    a, b, c = marked(("a", 0, 1), ("a", 2, 3)), marked(("a", 0, 1), ("b", 0, 1)), marked(("a", 0, 1))
    words = {"a": ("A", "warm", "film"), "b": ("Fun",)}
    records = [
        gold_record(Example("e1", ("a", "b"), "POS", None, frozenset(groups)), words)
        for groups in ([a, b, c], [c, b, a], [b, a, c])
    ]
    assert records[0] == records[1] == records[2]
    places = [[(s["docid"], s["start_token"]) for s in group] for group in records[0]["evidences"]]
    assert places == [[("a", 0)], [("a", 0), ("a", 2)], [("a", 0), ("b", 0)]]


def test_annotations_written_and_loaded_again_are_the_same(tmp_path):
    groups = frozenset({marked(("a", 1, 3), ("b", 0, 1)), marked(("a", 4, 5)), marked(("a", 1, 3))})
    documents = {
        "a": Document("a", (("A", "film", "."), ("Dull", "."))),
        "b": Document("b", (("Fun", "\u00a0fun", "!"),)),
    }
    train = (
        Example("e1", ("b", "a"), "POS", "Who ? || Ann", groups),
        Example("e2", ("a",), "NEG", "é😀", frozenset({marked(("a", 0, 5))})),
    )
    dataset = Dataset("tiny", documents, {"train": train, "test": (Example("e3", ("b",), "NEG", "q"),)})
    found = load_eraser(save(dataset, tmp_path), "tiny")
    assert found == replace(dataset, notes=("test: 1 examples without evidence",))


def test_the_bundled_sample_written_and_loaded_again_is_the_same(tmp_path):
    dataset = load("sample")
    assert load_eraser(save(dataset, tmp_path), "sample") == dataset


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    kept = (
        f".a.csv.{os.getpid()}-{HOST}.partial", f".a.csv.{gone.pid}-0.partial", "a.csv", f"..-{HOST}.partial",
        f".b.text-{HOST}.partial", f".c.{10**30}-{HOST}.partial",
    )  # fmt: skip
    for name in (*kept, f".a.csv.{gone.pid}-{HOST}.partial"):
        (tmp_path / name).touch()
    remove_left(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(kept)
    remove_left(tmp_path / "nowhere")


def test_a_file_written_again_takes_what_its_killed_writer_left_with_it(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    ours, others = (f".{name}.{gone.pid}-{HOST}.partial" for name in ("[a].csv", "b.csv"))
    for name in (ours, others):
        (tmp_path / name).touch()
    write_text(tmp_path / "[a].csv", "x")
    assert {p.name for p in tmp_path.iterdir()} == {"[a].csv", others}


def test_a_failure_of_something_else_meanwhile_is_not_told_as_ones_own(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole(tmp_path / "a.csv"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(InputError) as caught, whole(tmp_path / "a.csv"):
        raise OSError("no number")
    assert str(caught.value) == f"{tmp_path / 'a.csv'}: cannot write: no number"
    assert list(tmp_path.iterdir()) == []
