"""The viewer with a model that not every method fits."""

from __future__ import annotations

from pathlib import Path

import pytest
import rationale_viewer.pages
from rationale_viewer.compute.explain import SLOW, methods_of, suited
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from rationale_viewer.session.state import LoadedModel
from streamlit.testing.v1 import AppTest

from rationale.hf.classifier import quiet
from tests.helpers.families.classifiers import family_classifier, family_model, family_tokenizer
from tests.helpers.families.methods import EXPLAINING, REFUSED

SCRIPT = str(Path(rationale_viewer.pages.__file__).parent / "viewer.py")
LINES = tuple(f"{method} is left out: {reason}" for method, reason in REFUSED["t5"].items())


def test_methods_that_do_not_fit_are_left_out_and_named():
    held = LoadedModel("t5", family_classifier("t5"))
    methods, left_out = suited(held)
    assert {*methods} == {*EXPLAINING} - {*REFUSED["t5"]}
    assert methods == methods_of(held)
    assert [m in SLOW for m in methods] == sorted(m in SLOW for m in methods)
    assert {*left_out} == {*LINES}


@pytest.mark.families
@pytest.mark.parametrize("page", ["Explain", "Annotators"])
def test_pages_offer_the_others_and_say_why(tmp_path, monkeypatch, page):
    quiet()
    family_model("t5").save_pretrained(tmp_path / "two-stacks")
    family_tokenizer("t5").save_pretrained(tmp_path / "two-stacks")
    start = LaunchConfig(models=(str(tmp_path / "two-stacks"), str(tmp_path)), runs=())
    monkeypatch.setenv(VARIABLE, start.as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params["page"] = page
    at.session_state["text"] = "a warm film"
    at.run()
    assert not at.exception, at.exception[0].message
    offered = next(e for e in at.selectbox if e.key == "method").options
    assert "saliency" in offered
    assert not {*offered} & {*REFUSED["t5"]}
    shown = " ".join(e.proto.body for e in at.get("html"))
    assert f"{len(LINES)} methods do not fit this model" in [e.label for e in at.expander]
    for line in LINES:
        assert line in shown
