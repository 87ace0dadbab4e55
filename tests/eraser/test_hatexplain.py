from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eraser import Dataset, Document, Evidence, Example, InputError, Span
from eraser.load import load
from tests.helpers.eraser.posts import make, post
from tests.helpers.paths import data


def read(folder: Path, *posts: dict[str, Any]) -> tuple[Dataset, tuple[Example, ...]]:
    """Load the posts as the test split, with the ids p0, p1 and so on."""
    named = {f"p{n}": post for n, post in enumerate(posts)}
    dataset = load("hatexplain", make(folder, named, {"test": list(named)}))
    return dataset, dataset.splits.get("test", ())


def evidence(post_id: str, *spans: tuple[int, int]) -> frozenset[Evidence]:
    return frozenset(Evidence(post_id, Span(a, b)) for a, b in spans)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(InputError, match=rf"^{re.escape(message.replace('{}', str(folder)))}\Z"):
        load("hatexplain", folder)


def test_a_post_becomes_a_document_of_one_sentence_and_an_example(tmp_path):
    rationales = ([1, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0])
    dataset, examples = read(tmp_path, post(("offensive", "hatespeech", "offensive"), rationales))
    people = (evidence("p0", (0, 2)), evidence("p0", (1, 2), (4, 5)), evidence("p0"))
    union = evidence("p0", (0, 2), (4, 5))
    assert examples == (Example("p0", ("p0",), "offensive", None, frozenset({union}), people),)
    assert dataset.documents == {"p0": Document("p0", (("one", "two", "three", "four", "five"),))}
    assert dataset.notes == ()
    assert dataset.truth(examples[0]).gold.tolist() == [True, True, False, False, True]


def test_gold_is_the_union_where_marks_touch_one_run(tmp_path):
    _, (example,) = read(tmp_path, post(rationales=([0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0])))
    assert example.gold == {evidence("p0", (1, 4))}


@pytest.mark.parametrize(
    ("labels", "majority"),
    [
        (("normal", "normal", "offensive"), "normal"),
        (("hatespeech", "offensive", "hatespeech"), "hatespeech"),
        (("offensive", "offensive", "offensive"), "offensive"),
        (("offensive", "hatespeech", "hatespeech"), "hatespeech"),
    ],
)
def test_the_label_is_that_of_most_annotators(tmp_path, labels, majority):
    assert read(tmp_path, post(labels))[1][0].label == majority


def test_posts_without_a_majority_are_left_out_with_a_note(tmp_path):
    tie = post(("normal", "offensive", "hatespeech"))
    dataset, examples = read(tmp_path, tie, post(), tie, post(()))
    assert [e.id for e in examples] == ["p1"]
    assert list(dataset.documents) == ["p1"]
    assert dataset.notes == ("test: left out for want of a majority label, posts: 3",)


def test_a_normal_post_has_no_gold_but_its_annotators_are_kept(tmp_path):
    _, (example,) = read(tmp_path, post(("normal", "normal", "offensive"), ([1, 0, 0, 0, 0],)))
    assert example.gold == frozenset()
    assert example.annotators == (evidence("p0", (0, 1)),)


def test_a_toxic_post_that_nobody_marked_has_no_gold(tmp_path):
    _, examples = read(tmp_path, post(), post(rationales=([0] * 5, [0] * 5)))
    assert [e.gold for e in examples] == [frozenset(), frozenset()]
    assert [e.annotators for e in examples] == [(), (frozenset(), frozenset())]


def test_a_community_is_a_tag_if_two_annotators_name_it(tmp_path):
    targets = (["Women", "Women", "None"], ["Women", "Islam", "None"], ["Jewish", "Islam"])
    assert read(tmp_path, post(targets=targets))[1][0].tags == {"Women", "Islam"}


def test_one_annotator_naming_a_community_twice_does_not_make_a_tag(tmp_path):
    assert read(tmp_path, post(targets=(["Women", "Women"], [], ["None"])))[1][0].tags == frozenset()


def test_splits_follow_the_divisions_and_not_the_posts(tmp_path):
    posts = {f"p{n}": post() for n in range(5)}
    dataset = load("hatexplain", make(tmp_path, posts, {"test": ["p4", "p0"], "val": ["p2"], "train": []}))
    assert {s: [e.id for e in examples] for s, examples in dataset.splits.items()} == {
        "val": ["p2"],
        "test": ["p4", "p0"],
    }
    assert set(dataset.documents) == {"p4", "p0", "p2"}


TRAIN_TEXT = '{"text": "some  words\\nhere", "label": "normal"}\n\n{"text": "more", "label": "offensive"}\n'


def test_texts_without_evidence_stand_in_for_train_posts(tmp_path):
    dataset = load("hatexplain", make(tmp_path, {"p0": post()}, {"test": ["p0"], "train": []}, TRAIN_TEXT))
    assert dataset.splits["train"] == (
        Example("train_text-00001", ("train_text-00001",), "normal"),
        Example("train_text-00003", ("train_text-00003",), "offensive"),
    )
    assert dataset.documents["train_text-00001"].words == ("some", "words", "here")
    assert dataset.notes == ("train: 2 texts without evidence, from train_text.jsonl",)


