"""What is open: models, data sets and runs as they were given, and whether they belong together."""

from __future__ import annotations

import re
import shutil

import pytest
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from rationale_viewer.session.state import held
from streamlit.testing.v1 import AppTest

from tests.helpers.app.pages import SCRIPT, checked, keyed, markup


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
