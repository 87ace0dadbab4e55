from __future__ import annotations

import csv
import json

import pytest

from eraser import InputError
from tests.helpers.export_rows import MIN, TASKS, annotation, choice, span, task
from tests.helpers.exports import each, imported, marked, write

WANTED = {"1": ("NEG", "truly awful"), "2": ("POS", "warm")}


def test_tasks_are_read_with_their_spans_and_their_only_choice(tmp_path):
    found = imported(write(tmp_path / "export.json", TASKS))
    assert marked(found) == WANTED
    assert found.notes == (
        "form: Label Studio's JSON",
        "labels of spans: Reason 2 (--span-labels chooses)",
        "form of the rationales: chars",
    )


def test_json_min_and_csv_are_read_alike(tmp_path):
    found = imported(write(tmp_path / "min.json", MIN))
    assert marked(found) == {"1": ("NEG", "truly awful"), "2": ("POS", "")}
    with (tmp_path / "min.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted(MIN[0]))
        writer.writeheader()
        writer.writerows({**row, "label": json.dumps(row["label"]) if "label" in row else ""} for row in MIN)
    as_csv = imported(tmp_path / "min.csv")
    assert (as_csv.splits, as_csv.documents) == (found.splits, found.documents)
    assert as_csv.notes[0] == "form: Label Studio's JSON_MIN or CSV"


def test_a_csv_of_which_only_some_columns_are_left_is_known_by_its_spans(tmp_path):
    rows = [
        {"text": row["text"], "label": json.dumps(row.get("label", [])), "sentiment": row["sentiment"]}
        for row in MIN
    ]
    with (tmp_path / "min.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert list(marked(imported(tmp_path / "min.csv")).values()) == [("NEG", "truly awful"), ("POS", "")]


def test_several_choices_of_json_min_are_a_set_of_labels(tmp_path):
    rows = [MIN[0] | {"sentiment": {"choices": ["NEG", "rude"]}}, MIN[1]]
    assert marked(imported(write(tmp_path / "min.json", rows)))["1"] == ("NEG|rude", "truly awful")


def test_annotations_of_one_task_are_several_annotators(tmp_path):
    other = annotation({"id": 5, "email": "ben@there"}, span(8, 13, "awful"), choice("sentiment", "NEG"))
    tasks = [TASKS[0] | {"annotations": [*TASKS[0]["annotations"], other]}, TASKS[1]]
    found = imported(write(tmp_path / "x.json", tasks))
    assert marked(found) == WANTED
    assert each(found) == {"1": {"2": [(1, 3)], "ben@there": [(2, 3)]}, "2": {"2": [(1, 2)]}}


def test_what_is_not_read_is_counted(tmp_path):
    tasks = [
        TASKS[0] | {"predictions": [{"result": []}]},
        TASKS[1] | {"annotations": [*TASKS[1]["annotations"], annotation(3, was_cancelled=True)]},
        task(3, "Hm"),
        task(
            4, "Well.", annotation(2, choice("sentiment", "POS"), {"type": "rating", "value": {"rating": 3}})
        ),
    ]
    assert imported(write(tmp_path / "x.json", tasks)).notes[2:6] == (
        "predictions of models not read: 1",
        "annotations left out as cancelled: 1",
        "tasks left out that have no annotation: 1",
        "results not read, of type rating: 1",
    )


def test_a_choice_for_a_span_is_not_the_class_of_the_text(tmp_path):
    of_span = choice("strength", "strong") | {"id": "r2"}
    tasks = [
        task(1, "A truly awful film.", annotation(2, span(2, 13, "truly awful"), of_span, choice("s", "NEG")))
    ]
    found = imported(write(tmp_path / "x.json", [*tasks, TASKS[1]]))
    assert marked(found) == WANTED


def test_of_several_choices_one_is_named(tmp_path):
    both = [
        task(n, "A film.", annotation(1, choice("mood", mood), choice("style", "dry")))
        for n, mood in enumerate(("NEG", "POS"))
    ]
    path = write(tmp_path / "x.json", both)
    with pytest.raises(InputError) as error:
        imported(path)
    told = "expected one control of choices, or its name as --label, got only ['mood', 'style']"
    assert str(error.value).splitlines() == [f"{path}:1: 0: {told}", f"{path}:1: 1: {told}"]
    assert [label for label, _ in marked(imported(path, label="mood")).values()] == ["NEG", "POS"]


def test_a_class_may_be_in_the_data_of_the_task(tmp_path):
    tasks = [
        task(n, "A film.", annotation(1, span(2, 6, "film")), gold=g) for n, g in enumerate(("NEG", "POS"))
    ]
    assert marked(imported(write(tmp_path / "x.json", tasks), label="gold")) == {
        "0": ("NEG", "film."), "1": ("POS", "film."),
    }  # fmt: skip


def test_what_annotators_chose_comes_before_a_label_in_the_data(tmp_path):
    """There it may be what a model said beforehand."""
    choices = [choice("sentiment", "NEG"), choice("sentiment", "POS")]
    tasks = [task(n, "A film.", annotation(1, c), label="POS") for n, c in enumerate(choices)]
    found = imported(write(tmp_path / "x.json", tasks))
    assert [label for label, _ in marked(found).values()] == ["NEG", "POS"]
    assert "labels in the task's data not read, as annotators chose one: 2" in found.notes
    tasks = [
        task(n, "A film.", annotation(1, choice("style", "dry"), c), label=f"C{n}")
        for n, c in enumerate(choices)
    ]
    found = imported(write(tmp_path / "y.json", tasks))
    assert [label for label, _ in marked(found).values()] == ["C0", "C1"]
    assert "classes of the task's data, of several controls none named as --label: 2" in found.notes


def test_a_control_of_spans_can_be_named(tmp_path):
    named = span(0, 4, "Anna") | {"from_name": "people"}
    tasks = [
        task(1, "Anna says a dull film", annotation(1, named, span(12, 16, "dull"), choice("s", "NEG"))),
        TASKS[1],
    ]
    path = write(tmp_path / "x.json", tasks)
    assert marked(imported(path))["1"] == ("NEG", "Anna dull")
    found = imported(path, rationale="why")
    assert marked(found)["1"] == ("NEG", "dull")
    assert "spans of other controls not read: 1" in found.notes


def test_hypertext_spans_have_their_offsets_apart(tmp_path):
    value = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "globalOffsets": {"start": 2, "end": 13},
             "hypertextlabels": ["R"]}  # fmt: skip
    result = {"id": "h", "type": "hypertextlabels", "value": value}
    tasks = [task(1, "A truly awful film.", annotation(2, result, choice("s", "NEG"))), TASKS[1]]
    assert marked(imported(write(tmp_path / "x.json", tasks))) == WANTED


def test_offsets_in_utf16_are_found_out_by_the_words_beside_them(tmp_path):
    tasks = [
        task(1, "😀 A truly awful film.", annotation(2, span(5, 16, "truly awful"), choice("s", "NEG"))),
        TASKS[1],
    ]
    found = imported(write(tmp_path / "x.json", tasks))
    assert marked(found) == WANTED
    assert "offsets: utf16, as 1 of 1 spans then have the words that the file gives" in found.notes


def test_spans_of_a_text_that_was_changed_are_told(tmp_path):
    tasks = [
        task(1, "A truly awful film.", annotation(2, span(0, 11, "truly awful"), choice("s", "NEG"))),
        TASKS[1],
    ]
    note = "spans whose words differ from those that the file gives beside them: 1 of 2"
    assert note in imported(write(tmp_path / "x.json", tasks)).notes


def test_two_answers_of_one_person_are_refused(tmp_path):
    twice = [TASKS[0] | {"annotations": TASKS[0]["annotations"] * 2}, TASKS[1]]
    path = write(tmp_path / "x.json", twice)
    with pytest.raises(InputError) as error:
        imported(path)
    assert str(error.value).splitlines() == [
        f"{path}:1: 1: duplicate id and annotator '2', first at {path}:1",
        "--skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which",
    ]


def test_a_task_without_the_text_that_is_named_lists_what_it_has(tmp_path):
    path = write(tmp_path / "x.json", [task(1, "A", annotation(2), title="B")])
    with pytest.raises(InputError) as error:
        imported(path, text="review")
    assert str(error.value).splitlines()[0] == (
        f"{path}:1: 1: expected a text 'review' in the task's data (--text names another), "
        "got only ['text', 'title']"
    )


def test_a_text_without_a_class_says_what_to_do(tmp_path):
    path = write(tmp_path / "x.json", [task(1, "A film.", annotation(2, span(2, 6, "film")))])
    with pytest.raises(InputError) as error:
        imported(path)
    assert str(error.value) == (
        f"{path}:1: 1: expected a class of the text (--label names its field, --label-from says where else "
        "it is), got none"
    )