def test_train_posts_go_before_texts_without_evidence(tmp_path):
    folder = make(tmp_path, {"p0": post()}, {"train": ["p0"]}, TRAIN_TEXT)
    assert [e.id for e in load("hatexplain", folder).splits["train"]] == ["p0"]


def test_only_the_splits_asked_for_are_given(tmp_path):
    folder = make(tmp_path, {"p0": post(), "p1": post()}, {"val": ["p0"], "test": ["p1"]})
    assert list(load("hatexplain", folder, ["test"]).splits) == ["test"]
    message = f"{folder}: train: no examples in this split (there are val, test)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        load("hatexplain", folder, ["train", "test"])


def test_an_archive_is_read_like_its_folder(tmp_path):
    folder = make(tmp_path / "Data", {"p0": post()}, {"test": ["p0"]}, TRAIN_TEXT)
    with tarfile.open(tmp_path / "hatexplain.tar.gz", "w:gz") as archive:
        archive.add(folder, "./HateXplain/Data")
    assert load("hatexplain", tmp_path / "hatexplain.tar.gz") == load("hatexplain", folder)


# What is refused


def test_files_that_are_no_json(tmp_path):
    message = "expected JSON, got Expecting value: line 1 column 1 (char 0)"
    refused(make(tmp_path, "<html>", {"test": []}), "{}/dataset.json: " + message)
    refused(make(tmp_path, {}, ""), "{}/post_id_divisions.json: " + message)


def test_a_file_nested_beyond_all_measure(tmp_path):
    with pytest.raises(InputError, match=r"dataset\.json: expected JSON, got .*recursion"):
        load("hatexplain", make(tmp_path, "[" * 200_000, {}))


def test_files_that_are_no_json_object(tmp_path):
    refused(make(tmp_path, [1], {}), "{}/dataset.json: expected a JSON object, got [1]")
    refused(make(tmp_path, {}, [1]), "{}/post_id_divisions.json: expected a JSON object, got [1]")


def test_all_unknown_posts_of_a_split_are_named(tmp_path):
    folder = make(tmp_path, {"p0": post()}, {"val": ["p0"], "test": ["p9", "p0", "p8"]})
    line = "{}/post_id_divisions.json: %s: no post in dataset.json has this id"
    refused(folder, line % "p9" + "\n" + line % "p8")


@pytest.mark.parametrize("ids", [5, "p0", {"p0": 1}, ["p0", 1], [["p0"]]])
def test_divisions_that_are_no_lists_of_ids(tmp_path, ids):
    folder = make(tmp_path, {"p0": post()}, {"test": ids})
    refused(folder, f"{{}}/post_id_divisions.json: expected lists of post ids, got {ids!r}")


WHOLE = "expected post_tokens, annotators with labels, rationales of 0 and 1, got "


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        ({"annotators": []}, "KeyError 'post_tokens'"),
        ({"post_tokens": ["a"]}, "KeyError 'annotators'"),
        ({"post_tokens": ["a"], "annotators": [{}]}, "KeyError 'label'"),
        ({"post_tokens": 5, "annotators": []}, "TypeError 'int' object is not iterable"),
        (["a"], "TypeError list indices must be integers or slices, not str"),
        (post(rationales=([0, 1, 2, 0, 0],)), "ValueError a mark 2"),
        (post(rationales=([0, 1, 0.5, 0, 0],)), "ValueError a mark 0.5"),
        (post(rationales=(["0", "1", "0", "0", "0"],)), "ValueError a mark '0'"),
        (post(rationales=([[0, 1, 0, 0, 0]],)), "ValueError a mark [0, 1, 0, 0, 0]"),
    ],
)
def test_a_post_that_is_not_whole(tmp_path, wrong, got):
    folder = make(tmp_path, {"p0": wrong}, {"test": ["p0"]})
    refused(folder, "{}/dataset.json: p0: " + WHOLE + got)


def test_rationales_of_another_length_than_the_post_are_left_out_and_counted(tmp_path):
    folder = make(tmp_path, {"p0": post(rationales=([1] * 5, [1] * 4, [0] * 6))}, {"test": ["p0"]})
    loaded = load("hatexplain", folder)
    (example,) = loaded.splits["test"]
    assert example.gold == frozenset()
    assert example.annotators == ()
    assert loaded.notes == ("test: evidence left out where its length is not the post's, posts: 1",)


def test_a_train_text_without_label(tmp_path):
    folder = make(tmp_path, {}, {}, '{"text": "some words", "label": 1}\n')
    got = "{'text': 'some words', 'label': 1}"
    refused(folder, '{}/train_text.jsonl:1: expected "text" and "label" strings, got ' + got)


# The real data


@pytest.fixture(scope="module")
def real() -> Dataset:
    return load("hatexplain", data("hatexplain"))


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    with tarfile.open(data("hatexplain")) as archive:
        file = archive.extractfile("hatexplain/dataset.json")
        assert file is not None
        return json.load(file)


