from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from eraser.metrics.table import compare
from rationale.evaluation.collect import marked_words
from rationale.evaluation.stored.columns import ColumnsFile
from rationale.report.write import write_run
from tests.helpers.made_runs import made

pytestmark = pytest.mark.figures

SCORES = {
    "survivors": [[2.9, 2.5, 1.5, 0.5, 0.1, 0.3], [0.5, 2.5, 1.5, 2.2, 0.1, 0.3], [2.1, 2.2, 2.3, 1, 1, 1]],
    "attention": [[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]],
    "random": [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]],
}
GOLD = [{0, 1}, {4, 5}, {0, 1, 2}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    evaluation, dataset = made(SCORES, GOLD)
    write_run(evaluation, dataset, folder)
    return folder


class Outline(HTMLParser):
    """Texts of each kind of element, in order; every address asked for."""

    def __init__(self, page):
        super().__init__()
        self.open, self.texts, self.addresses, self.tags = [], {}, [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


def outline(folder) -> Outline:
    return Outline((folder / "report.html").read_text(encoding="utf-8"))


def test_folder_holds_tables_figures_and_one_page(run):
    names = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    tables = {f"{n}.csv" for n in ("scores", "paired", "curves", "layers", "agreement")}
    drawn = {"agreement", "tradeoff", "cost", "faithfulness", "methods", "layers"}
    assert names == tables | {f"figures/{n}.png" for n in drawn} | {
        "made.json", "summary.md", "summary.tex", "scores.json", "report.html",
        "per_example.parquet", "times.parquet",
        "predictions/survivors.jsonl", "predictions/attention.jsonl", "predictions/random.jsonl",
    }  # fmt: skip
    layers = pd.read_csv(run / "layers.csv")
    assert (layers.layer.max(), set(layers.method)) == (2, set(SCORES))
    agreement = pd.read_csv(run / "agreement.csv").set_index(["method", "other"])
    assert agreement.loc[("attention", "random")].tau == pytest.approx(-1 / 3)  # -1, -1 and 1


def test_page_asks_for_nothing_outside_itself_and_its_images_are_the_figures(run):
    found = outline(run)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    data = [
        base64.b64decode(a.removeprefix("data:image/png;base64,"), validate=True) for a in found.addresses
    ]
    assert sorted(data) == sorted(p.read_bytes() for p in (run / "figures").iterdir())
    assert "url(" not in (run / "report.html").read_text()


def test_ranks_are_shown_with_ties(run):
    """Average precision: survivors 1, 4/15, 1; attention 1, 4/15, 23/60: better in one example, so a tie."""
    page = (run / "report.html").read_text(encoding="utf-8")
    table = page[page.index("<caption>average_precision") :].split("</table>")[0]
    rows = re.findall(r'<td class="rank">(.*?)</td><td>(.*?)</td><td>(.*?)</td>', table)
    scores = pd.read_csv(run / "scores.csv")
    value = scores[scores.metric == "average_precision"].set_index("method").value
    assert rows[:2] == [("1=", "survivors", "0.756"), ("1=", "attention", "0.550")]
    assert [name for _, name, _ in rows] == value.sort_values(ascending=False).index.tolist()


def test_examples_are_those_furthest_apart(run):
    """e1: every method ranks the marked words 4 and 5 last."""
    found = outline(run)
    headings = [h for h in found.texts["h2"] if h.startswith(("Where", "First"))]
    assert headings == [
        "Where methods and human rationales disagree most",
        "Where methods disagree most with each other",
        "First examples",
    ]
    ids = [h.split(":")[0] for h in found.texts["h3"]]
    assert ids == ["e1", "e2", "e0"] + ["e2", "e1", "e0"] + ["e0", "e1", "e2"]
    taus = [h.split(":")[1].split(";")[0].strip() for h in found.texts["h3"][3:6]]
    assert taus == ["-0.447", "0.333", "0.867"]  # -6 / √(12·15), 5/15, 13/15
    methods = [s.split()[0] for s in found.texts["summary"]]
    assert set(methods) == {"survivors", "attention"}  # random has no opinion


def test_numbers_can_be_traced_to_settings_and_versions(run):
    cells = outline(run).texts["td"]
    settings = json.loads((run / "scores.json").read_text())["run"]["settings"]
    for name, value in settings.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        assert cells[cells.index(name) + 1] == shown
    assert "torch" in cells
    note = "budget gold; long texts: window, removal: delete, ig_steps 20, seed 0."
    for name in ("summary.md", "summary.tex"):
        text = (run / name).read_text(encoding="utf-8")
        assert note in text
        assert "Note: a note." in text


def test_values_of_examples_give_the_paired_table(run):
    columns = ColumnsFile(run / "per_example.parquet")
    paired = pd.read_csv(run / "paired.csv")
    for row in paired.itertuples():
        ours, theirs = (columns[row.metric, row.budget, m] for m in (row.method, row.other))
        assert compare(row.metric, ours, theirs).value == pytest.approx(row.difference)


@pytest.mark.usefixtures("blank_figures")
def test_every_text_of_a_user_is_escaped(tmp_path):
    hostile = ["<script>alert(1)</script>", "{{7*7}}", "&amp;", "<b>", "\"><img src='x'>", "good"]
    evaluation, dataset = made(SCORES, GOLD, words=[hostile, hostile, hostile])
    named = replace(evaluation.settings, dataset="<i>name</i>", model="<u>model</u>")
    write_run(replace(evaluation, settings=named, notes=("<s>note</s>",)), dataset, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = outline(tmp_path)
    assert not {"script", "i", "u", "s"} & set(found.tags)
    assert found.tags.count("img") == 6
    assert found.tags.count("b") == 3  # the template's own: data set, split, model
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 9 * 2  # examples × methods
    assert "{{7*7}}" in page
    assert "&amp;amp;" in page


def test_words_alike_stand_together():
    evaluation, _ = made(SCORES, GOLD)
    assert marked_words(evaluation, "survivors", 0) == [("fine dull", "hit"), ("warm film plot cast", "")]
    assert marked_words(evaluation, "attention", 2) == [
        ("fine dull warm", "missed"),
        ("film plot cast", "extra"),
    ]


@pytest.mark.usefixtures("blank_figures")
def test_what_an_earlier_run_had_and_this_one_has_not_is_taken_away(tmp_path):
    evaluation, dataset = made(SCORES, GOLD)
    write_run(evaluation, dataset, tmp_path)
    one, dataset = made({"random": SCORES["random"]}, GOLD)
    write_run(one, dataset, tmp_path)
    names = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert not {"layers.csv", "agreement.csv", "layers.png", "methods.png", "survivors.jsonl"} & names
    assert "layers.csv" not in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("blank_figures")
def test_data_without_human_evidence_are_reported(tmp_path):
    evaluation, dataset = made(SCORES, [set(), set(), set()])
    write_run(evaluation, dataset, tmp_path)
    found = outline(tmp_path)
    assert [h.split(":")[0] for h in found.texts["h3"]] == ["e2", "e1", "e0"]  # methods still disagree
    assert "None." in found.texts["p"]
    assert "nan" not in (tmp_path / "summary.md").read_text()
