"""The viewer of models that give several labels or a number, and of a function of texts."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rationale_viewer.pages
from rationale_viewer.compute.agreement import Filter, RationaleSpec, score_examples
from rationale_viewer.compute.explain import after_removal, methods_of, read, score, text_of
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from rationale_viewer.session.state import LoadedModel
from streamlit.testing.v1 import AppTest

from eraser import Dataset
from eraser.data.write_eraser import write_eraser
from rationale.explanation import explain
from rationale.hf.classifier import load_classifier
from tests.helpers.app.pages import checked, keyed, markup
from tests.helpers.classifier_source import SOURCE
from tests.helpers.models.made_heads import LABELS, MULTI_LABEL, REGRESSION, head_model, save

SCRIPT = str(Path(rationale_viewer.pages.__file__).parent / "viewer.py")
TEXT = "a warm , moving film . never dull"
WORDS = tuple(TEXT.split())
SEVERAL = ("rude", "rude|insult", "threat", "insult")


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save(head_model(tokenizer, 3, MULTI_LABEL, labels=LABELS), tokenizer, root / "several")
    save(head_model(tokenizer, 1, REGRESSION), tokenizer, root / "number")
    return root


@pytest.fixture(scope="module")
def several(sample):
    """Eight of the sample's reviews with sets of labels."""
    examples = tuple(replace(e, label=SEVERAL[i % 4]) for i, e in enumerate(sample.splits["test"][:8]))
    documents = {i: sample.documents[i] for e in examples for i in e.doc_ids}
    return Dataset("posts", documents, {"test": examples})


@pytest.fixture(scope="module")
def data_of(several, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    numbers = tuple(replace(e, label=str(i / 2)) for i, e in enumerate(several.splits["test"]))
    write_eraser(several, root / "several")
    write_eraser(replace(several, splits={"test": numbers}), root / "number")
    return root


def held(folders, name):
    return LoadedModel(name, load_classifier(folders / name))


@pytest.fixture
def open_app(monkeypatch, folders, data_of):
    def make(model, page="Explain", **query):
        data = data_of / model if (data_of / model).is_dir() else None
        folder = str(folders / model) if (folders / model).is_dir() else model
        start = LaunchConfig((folder,), "posts" if data else "sample", data and str(data))
        monkeypatch.setenv(VARIABLE, start.as_json())
        at = AppTest.from_file(SCRIPT, default_timeout=60)
        for key, value in {"page": page, **query}.items():
            at.query_params[key] = value
        return checked(at.run())

    return make


def test_a_reading_is_what_the_library_says(folders):
    for name in ("several", "number"):
        one = held(folders, name)
        found, wanted = read(one, text_of(WORDS), 1.0), explain(one.classifier, TEXT, "random")
        assert found.probs == pytest.approx(wanted.probs)
        assert (found.label, found.top, found.kind) == (wanted.label, wanted.target, wanted.kind)
        scores = score(one, found, ["gradient_x_input"], 1.0, found.top)["gradient_x_input"].scores
        np.testing.assert_allclose(
            scores, explain(one.classifier, TEXT, "gradient_x_input").scores, atol=1e-6
        )
        shorter = explain(one.classifier, " ".join(WORDS[1:]), "random")
        assert after_removal(one, found, [0], "delete", 1.0) == pytest.approx(shorter.probs, abs=1e-5)


def test_labels_are_judged_as_sets_and_agreement_is_of_the_label_explained(folders, several):
    one = held(folders, "several")
    found = score_examples(
        one, several, several.splits["test"], RationaleSpec("gradient_x_input", "gold", "threat")
    )
    for j, label in zip(found, SEVERAL * 2, strict=True):
        said = {x for x, p in j.probs.items() if p > 0.5}
        assert j.wrong == (said != set(label.split("|")))
        assert (j.agreement["token_f1"] is not None) == (label == "threat" and j.gold.any())
    assert [j.label for j in Filter(labels=("insult",)).of(found, {})] == ["rude|insult", "insult"] * 2


def test_a_number_is_neither_right_nor_wrong(folders, several):
    one = held(folders, "number")
    numbers = tuple(replace(e, label="2.5") for e in several.splits["test"][:3])
    found = score_examples(one, several, numbers, RationaleSpec("gradient_x_input", "gold"))
    assert [j.wrong for j in found] == [False] * 3
    assert [float(j.predicted) for j in found] == pytest.approx([j.probs["value"] for j in found], rel=1e-5)


def test_explain_shows_every_label_s_own_probability(open_app, folders):
    at = open_app("several")
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    probs = explain(load_classifier(folders / "several"), TEXT, "random").probs
    shown = markup(at)
    assert all(f"{p:.3f}" in shown for p in probs.values())
    top = max(probs, key=probs.get)
    assert f"The words below are explained for {top}; labels above 0.5 are said." in shown
    assert keyed(at.selectbox, "class").options == ["predicted", *LABELS]
    checked(keyed(at.selectbox, "class").set_value("insult").run())
    assert "explained for insult" in markup(at)
    assert [b.proto.label for b in at.get("download_button")] == ["HTML", "LaTeX", "PNG", "SVG"]


def test_explain_shows_a_number_and_no_percentages(open_app, folders):
    at = open_app("number")
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    value = explain(load_classifier(folders / "number"), TEXT, "random").probs["value"]
    assert f"<b>value</b> {value:.3f}" in markup(at)
    assert 'class="probs"' not in markup(at)
    assert keyed(at.selectbox, "class").options == ["predicted", "value"]
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    checked(out.set_value([1]).run())
    after = explain(load_classifier(folders / "number"), " ".join([WORDS[0], *WORDS[2:]]), "random").probs[
        "value"
    ]
    assert f"<b>value</b> {after:.3f}<small> {after - value:+.3f}</small>" in markup(at)


def test_annotators_page_of_labels_and_of_a_number(open_app):
    at = open_app("several", page="Annotators")
    assert keyed(at.selectbox, "class").options == ["predicted", *LABELS]
    assert keyed(at.multiselect, "labels").options == ["insult", "rude", "threat"]
    assert "Annotators say <b>rude</b>" in markup(at)
    at = open_app("number", page="Annotators")
    assert "Annotators say <b>0.0</b>; the model says: <b>" in markup(at)
    assert 'class="probs"' not in markup(at)


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "shown_words.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(tmp_path)
    yield "shown_words:model"
    sys.modules.pop("shown_words", None)


def test_a_function_is_shown_too(open_app, module):
    at = open_app(module)
    assert not at.error, [c.value for c in at.code]
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    assert keyed(at.selectbox, "method").options == [
        "position", "random", "leave_one_out (slow)", "occlusion (slow)", "lime (slow)", "kernel_shap (slow)"
    ]  # fmt: skip
    checked(keyed(at.selectbox, "method").set_value("leave_one_out").run())
    assert "speaks for POS" in markup(at)
    assert not at.error
    keyed(at.get("segmented_control"), "page").set_value("Annotators")
    checked(at.run())
    assert "Annotators say" in markup(at)


def test_methods_of_a_function_are_those_that_ask(module):
    from rationale.named import from_name

    assert set(methods_of(LoadedModel("f", from_name(module)))) == {
        "leave_one_out", "occlusion", "lime", "kernel_shap", "position", "random"
    }  # fmt: skip
