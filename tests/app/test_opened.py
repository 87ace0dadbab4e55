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
