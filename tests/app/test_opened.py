"""What is open: models, data sets and runs as they were given, and whether they belong together."""

from __future__ import annotations

import re
import shutil

import pytest
from rationale_viewer.pages.explain.given import OWN
from rationale_viewer.session.opened import may_hurt
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from rationale_viewer.session.state import held
from streamlit.testing.v1 import AppTest

from eraser import Dataset, Document, Example, Span
from eraser.types import Evidence
from tests.helpers.app.pages import SCRIPT, checked, keyed, markup
from tests.helpers.eraser.posts import make, post


@pytest.fixture
def started(monkeypatch):
    """The viewer as it is started with these models, data and runs."""

    def make(page="Explain", **given):
        monkeypatch.setenv(VARIABLE, LaunchConfig(**given).as_json())
        at = AppTest.from_file(SCRIPT, default_timeout=60)
        at.query_params["page"] = page
        return checked(at.run())

    return make


def test_a_label_that_the_model_does_not_have_is_not_called_its_error(started, folders, sample):
    example = sample.splits["test"][1]
    for model in ("three", "dense"):
        at = started(models=(str(folders / model),))
        checked(keyed(at.selectbox, "taken").set_value(example.id).run())
        told = re.search(rf"Annotators say {example.label}: the model ([a-z ]+)\.", markup(at)).group(1)
        assert (told == "has other labels") == (model == "three")
        assert told in ("has other labels", "agrees", "is wrong")


def test_a_model_that_was_trained_anew_in_its_folder_is_loaded_anew(folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders / "dense", folder)
    first = held(str(folder))
    assert held(str(folder)) is first
    shutil.copytree(folders / "three", folder, dirs_exist_ok=True)
    assert first.classifier.labels == ("NEG", "POS")
    assert held(str(folder)).classifier.labels == ("hatespeech", "normal", "offensive")


def test_an_adapter_is_a_model(started, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    at = started(models=(str(tmp_path / "adapter"),))
    assert keyed(at.sidebar.selectbox, "model").value == "adapter"
    assert at.error[0].value == "The model cannot be opened."  # this one holds nothing else


def test_a_folder_without_what_it_was_given_for_is_told(started, folders, tmp_path):
    (tmp_path / "empty").mkdir()
    at = started(models=(str(folders / "dense"), str(tmp_path)), runs=(str(tmp_path / "empty"),))
    told = [w.value for w in at.main.warning]
    looked = "there, nor up to 2 folders below."
    assert told[0] == (f"No model was found in this folder: no config.json or adapter_config.json {looked}")
    assert told[1].startswith("No run was found in this folder: no scores.csv or ")
    assert [c.value for c in at.main.code] == [str(tmp_path), str(tmp_path / "empty")]
    (tmp_path / "empty" / "speeds.csv").write_text("")
    at = started(models=(str(folders),), runs=(str(tmp_path),))
    assert not at.main.warning


def test_hateful_examples_are_offered_on_the_page_explain_once_the_reader_agrees(started, folders, tmp_path):
    data = make(tmp_path / "posts", {"p1": post(("normal",) * 3)}, {"test": ["p1"]})
    at = started(models=(str(folders),), dataset="hatexplain", data=str(data))
    assert "Content warning" in at.main.warning[0].value
    assert keyed(at.selectbox, "taken").options == [OWN]
    assert keyed(at.text_area, "text").value == ""
    checked(keyed(at.checkbox, "warned").check().run())
    assert len(keyed(at.selectbox, "taken").options) == 2


def set_of(label, annotators=2, tags=(), name="own"):
    """A data set of one text that several people marked."""
    marks = frozenset({Evidence("d", Span(0, 1))})
    example = Example("d", ("d",), label, None, frozenset({marks}), (marks,) * annotators, frozenset(tags))
    document = Document("d", (("warm", "film"),))
    return Dataset(name, {"d": document}, {"test": (example,)})


def test_what_may_hurt_is_told_by_label_tags_or_name_and_not_by_how_many_marked_it():
    assert not may_hurt(set_of("POS", annotators=3))
    assert may_hurt(set_of("offensive", annotators=1))
    assert may_hurt(set_of("joy|hatespeech"))
    assert may_hurt(set_of("POS", tags=["Women"]))
    assert may_hurt(set_of("POS", name="my HateXplain"))
