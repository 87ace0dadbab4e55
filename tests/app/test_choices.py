"""What can be asked for on the pages Explain and Annotators: the class, a query, and rationales of a run."""

from __future__ import annotations

import json
import re

import pytest
from rationale_viewer.pages.choice import LIVE
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from streamlit.testing.v1 import AppTest

from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.write_eraser import write_eraser
from rationale.attribution import METHODS as ALL_METHODS
from tests.helpers.app.pages import SCRIPT, TEXT, checked, keyed, markup
from tests.helpers.app.runs import write
from tests.helpers.app.stored import METHODS, write_stored
from tests.helpers.eraser.own_files import save

QUERY = 'was it <b>fun</b> ? "><script>alert(1)</script>'


def shown_words(at):
    """The markup of the text's words."""
    return at.get("bidi_component")[0].proto.json


def test_the_class_is_chosen(open_app):
    at = open_app(method="gradient_x_input")
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    box = keyed(at.selectbox, "class")
    assert box.options == ["predicted", "NEG", "POS"]
    assert box.value == "predicted"
    said = explained(markup(at))
    other = {"NEG": "POS", "POS": "NEG"}[said]
    as_predicted = shown_words(at)
    checked(keyed(at.selectbox, "class").set_value(other).run())
    assert f"speaks for {other}<" in markup(at)
    assert f"explained for {other}, not for {said}" in markup(at)
    assert shown_words(at) != as_predicted
    checked(keyed(at.selectbox, "class").set_value(said).run())
    assert shown_words(at) == as_predicted
    assert "explained for" not in markup(at)


def explained(page):
    """The label that the scores on a page speak for."""
    return page.split("speaks for ")[1].split("<")[0]


def test_the_class_comes_from_the_address(open_app):
    for label in ("NEG", "POS"):
        at = open_app(method="saliency", example="a001.txt", **{"class": label})
        assert keyed(at.selectbox, "class").value == label
        at = open_app("Annotators", method="saliency", **{"class": label})
        assert keyed(at.selectbox, "class").value == label
        assert f"for the class {label}" in markup(at)
    at = open_app(example="a001.txt", **{"class": "MAYBE"})
    assert keyed(at.selectbox, "class").value == "predicted"


def test_a_class_of_another_model_is_let_go(open_app, folders):
    at = open_app(example="a001.txt", method="saliency", **{"class": "POS"})
    checked(keyed(at.sidebar.selectbox, "model").set_value("three").run())
    assert keyed(at.selectbox, "class").options == ["predicted", "hatespeech", "normal", "offensive"]
    assert keyed(at.selectbox, "class").value == "predicted"


def test_the_annotators_class_is_explained(open_app):
    at = open_app("Annotators", method="gradient_x_input", split="test", example="a002.txt")
    assert keyed(at.selectbox, "class").options == ["predicted", "gold", "NEG", "POS"]
    by_class = {}
    for target in ("gold", "NEG", "POS"):
        checked(keyed(at.selectbox, "class").set_value(target).run())
        by_class[target] = shown_words(at)
    assert by_class["NEG"] != by_class["POS"]
    label = "NEG" if "Annotators say <b>NEG</b>" in markup(at) else "POS"
    assert by_class["gold"] == by_class[label]


@pytest.fixture
def asking(tmp_path, monkeypatch, folders):
    """The viewer on a data set whose examples ask something."""
    texts = {"d1": "A man came in .\nHe sat down at once .", "d2": "It rained .\nNobody came ."}
    asked = {"e1": ("d1", "who came in ?"), "e2": ("d1", QUERY), "e3": ("d2", "did it rain ?")}
    root = tmp_path / "asking"
    (root / "docs").mkdir(parents=True)
    for name, text in texts.items():
        (root / "docs" / name).write_text(text)
    lines = [
        json.dumps({
            "annotation_id": name, "classification": "POS", "query": query, "docids": [doc],
            "evidences": [[{"docid": doc, "start_token": 0, "end_token": 2, "text": "x"}]],
        })
        for name, (doc, query) in asked.items()
    ]  # fmt: skip
    for split in ("train", "val", "test"):
        (root / f"{split}.jsonl").write_text("\n".join(lines) + "\n" if split == "test" else "")

    def make(page="Explain", **query):
        given = LaunchConfig((str(folders / "dense"), str(folders)), "asking", str(root))
        monkeypatch.setenv(VARIABLE, given.as_json())
        at = AppTest.from_file(SCRIPT, default_timeout=60)
        for key, value in {"page": page, **query}.items():
            at.query_params[key] = value
        return checked(at.run())

    return make


def test_an_example_brings_its_query_and_its_sentences(asking):
    at = asking(example="e1", method="gradient_x_input")
    assert keyed(at.text_area, "query").value == "who came in ?"
    assert keyed(at.text_area, "text").value == "A man came in . He sat down at once ."
    before = markup(at), shown_words(at)
    assert "who" not in shown_words(at)
    checked(keyed(at.text_area, "query").set_value("did it rain ?").run())
    assert (markup(at), shown_words(at)) != before
    checked(keyed(at.selectbox, "taken").set_value("e3").run())
    assert keyed(at.text_area, "query").value == "did it rain ?"
    checked(keyed(at.text_area, "query").set_value("  ").run())
    assert 'class="probs"' in markup(at)


