"""Runs side by side on the page Scores: each has a name of its own, and so has each length of a rationale."""

from __future__ import annotations

import json

from rationale_viewer.session.opened import short_names

from tests.helpers.app.pages import checked, keyed, markup
from tests.helpers.app.runs import write
from tests.helpers.app.stored import write_stored


def test_names_are_as_short_as_they_tell_apart():
    paths = ["/r/a/test", "/r/b/test", "/r/b/val", "/s/b/test", "test", "owner/name"]
    names = ["a/test", "r/b/test", "val", "s/b/test", "test", "name"]
    assert list(short_names(paths)) == names
    assert list(short_names(paths).values()) == paths


def test_runs_whose_folders_have_the_same_name_stand_side_by_side(open_app, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "runs" / name / "test", ("attention", "random"))
    at = open_app("Scores", runs=[tmp_path / "runs"])
    checked(keyed(at.multiselect, "runs").set_value(["a/test", "b/test"]).run())
    wide, table = (of.value for of in at.dataframe)
    assert {"a/test: attention", "b/test: attention"} <= set(wide.index)
    assert {"a/test: random", "b/test: random"} <= set(table.method)
    assert "a/test · made test" in markup(at)


def with_budget(folder, budget, asked, **settings):
    """A run of another length of rationales than annotators' own."""
    write(folder)
    for file in ("scores.csv", "paired.csv"):
        (folder / file).write_text((folder / file).read_text().replace(",gold,", f",{budget},"))
    facts = json.loads((folder / "scores.json").read_text())
    facts["run"]["budgets"] = [budget]
    facts["run"]["settings"] |= {"budgets": [asked], **settings}
    (folder / "scores.json").write_text(json.dumps(facts))


def test_two_lengths_that_were_asked_for_alike_can_both_be_chosen(open_app, tmp_path):
    for name, share in (("a", "0.1677"), ("b", "0.25")):
        with_budget(tmp_path / "runs" / name, f"ratio={share}", "ratio")
    at = open_app("Scores", runs=[tmp_path / "runs"])
    checked(keyed(at.multiselect, "runs").set_value(["a", "b"]).run())
    mean = "as many words as annotators mark on average"
    box = keyed(at.selectbox, "at")
    assert box.options == [f"{mean} (16.8 % of the words)", f"{mean} (25 % of the words)"]
    checked(box.set_value("ratio=0.25").run())
    f1 = at.dataframe[0].value.token_f1
    assert f1.notna()["b: attention"]
    assert f1.isna()["a: attention"]


def test_rationales_of_sentences_are_not_called_words(open_app, tmp_path):
    with_budget(tmp_path / "runs" / "s", "ratio=0.25", "ratio", unit="sentence")
    at = open_app("Scores", runs=[tmp_path / "runs"])
    assert keyed(at.selectbox, "at").options == ["as many sentences as annotators mark on average"]
    facts = json.loads((scores := tmp_path / "runs" / "s" / "scores.json").read_text())
    facts["run"]["with_human_evidence"] = 0
    scores.write_text(json.dumps(facts))
    at = open_app("Scores", runs=[tmp_path / "runs"])
    assert keyed(at.selectbox, "at").options == ["25 % of the sentences"]
    with_budget(tmp_path / "runs" / "w", "gold", "gold")
    at = open_app("Scores", runs=[tmp_path / "runs"])
    checked(keyed(at.multiselect, "runs").set_value(["s", "w"]).run())
    assert "as many units as annotators marked" in keyed(at.selectbox, "at").options


def test_annotators_name_the_unit_of_a_run(open_app, tmp_path, sample):
    folder = write_stored(write(tmp_path / "s"), sample)
    facts = json.loads((folder / "scores.json").read_text())
    facts["run"]["settings"]["unit"] = "sentence"
    (folder / "scores.json").write_text(json.dumps(facts))
    at = open_app("Annotators", runs=[folder], source="run s", method="attention")
    assert keyed(at.selectbox, "stored-budget").options[0] == "as in the run: 20 % of the sentences"
