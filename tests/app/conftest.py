"""The viewer on small models."""

from __future__ import annotations

import pytest
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from streamlit.testing.v1 import AppTest

from tests.conftest import dropping, tiny_model
from tests.helpers.app.pages import SCRIPT, checked


@pytest.fixture(scope="session")
def folders(tmp_path_factory, tokenizer):
    """A model that drops words, a dense one, and one with HateXplain's labels, in one folder."""
    root = tmp_path_factory.mktemp("models")
    dense = tiny_model("bert", tokenizer, ("NEG", "POS"))
    three = tiny_model("bert", tokenizer, ("hatespeech", "normal", "offensive"))
    for name, model in (("dropping", dropping(dense)), ("dense", dense), ("three", three)):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


@pytest.fixture
def open_app(monkeypatch, folders):
    def make(page="Explain", model="dropping", runs=(), **query):
        start = LaunchConfig(models=(str(folders / model), str(folders)), runs=tuple(map(str, runs)))
        monkeypatch.setenv(VARIABLE, start.as_json())
        at = AppTest.from_file(SCRIPT, default_timeout=60)
        for key, value in {"page": page, **query}.items():
            at.query_params[key] = value
        return checked(at.run())

    return make
