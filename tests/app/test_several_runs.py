"""Runs side by side on the page Scores: each has a name of its own, and so has each length of a rationale."""

from __future__ import annotations

from rationale_viewer.session.opened import short_names

from tests.helpers.app.pages import checked, keyed, markup
from tests.helpers.app.runs import write


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