def test_the_real_splits_have_the_documented_labels(real):
    assert {s: Counter(e.label for e in examples) for s, examples in real.splits.items()} == {
        "train": {"normal": 6251, "hatespeech": 4748, "offensive": 4384},
        "val": {"normal": 781, "hatespeech": 593, "offensive": 548},
        "test": {"normal": 782, "hatespeech": 594, "offensive": 548},
    }
    assert real.notes == ("train: 15383 texts without evidence, from train_text.jsonl",)


def test_real_words_and_every_annotators_marks_are_those_of_the_file(real, raw):
    examples = real.splits["val"] + real.splits["test"]
    assert len(examples) == len(raw) == 3846
    for example in examples:
        source = raw[example.id]
        assert list(real.text(example).words) == source["post_tokens"]
        marks = [[0] * len(source["post_tokens"]) for _ in example.annotators]
        for mask, person in zip(marks, example.annotators, strict=True):
            for piece in person:
                for word in range(piece.span.start, piece.span.end):
                    mask[word] += 1
        assert marks == source["rationales"], example.id


def test_real_gold_is_the_union_of_the_marks(real, raw):
    for example in real.splits["test"]:
        union = [any(column) for column in zip(*raw[example.id]["rationales"], strict=True)]
        gold = real.truth(example).gold.tolist()
        assert gold == (union or [False] * len(gold)), example.id


def test_real_gold_is_that_of_the_same_data_in_eraser_form(real):
    converted = load("hatexplain_eraser", data("hatexplain_eraser"))
    for split in ("val", "test"):
        theirs = {e.id: e for e in converted.splits[split]}
        ours = {e.id: e for e in real.splits[split] if e.gold}
        assert list(ours) == list(theirs)
        for id, example in ours.items():
            assert (example.gold, example.label) == (theirs[id].gold, theirs[id].label)
            assert real.documents[id].words == converted.documents[id].words


# ── as the library `datasets` has it ────────────────────────────────────────────────────────────────────

GOOSE = {
    "post_tokens": ["you", "silly", "goose"],
    "annotators": [{"label": label, "target": ["None"]} for label in (0, 0, 2)],
    "rationales": [[0, 1, 1], [0, 1, 1]],
}  # fmt: skip


def goose(**changes: Any) -> dict[str, Any]:
    return {"0_gab": GOOSE | changes}


def test_labels_that_are_numbers_and_a_division_called_validation(tmp_path):
    dataset = load("hatexplain", make(tmp_path, goose(), {"validation": ["0_gab"]}))
    union = evidence("0_gab", (1, 3))
    people = (union, union)
    example = Example("0_gab", ("0_gab",), "hatespeech", None, frozenset({union}), people)
    assert dataset.splits == {"val": (example,)}
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("number", "label"),
    [(0, "hatespeech"), (1, "normal"), (2, "offensive"), ("2", "offensive"), (1.0, "normal")],
)
def test_the_numbers_of_labels(tmp_path, number, label):
    people = [{"label": number, "target": []}] * 3
    dataset = load("hatexplain", make(tmp_path, goose(annotators=people), {"test": ["0_gab"]}))
    assert dataset.labels == (label,)


def test_annotators_as_an_object_of_lists(tmp_path):
    columns = {"label": [2, 0, 2], "annotator_id": [4, 5, 6], "target": [["Women"], ["Women", "None"], []]}
    dataset = load("hatexplain", make(tmp_path, goose(annotators=columns), {"test": ["0_gab"]}))
    (example,) = dataset.splits["test"]
    assert (example.label, example.tags) == ("offensive", frozenset({"Women"}))


@pytest.mark.parametrize("label", ["Hate", 3, -1, None, True, 0.5])
def test_a_label_of_another_name_is_refused(tmp_path, label):
    people = [{"label": label, "target": []}] * 3
    folder = make(tmp_path, goose(annotators=people), {"test": ["0_gab"]})
    refused(
        folder,
        "{}/dataset.json: 0_gab: expected post_tokens, annotators with labels, rationales of 0 and 1, got "
        f"ValueError a label {label!r}, none of hatespeech, normal, offensive (0, 1, 2)",
    )


def test_annotators_of_lists_of_several_lengths_are_refused(tmp_path):
    folder = make(tmp_path, goose(annotators={"label": [0, 0], "target": [[]]}), {"test": ["0_gab"]})
    refused(
        folder,
        "{}/dataset.json: 0_gab: expected post_tokens, annotators with labels, rationales of 0 and 1, got "
        "ValueError annotators that are no lists of one length",
    )


def test_divisions_of_other_names_are_refused(tmp_path):
    folder = make(tmp_path, goose(), {"dev": ["0_gab"], "test": [], "held out": []})
    expected = "{}/post_id_divisions.json: expected divisions called train, val, test, validation, got "
    refused(folder, f"{expected}'dev'\n{expected}'held out'")


def test_two_names_of_one_division_are_refused(tmp_path):
    folder = make(tmp_path, goose(), {"val": ["0_gab"], "validation": []})
    refused(folder, "{}/post_id_divisions.json: both val and validation are there; remove one")
