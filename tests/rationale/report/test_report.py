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
        if tag not in ("img", "meta", "br", "input"):
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
    assert names == tables | {f"figures/{n}.{kind}" for n in drawn for kind in ("png", "csv")} | {
        "made.json", "summary.md", "summary.tex", "scores.json", "report.html",
        "per_example.parquet", "times.parquet",
        "predictions/survivors.jsonl", "predictions/attention.jsonl", "predictions/random.jsonl",
    }  # fmt: skip
    layers = pd.read_csv(run / "layers.csv")
    assert (layers.layer.max(), set(layers.method)) == (2, set(SCORES))
    agreement = pd.read_csv(run / "agreement.csv").set_index(["method", "other"])
    assert agreement.loc[("attention", "random")].tau == pytest.approx(-1 / 3)  # -1, -1 and 1


def test_page_asks_for_nothing_outside_itself_and_its_images_are_the_figures(run):
    found, page = outline(run), (run / "report.html").read_text(encoding="utf-8")
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    inside = [a for a in found.addresses if a.startswith("#")]
    data = [
        base64.b64decode(a.removeprefix("data:image/png;base64,"), validate=True)
        for a in found.addresses
        if a not in inside
    ]
    assert sorted(data) == sorted(p.read_bytes() for p in (run / "figures").glob("*.png"))
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_contents_lead_to_every_part(run):
    found, page = outline(run), (run / "report.html").read_text(encoding="utf-8")
    parts = re.findall(r'<h2 id="(\w+)"', page)
    assert [a.removeprefix("#") for a in found.addresses if a.startswith("#")] == parts
    assert parts == ["verdict", "tradeoff", "scores", "wrong", "disagreements", "cost", "more", "again"]


def test_the_page_answers_first_and_folds_what_is_long(run):
    found, page = outline(run), (run / "report.html").read_text(encoding="utf-8")
    first = page[page.index('<ol class="verdict">') : page.index("</ol>")]
    said = re.findall(r"<li>([^:]+):", first)
    assert said[:2] == ["To show people", "To know what the model used"]
    assert len(said[2:]) == 2
    assert re.fullmatch(r"n = \d", said[3])  # few texts: intervals are not to be relied on
    assert "<details open" not in page
    assert found.tags.index("ol") < found.tags.index("img") < found.tags.index("table")


def test_cells_are_shaded_from_worst_to_best_and_hold_their_interval(run):
    """Average precision: survivors 0.756, attention 0.550; the third value lies between or below."""
    page = (run / "report.html").read_text(encoding="utf-8")
    table = page[page.index('<table class="heat">') :].split("</table>")[0]
    heads = re.findall(r"<th>([^<]+)<small>", table)
    at = heads.index("average precision")
    cells = {}
    for row in table.split("<tr>")[2:]:
        name = re.search(r"<th>([^<]+)</th>", row)[1]
        cells[name] = re.findall(r'<td class="([^"]*)"[^>]*>([^<]*)(?:<span class="interval">([^<]*))?', row)[
            at
        ]
    scores = pd.read_csv(run / "scores.csv")
    rows = scores[scores.metric == "average_precision"].set_index("method")
    assert cells["survivors"][0] == "u8 best"
    assert cells[rows.value.idxmin()][0].split()[:1] in ([], ["best"])  # the worst stands on paper
    for name, (_, text, interval) in cells.items():
        of = rows.loc[name]
        assert (text, interval) == (f"{of.value:.3f}", f"[{of.low:.3f}, {of.high:.3f}]")


def test_every_figure_has_its_numbers_beside_it(run):
    scores = pd.read_csv(run / "scores.csv")
    tradeoff = pd.read_csv(run / "figures" / "tradeoff.csv")
    assert set(tradeoff.metric) == {"average_precision", "aopc_comprehensiveness"}
    wanted = scores[scores.metric.isin(tradeoff.metric)].reset_index(drop=True)
    pd.testing.assert_frame_equal(tradeoff, wanted)
    for name in ("curves", "layers", "agreement"):
        drawn = {"curves": "faithfulness", "agreement": "methods"}.get(name, name)
        assert (run / "figures" / f"{drawn}.csv").read_bytes() == (run / f"{name}.csv").read_bytes()


