"""Text of a run, a data set or a model is never Markdown in the viewer, nor a formula in its figures."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from eraser.load import load
from rationale.report.plots import png
from tests.helpers.app.pages import checked, keyed, markup
from tests.helpers.app.runs import write
from tests.helpers.app.stored import write_stored
from tests.helpers.made_runs import made

IMAGE = "![x](http://127.0.0.1:9797/x.png)"
HOSTILE = (
    IMAGE, "[a](http://127.0.0.1:9797)", "<img src=http://127.0.0.1:9797/y.png>", ":material/error:",
    r"$x$ $\nosuchcommand$", "http://127.0.0.1:9797/z", "**bold**",
)  # fmt: skip
IN_A_NAME = "![x](x.png) $x$ :red[r]"
AS_IT_IS = ("html", "code")  # escaped by `rationale_viewer.view.html`; shown letter by letter


def nodes(block):
    for child in getattr(block, "children", {}).values():
        yield child
        yield from nodes(child)


def read_as_markdown(at):
    """All that the page shows as Markdown: texts, labels of controls, tabs and folds, and their help."""
    found = []
    for node in (*nodes(at.main), *nodes(at.sidebar)):
        proto = node.proto
        if node.type not in AS_IT_IS:
            found += [getattr(proto, "body", "")]
        found += [getattr(proto, name, "") for name in ("label", "help", "text")]
        for name in ("expandable", "tab"):
            found += [getattr(getattr(proto, name, None), "label", "")]
    return [str(text) for text in found if text]


def is_told(texts, hostile):
    return [text for text in texts if any(mark in text for mark in hostile)]


@pytest.fixture
def run(tmp_path):
    """A run whose methods, files, communities and settings are called as no one would."""
    folder = tmp_path / "runs" / IN_A_NAME
    write(folder, HOSTILE)
    write_stored(folder.with_name("other"), load("sample"), (IN_A_NAME,))
    (folder.with_name("other") / "predictions").rename(folder / "predictions")
    pd.DataFrame({"community": HOSTILE, "n": 1, IMAGE: 2}).to_csv(folder / "fairness.csv", index=False)
    facts = json.loads((folder / "scores.json").read_text())
    settings = facts["run"]["settings"] | dict.fromkeys(("dataset", "split", "model", "target"), IMAGE)
    facts["run"] |= {"settings": settings, "device": IMAGE, "intervals": IMAGE, "notes": [IMAGE]}
    (folder / "scores.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize("tab", ["Table", "Figures", "Annotators and communities"])
def test_a_run_is_shown_as_text(open_app, run, tab):
    at = open_app("Scores", runs=[run], tab=tab)
    assert not is_told(read_as_markdown(at), (*HOSTILE, IN_A_NAME))
    assert "<img" not in markup(at)
    assert f"{IN_A_NAME} · {IMAGE} {IMAGE}" in markup(at)


@pytest.mark.parametrize("view", ["together", "side by side"])
def test_its_rationales_are_shown_as_text(open_app, run, view):
    at = open_app("Annotators", runs=[run], source=f"run {IN_A_NAME}")
    checked(keyed(at.get("segmented_control"), "view").set_value(view).run())
    assert not is_told(read_as_markdown(at), (*HOSTILE, IN_A_NAME))
    assert f"Stored in run {IN_A_NAME}: computed by {IMAGE}, for the class {IMAGE}." in markup(at)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_typed_text_is_shown_as_text(open_app, text):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value(f"a film {text}").run())
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    checked(out.set_value([2]).run())
    assert not is_told(read_as_markdown(at), [text])
    assert "<img" not in markup(at)


def test_what_is_wrong_with_a_run_is_shown_as_text(open_app, run):
    (run / "scores.csv").write_text(f"method\n{IMAGE}\n")
    at = open_app("Scores", runs=[run])
    assert "this run cannot be read: " in at.code[0].value
    assert not is_told(read_as_markdown(at), (*HOSTILE, IN_A_NAME))


@pytest.mark.figures
def test_a_dollar_sign_begins_no_formula():
    from rationale.report.figures import FIGURES
    from rationale.report.summary import tables_of

    names = ("survivors", r"$\nosuchcommand$", "$a$", "$")
    evaluation, _ = made({m: [[3.0, 1.0 + i, 2.0, 0.5]] for i, m in enumerate(names)}, [{0}])
    for name, drawing in FIGURES.items():
        figure = drawing.make(tables_of(evaluation), "gold")
        assert png(figure).startswith(b"\x89PNG"), name