def test_the_premise_of_a_pair_is_the_query_of_its_hypothesis(monkeypatch, folders, tmp_path):
    root = tmp_path / "pairs"
    root.mkdir()
    texts = {"e_premise": "A man came in .", "e_hypothesis": "Nobody sat down ."}
    lines = [json.dumps({"docid": name, "document": text}) for name, text in texts.items()]
    (root / "docs.jsonl").write_text("\n".join(lines) + "\n")
    mark = {"docid": "e_hypothesis", "start_token": 0, "end_token": 1, "text": "x"}
    line = {"annotation_id": "e", "classification": "POS", "evidences": [[mark]], "query": None}
    (root / "test.jsonl").write_text(json.dumps(line) + "\n")
    given = LaunchConfig((str(folders / "dense"), str(folders)), "pairs", str(root))
    monkeypatch.setenv(VARIABLE, given.as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params |= {"page": "Explain", "example": "e"}
    checked(at.run())
    assert keyed(at.text_area, "query").value == "A man came in ."
    assert keyed(at.text_area, "text").value == "Nobody sat down ."
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params |= {"page": "Annotators", "example": "e", "split": "test"}
    checked(at.run())
    assert "came" in shown_words(at)
    assert "Nobody" in shown_words(at)


def test_an_example_that_was_given_as_a_text_stays_as_it_is(monkeypatch, folders, tmp_path):
    text = "Slow,  at first.\n\nThen a joy"
    rows = [
        {"id": x, "text": t, "label": x, "rationale": [[0, 4]]} for x, t in (("NEG", text), ("POS", "Warm"))
    ]
    files = {"test": save(tmp_path / "x.jsonl", rows)}
    write_eraser(
        read_custom("own", files, ImportOptions(rationale_form="chars", words="punctuation")),
        tmp_path / "own",
    )
    given = LaunchConfig((str(folders / "dense"), str(folders)), "own", str(tmp_path / "own"))
    monkeypatch.setenv(VARIABLE, given.as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params |= {"page": "Explain", "example": "NEG"}
    checked(at.run())
    assert keyed(at.text_area, "text").value == text
    shown = json.loads(shown_words(at))["body"]
    assert re.sub("<(?!br)[^>]*>", "", shown) == "Slow, at first.<br>Then a joy"
    checked(keyed(at.selectbox, "cut").set_value("whitespace").run())
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    assert out.options[:3] == ["Slow, · 1", "at · 2", "first. · 3"]
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params |= {"page": "Annotators", "example": "NEG", "split": "test"}
    checked(at.run())
    body = json.loads(shown_words(at))["body"]
    assert re.sub("<(?!br)[^>]*>", "", body) == "Slow, at first.<br>Then a joy"
    assert "1 of 8" in markup(at)


def test_a_query_is_never_markup_nor_among_the_words(asking):
    at = asking(example="e2")
    assert keyed(at.text_area, "query").value == QUERY
    assert "<script>" not in markup(at) + shown_words(at)
    assert "alert" not in shown_words(at)
    at = asking("Annotators", example="e2")
    assert "&lt;script&gt;" in markup(at)
    assert "<script>" not in markup(at)


def test_a_query_that_leaves_no_room_is_a_message(asking):
    at = asking(example="e1")
    checked(keyed(at.text_area, "query").set_value("why " * 600).run())
    assert at.error[0].value == "This cannot be shown."
    assert "expected a query that leaves" in at.code[0].value


def test_no_query_is_asked_for_where_examples_ask_nothing(open_app):
    at = open_app(example="a001.txt")
    assert not [t for t in at.text_area if t.key == "query"]


@pytest.fixture
def runs(tmp_path, sample):
    for name in ("one", "two"):
        write(tmp_path / "runs" / name)
    write_stored(tmp_path / "runs" / "one", sample)
    return tmp_path / "runs"


def test_annotators_show_what_a_run_holds_and_compute_nothing(open_app, runs, monkeypatch):
    monkeypatch.setattr(
        "rationale_viewer.compute.cached.score_examples", None
    )  # whoever computes would call it
    at = open_app("Annotators", runs=[runs], source="run one")
    assert not at.error
    assert keyed(at.selectbox, "source").options == [LIVE, "run one"]  # the other has no predictions
    assert keyed(at.selectbox, "method").options == ["attention", "lime (slow)", "mine"]
    for method in METHODS:
        checked(keyed(at.selectbox, "method").set_value(method).run())
        assert "Stored in run one: computed by a-model, for the class that annotators gave" in markup(at)
        assert len(keyed(at.selectbox, "example").options) == 6
    assert "3 of " in markup(at)
    shown = shown_words(at)
    checked(keyed(at.selectbox, "stored-budget").set_value("gold").run())
    assert shown_words(at) != shown
    checked(keyed(at.toggle, "wrong").set_value(True).run())
    assert "Annotators say <b>NEG</b>" in markup(at)


def test_a_run_is_left_again(open_app, runs, folders):
    at = open_app("Annotators", runs=[runs], source="run one", method="mine")
    assert keyed(at.selectbox, "method").value == "mine"
    checked(keyed(at.selectbox, "source").set_value(LIVE).run())
    assert keyed(at.selectbox, "method").value in ALL_METHODS
    assert "Computed by dropping, for the predicted class" in markup(at)


def test_a_model_with_other_labels_may_look_at_a_run(open_app, runs):
    at = open_app("Annotators", model="three", runs=[runs])
    assert "a model with the labels" in at.code[0].value
    checked(keyed(at.selectbox, "source").set_value("run one").run())
    assert not at.error
    assert "Annotators say" in markup(at)


def test_a_run_on_other_texts_is_a_message(open_app, runs):
    for file in (runs / "one" / "predictions").glob("*.jsonl"):
        file.write_text(file.read_text().replace("a001.txt", "other.txt"))
    at = open_app("Annotators", runs=[runs], source="run one")
    assert at.error[0].value == "This cannot be shown."
    told = at.code[0].value.splitlines()
    assert "the run is on sample" in told[0]
    assert "attention.jsonl:1: other.txt: unknown annotation_id: not in sample" in told[1]
    checked(keyed(at.selectbox, "source").set_value(LIVE).run())
    assert not at.error