def test_wrong_predictions_come_surest_first(tmp_path, blank_figures):
    evaluation, dataset = made(SCORES, GOLD)
    sure = {0: 0.75, 2: 0.875}

    def turned(i, prediction):
        if i not in sure:
            return prediction
        return replace(prediction, label="NEG", probs={"NEG": sure[i], "POS": 1 - sure[i]})

    changed = {k: tuple(turned(i, p) for i, p in enumerate(v)) for k, v in evaluation.predictions.items()}
    write_run(replace(evaluation, predictions=changed), dataset, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    part = page[page.index('<h2 id="wrong">') : page.index('<h2 id="disagreements">')]
    assert re.findall(r'class="id">(\w+)</b>: ([\d.]+); annotators say POS, the model says NEG', part) == [
        ("e2", "0.875"), ("e0", "0.750")
    ]  # fmt: skip
    assert "2 in all" in part


def test_ranks_are_shown_with_ties(run):
    """Average precision: survivors 1, 4/15, 1; attention 1, 4/15, 23/60: better in one example, so a tie."""
    page = (run / "report.html").read_text(encoding="utf-8")
    table = page[page.index("<caption>average precision") :].split("</table>")[0]
    rows = re.findall(r'<td class="rank">(.*?)</td><td>(.*?)</td><td>(.*?)</td>', table)
    scores = pd.read_csv(run / "scores.csv")
    value = scores[scores.metric == "average_precision"].set_index("method").value
    assert rows[:2] == [("1=", "survivors", "0.756"), ("1=", "attention", "0.550")]
    assert [name for _, name, _ in rows] == value.sort_values(ascending=False).index.tolist()


def test_examples_are_those_furthest_apart(run):
    """e1: every method ranks the marked words 4 and 5 last."""
    found = outline(run)
    assert found.texts["h3"] == [
        "Where methods and human rationales disagree most",
        "Where methods disagree most with each other",
        "First examples",
    ]
    shown = [s for s in found.texts["summary"] if "annotators say" in s]
    assert [s.split(":")[0] for s in shown] == ["e1", "e2", "e0"] + ["e2", "e1", "e0"] + ["e0", "e1", "e2"]
    taus = [s.split(":")[1].split(";")[0].strip() for s in shown[3:6]]
    assert taus == ["-0.447", "0.333", "0.867"]  # -6 / √(12·15), 5/15, 13/15
    page = (run / "report.html").read_text(encoding="utf-8")
    words = page[page.index('<h2 id="wrong">') : page.index('<h2 id="cost">')]
    assert set(re.findall(r"(?:<p>|<summary>)(\w+) <span", words)) == {"survivors", "attention"}


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
    assert found.tags.count("b") == 3 + 9  # the template's own: data set, split, model; ids of examples
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
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    gone = {"layers.csv", "agreement.csv", "predictions/survivors.jsonl"}
    assert not (gone | {f"figures/{n}.{k}" for n in ("layers", "methods") for k in ("png", "csv")}) & names
    assert "predictions/random.jsonl" in names
    assert "layers.csv" not in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("blank_figures")
def test_data_without_human_evidence_are_reported(tmp_path):
    evaluation, dataset = made(SCORES, [set(), set(), set()])
    write_run(evaluation, dataset, tmp_path)
    found = outline(tmp_path)
    ids = [s.split(":")[0] for s in found.texts["summary"] if "annotators say" in s]
    assert ids == ["e2", "e1", "e0"]  # methods still disagree
    assert "None." in found.texts["p"]
    assert "nan" not in (tmp_path / "summary.md").read_text()
    asked = replace(evaluation.settings, budgets=("ratio",))  # of nobody's marks: a fixed 0.2
    of = {(method, "ratio=0.2"): found for (method, _), found in evaluation.predictions.items()}
    write_run(replace(evaluation, settings=asked, budgets=("ratio=0.2",), predictions=of), dataset, tmp_path)
    assert "Each method picks 20 % of the words (" in " ".join(outline(tmp_path).texts["p"])
    assert "annotators mark on average" not in (tmp_path / "report.html").read_text()
