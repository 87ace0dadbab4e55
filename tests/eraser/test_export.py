"""A data set that is written for an annotation tool is the same when it is read again, or it is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Dataset, Document, Evidence, Example, InputError, Span
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import WHOLE, read_custom
from eraser.data.custom.spans import sentences_of
from eraser.data.export.suggestions import read_suggestions
from eraser.data.export.write import EXPORTS, Written, export
from eraser.labels import split_labels
from eraser.load import load
from eraser.types import mask_from_spans, runs
from eraser.words import cut_words
from tests.helpers.eraser.own_files import FILMS, save
from tests.helpers.paths import data

FILM = "A truly awful film."


def one(text: str = FILM, *marked: Span, **more: Any) -> Dataset:
    """A data set of two texts, the second unmarked."""
    texts = {"a": text, "b": "Warm."}
    documents = {id: Document(id, sentences_of(t, cut_words(t, "whitespace")), t) for id, t in texts.items()}
    gold = frozenset({frozenset(Evidence("a", span) for span in marked)}) if marked else frozenset()
    examples = (Example("a", ("a",), "NEG", "", gold, **more), Example("b", ("b",), "POS", ""))
    return Dataset("own", documents, {"test": examples}, cutter="whitespace")


def again(file: Path, written: Written) -> Dataset:
    """Read a file with the options that the export names."""
    given = dict(zip(written.options[::2], written.options[1::2], strict=True))
    columns = ColumnNames(id=given.get("--id"), query=given.get("--query"), split=given["--split-column"])
    rationale_form = given.get("--rationale-form", "auto")
    how = ImportOptions(columns, rationale_form, words=given["--words"], form=given["--form"])
    return read_custom("own", {WHOLE: file}, how)


def facts(dataset: Dataset) -> dict[str, Any]:
    """What a data set says of each example."""
    found = {}
    for split, examples in dataset.splits.items():
        for e in examples:
            text = dataset.text(e)
            people = [runs(mask_from_spans(text.spans(a), len(text.words))) for a in e.annotators]
            names = e.annotator_names or tuple(map(str, range(1, len(people) + 1)))
            marked = np.flatnonzero(dataset.truth(e).gold).tolist()
            found[e.id] = (
                split,
                text.words,
                e.label,
                e.query or "",
                marked,
                dict(zip(names, people, strict=True)),
            )
    return found


WORDS = st.text(
    st.sampled_from("aé😀👍🏽这,.\u0301") | st.characters(categories=["L", "N", "P", "S"]),
    min_size=1,
    max_size=5,
)
GAPS = st.sampled_from([" ", "  ", "\n", "\t", " \n ", "\u00a0", "\u3000"])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, list[bool], str, str]:
    """A text with repeated words, which of them are marked, a label and a query."""
    few = draw(st.lists(WORDS, min_size=1, max_size=3))
    words = draw(st.lists(st.sampled_from(few), min_size=1, max_size=8))
    text = draw(st.sampled_from(["", " ", "\n"])) + "".join(w + draw(GAPS) for w in words)
    n = len(cut_words(text, "whitespace"))
    marked = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return (
        text,
        marked,
        draw(st.sampled_from(["NEG", "这", "A|B", "0", "😀"])),
        draw(st.sampled_from(["", "Good ?", "好😀"])),
    )


@pytest.mark.parametrize("form", EXPORTS)
@given(drawn=st.lists(texts(), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_in_out_and_in_again_changes_nothing(tmp_path_factory, form, drawn):
    documents, examples = {}, []
    for number, (text, marked, label, query) in enumerate(drawn):
        id = f"t{number}"
        documents[id] = Document(id, sentences_of(text, cut_words(text, "whitespace")), text)
        group = frozenset(Evidence(id, span) for span in runs(np.array(marked, dtype=bool)))
        gold = frozenset({group} if group else ())
        examples.append(Example(id, (id,), label if number else "first", query, gold))
    dataset = Dataset(
        "own", documents, {"train": tuple(examples[:1]), "test": tuple(examples[1:])}, cutter="whitespace"
    )
    file = tmp_path_factory.mktemp("out") / f"x{EXPORTS[form].ending}"
    written = export(dataset, form, file)
    assert (written.texts, written.notes) == (len(drawn), ())
    found = again(file, written)
    assert facts(found) == facts(dataset)
    assert {d.string for d in found.documents.values()} == {d.string for d in documents.values()}


def test_texts_are_written_as_the_tools_have_them(tmp_path):
    dataset = one("😀 A truly awful film.", Span(2, 4))
    wanted = {
        "label-studio": {
            "data": {"text": "😀 A truly awful film.", "example_id": "a", "split": "test"},
            "annotations": [{"result": [
                {"id": "0", "to_name": "text", "type": "choices", "from_name": "label",
                 "value": {"choices": ["NEG"]}},
                {"id": "1", "to_name": "text", "type": "labels", "from_name": "evidence",
                 "value": {"start": 4, "end": 15, "text": "truly awful", "labels": ["evidence"]}},
            ]}],
        },
        "doccano": {"text": "😀 A truly awful film.", "entities": [[4, 15, "evidence"]], "cats": ["NEG"],
                    "example_id": "a", "split": "test"},
        "prodigy": {"text": "😀 A truly awful film.", "spans": [{"start": 4, "end": 15, "label": "evidence"}],
                    "options": [{"id": "NEG", "text": "NEG"}, {"id": "POS", "text": "POS"}],
                    "accept": ["NEG"], "id": "a", "split": "test", "answer": "accept"},
        "argilla": {"id": "a", "fields": {"text": "😀 A truly awful film."}, "metadata": {"split": "test"},
                    "suggestions": {"label": {"value": "NEG", "score": None, "agent": "annotators"},
                                    "evidence": {"value": [{"start": 4, "end": 15, "label": "evidence"}],
                                                 "score": None, "agent": "annotators"}},
                    "responses": {}, "vectors": {}},
    }  # fmt: skip
    for form, record in wanted.items():
        file = tmp_path / f"{form}{EXPORTS[form].ending}"
        export(dataset, form, file)
        text = file.read_text()
        first = json.loads(text)[0] if file.suffix == ".json" else json.loads(text.splitlines()[0])
        assert first == record


@pytest.mark.parametrize("form", EXPORTS)
@pytest.mark.parametrize("names", [("ann@x.org", "3"), ()])
def test_annotators_stay_apart_where_the_form_can_say_so(tmp_path, form, names):
    people = (frozenset({Evidence("a", Span(1, 2))}), frozenset({Evidence("a", Span(2, 3))}))
    dataset = one(FILM, Span(1, 3), annotators=people, annotator_names=names)
    file = tmp_path / f"x{EXPORTS[form].ending}"
    written = export(dataset, form, file)
    wanted = facts(dataset)
    if form == "doccano":
        assert written.notes == (
            "texts whose annotators are written as one, as the form has no place for them: 1",
        )
        wanted = facts(one(FILM, Span(1, 3)))
    else:
        assert written.notes == ()
    assert facts(again(file, written)) == wanted


def test_what_a_form_cannot_say_is_counted(tmp_path):
    documents = {"d": Document("d", (("A", "dull\u00a0film"), ("Long",))), "e": Document("e", (("So",),))}
    groups = frozenset(frozenset({Evidence("d", Span(n, n + 1))}) for n in (0, 2))
    people = (frozenset({Evidence("d", Span(1, 2))}),)
    examples = (
        Example("x", ("d", "e"), "NEG", None, groups, people, frozenset({"Women"})),
        Example("y", ("e",), "POS"),
    )
    dataset = Dataset("own", documents, {"test": examples})
    written = export(dataset, "parquet", tmp_path / "x.parquet")
    assert written.notes == (
        "texts of several documents, written as one: 1",
        "texts whose groups of evidence are written as one: 1",
        "texts whose target communities are not written: 1",
        "texts whose annotators are not kept apart, as other words count: 1",
        "texts whose words are cut at more than white space: 1",
    )
    assert [d.string for d in again(tmp_path / "x.parquet", written).documents.values()] == [
        "A dull\u00a0film\nLong\nSo", "So",
    ]  # fmt: skip


PREDICTION = {
    "annotation_id": "a",
    "classification": "POS",
    "rationales": [{"docid": "a", "hard_rationale_predictions": [{"start_token": 3, "end_token": 4}]}],
}


def suggested(*records: dict[str, Any]):
    return "attention", read_suggestions("".join(json.dumps(r) + "\n" for r in records), "p.jsonl")


def of_label_studio(file: Path) -> tuple[str, str, str]:
    (task,) = json.loads(file.read_text())
    (prediction,) = task["predictions"]
    label, span = prediction["result"]
    assert "annotations" not in task
    return prediction["model_version"], span["value"]["text"], *label["value"]["choices"]


def of_doccano(file: Path) -> tuple[str, str, str]:
    task = json.loads(file.read_text())
    ((start, end, _),) = task["entities"]
    return "attention", task["text"][start:end], *task["cats"]  # it names no model


def of_prodigy(file: Path) -> tuple[str, str, str]:
    task = json.loads(file.read_text())
    (span,) = task["spans"]
    assert "answer" not in task
    return task["meta"]["by"], task["text"][span["start"] : span["end"]], *task["accept"]


def of_argilla(file: Path) -> tuple[str, str, str]:
    (record,) = json.loads(file.read_text())
    label, spans = record["suggestions"]["label"], record["suggestions"]["evidence"]
    (span,) = spans["value"]
    assert (record["responses"], label["agent"]) == ({}, "attention")
    return spans["agent"], record["fields"]["text"][span["start"] : span["end"]], label["value"]


def of_parquet(file: Path) -> tuple[str, str, str]:
    (row,) = pd.read_parquet(file).to_dict("records")
    ((start, end),) = row["rationale"]
    return row["annotator"], row["text"][start:end], row["label"]


SAID = {
    "label-studio": of_label_studio,
    "doccano": of_doccano,
    "prodigy": of_prodigy,
    "argilla": of_argilla,
    "parquet": of_parquet,
}


@pytest.mark.parametrize("form", EXPORTS)
def test_a_models_rationale_is_a_suggestion(tmp_path, form):
    file = tmp_path / f"x{EXPORTS[form].ending}"
    written = export(one(FILM, Span(1, 3)), form, file, suggested=suggested(PREDICTION))
    assert (written.texts, written.notes) == (1, ("texts left out, as the run does not cover them: 1",))
    assert SAID[form](file) == ("attention", "film.", "POS")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classification": None}, "p.jsonl:1: expected annotation_id and classification, both strings, got"),
        ({"rationales": 3}, "p.jsonl:1: a: expected rationales, a list of objects, got 3"),
        ({"rationales": [{"docid": "a", "hard_rationale_predictions": [[1, 2]]}]},
         "p.jsonl:1: a: expected a docid, and start_token and end_token of each hard rationale, got [1, 2]"),
        ({"rationales": [{"docid": "a", "hard_rationale_predictions": [{"start_token": 1, "end_token": 9}]}]},
         "p.jsonl:1: a: expected words of 'a', which has 4, got [1, 9)"),
        ({"rationales": [{"docid": "b", "hard_rationale_predictions": [{"start_token": 0, "end_token": 1}]}]},
         "p.jsonl:1: a: expected words of 'b', which has 0, got [0, 1)"),
        ({"annotation_id": "z"}, "x.json: no text to write: the predictions are of other texts"),
    ],
)  # fmt: skip
def test_predictions_that_do_not_fit_are_told(tmp_path, monkeypatch, change, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        export(one(), "label-studio", Path("x.json"), suggested=suggested(PREDICTION | change))
    assert str(error.value).startswith(told)
    assert not Path("x.json").exists()


@pytest.mark.parametrize(
    ("form", "name", "splits", "told"),
    [
        (
            "brat",
            "x.json",
            (),
            "expected a form of label-studio, doccano, prodigy, argilla, parquet, got 'brat'",
        ),
        ("doccano", "x.json", (), "x.json: expected a .jsonl file for the form doccano, got 'x.json'"),
        ("doccano", "x.jsonl", ("dev",), "expected a split of test, got 'dev'"),
        ("doccano", "there.jsonl", (), "there.jsonl: a file of this name exists; choose another --out"),
    ],
)
def test_what_cannot_be_written_is_told(tmp_path, monkeypatch, form, name, splits, told):
    monkeypatch.chdir(tmp_path)
    Path("there.jsonl").write_text("mine")
    with pytest.raises(InputError) as error:
        export(one(), form, Path(name), splits)
    assert str(error.value) == told
    assert Path("there.jsonl").read_text() == "mine"


@pytest.mark.parametrize("form", EXPORTS)
def test_texts_with_several_labels_and_with_none_come_back(tmp_path, form):
    labels = {"a": ("dull", "rude"), "b": (), "c": ("rude",)}
    rows = [{"id": id, "text": f"film {id}", "label": list(of)} for id, of in labels.items()]
    dataset = load("own", save(tmp_path / "own.jsonl", rows))
    written = export(dataset, form, out := tmp_path / f"x{EXPORTS[form].ending}")
    found = again(out, written).splits["test"]
    assert {e.id: split_labels(e.label) for e in found} == labels


@pytest.mark.parametrize("form", EXPORTS)
def test_a_table_comes_back(tmp_path, form):
    dataset = load(path=save(tmp_path / "films.jsonl", FILMS))
    file = tmp_path / f"x{EXPORTS[form].ending}"
    assert facts(again(file, export(dataset, form, file))) == facts(dataset)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("movies", "label-studio"), ("hatexplain", "label-studio"),
        ("hatexplain", "parquet"), ("multirc", "parquet"),
    ],
)  # fmt: skip
def test_real_data_sets_come_back(tmp_path, name, form):
    whole = load(name, data(name), ["val"])
    few = whole.splits["val"][:: len(whole.splits["val"]) // 30]
    dataset = Dataset(name, whole.documents, {"val": few}, cutter=whole.cutter)
    file = tmp_path / f"x{EXPORTS[form].ending}"
    written = export(dataset, form, file)
    found, wanted = facts(again(file, written)), facts(dataset)
    same = [id for id in wanted if found[id][1] == wanted[id][1]]
    other = sum(int(note.split(": ")[1]) for note in written.notes if "more than white space" in note)
    assert len(same) == len(few) - other
    assert len(same) > len(few) / 2
    assert {id: found[id] for id in same} == {id: wanted[id] for id in same}
