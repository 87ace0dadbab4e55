"""What the docs say of model families is what these tests hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.docs_hooks import families_table, refusals_table
from scripts.model_families import table
from tests.families import test_cut_everywhere, test_methods_everywhere, test_packed_everywhere
from tests.helpers.families.classifiers import FAMILIES

WRITTEN = Path(__file__).parents[2] / "docs" / "families.json"


@pytest.fixture(scope="module")
def written():
    return json.loads(WRITTEN.read_text(encoding="utf-8"))["families"]


def test_every_family_is_there(written):
    assert {name: found["model_type"] for name, found in written.items()} == {
        name: family.kind for name, family in FAMILIES.items()
    }
    assert all(found["tests"] > 0 for found in written.values())


def test_refusals_are_those_of_the_tests(written):
    by_kind = {"packed": test_packed_everywhere.REFUSED, "cut": test_cut_everywhere.REFUSED}
    for name, found in written.items():
        expected = dict(test_methods_everywhere.REFUSED.get(name, {}))
        expected |= {what: table[name] for what, table in by_kind.items() if name in table}
        expected |= {"loading": "the empty text cannot be read"} if name == "funnel" else {}
        assert found["refused"].keys() == expected.keys(), name
        assert all(found["refused"][what].startswith(reason) for what, reason in expected.items()), name


def test_the_page_has_a_row_for_each_family_and_names_each_reason():
    rows = families_table().splitlines()[4:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {name}" for name in FAMILIES]
    assert "| bert | `bert` | all | yes | yes |" in families_table()
    assert "| funnel | `funnel` | none | no | no |" in families_table()
    assert "| albert, bloom, convbert," in refusals_table()


REPORT = """<testsuites><testsuite><testcase name="a"><properties><property name="family" value="{}"/>
<property name="refused" value="{}"/></properties>{}</testcase></testsuite></testsuites>"""


def test_no_table_is_made_of_failures_or_of_some_families(tmp_path):
    report = tmp_path / "r.xml"
    report.write_text(REPORT.format("bert", "{}", "<failure/>"))
    with pytest.raises(SystemExit, match="r.xml: a failed; no table is made"):
        table(report)
    report.write_text(REPORT.format("bert", "{}", ""))
    with pytest.raises(SystemExit, match="r.xml: no test of albert, bart, bigbird, .*; no table is made"):
        table(report)
