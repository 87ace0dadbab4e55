"""The card of findings made by hand, and of a run: from Python, the command line, and after a kill."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy.stats import spearmanr

import rationale as suite
from eraser import InputError
from eraser.metrics.bootstrap import Estimate, resamples
from rationale.attribution.methods import METHODS
from rationale.templates.palette import contrast
from rationale.trusting import believe as module
from rationale.trusting.card import SIGNS, Card
from rationale.trusting.contract import Finding, TestResult
from tests.helpers.trusted import ORACLE, function, toy

ESTIMATE = Estimate(0.75, 0.5, 0.9, 20)


def finding(test, method, outcome, sentence="Told.", **details):
    return Finding.of(test, method, ESTIMATE, outcome, sentence, **details)


SCORES = pd.DataFrame(
    [
        (m, "-", metric, value, value - 0.1, value + 0.1, 20, "higher")
        for metric, values in {
            "average_precision": {"a": 0.7, "b": 0.65, "<b>": 0.4, "random": 0.3},
            "aopc_comprehensiveness": {"a": 0.2, "b": 0.5, "<b>": 0.1, "random": 0.1},
        }.items()
        for m, value in values.items()
    ],
    columns=["method", "budget", "metric", "value", "low", "high", "n", "better"],
)
PAIRED = pd.DataFrame(
    [
        ("average_precision", "-", "a", "b", True),
        ("average_precision", "-", "<b>", "random", True),
        ("aopc_comprehensiveness", "-", "<b>", "random", True),
    ],
    columns=["metric", "budget", "method", "other", "tie"],
)
FACTS = {
    "dataset": "made", "split": "test", "examples": 20, "with_human_evidence": 20, "model": "m",
    "budget": "ratio=0.2", "seed": 0, "device": "cpu", "seconds_of_scores": 2.0, "notes": ["a <note>"],
    "correlation": {"r": 0.1, "low": -0.1, "high": 0.3, "n": 20, "methods": 3},
}  # fmt: skip


@pytest.fixture
def card():
    ways = {way: {"value": v, "by_text": [v]} for way, v in (("delete, words", 0.9), ("mask, words", 0.4))}
    other = {way: {"value": v, "by_text": [v]} for way, v in (("delete, words", 0.8), ("mask, words", 0.6))}
    matched = TestResult(
        "matched",
        (
            finding("matched", "a", "pass", ways=ways, operators_agree=False),
            finding("matched", "b", "fail", "No better than random.", ways=other, operators_agree=True),
            Finding.unknown("matched", "<b>", "too few"),
            finding("matched", "random", "pass"),
        ),
        1.5, 100, 0,
    )  # fmt: skip
    return Card((matched,), {"matched": "Better than chance?"}, SCORES, PAIRED, FACTS)


def test_sentences_advise_name_ties_and_leave_out_who_failed(card):
    assert card.verdict() == (
        "To show people: a or b (tie; average precision 0.700 [0.600, 0.800] and 0.650 [0.550, 0.750], "
        "n = 20).",
        "Do not use <b> to show people: not clearly better than random on average precision.",
        "To know what the model used: a (AOPC comprehensiveness 0.200 [0.100, 0.300], n = 20).",
        "Do not use <b> to know what the model used: not clearly better than random on AOPC "
        "comprehensiveness.",
        "Agreement with annotators and faithfulness of a text are not shown to go together: r = 0.10 "
        "[-0.10, 0.30] over 20 texts, 3 methods, each method's mean taken away "
        "(average precision, AOPC comprehensiveness).",
        "Failed by b: Better than chance?",
        "Beware of matched: random passed it without looking at the model.",
    )


def test_every_sentence_leads_to_its_number(card):
    page, text = card.to_html(), card.to_markdown()
    for claim in card.claims():
        assert f'href="#{claim.source}"' in page
        assert f'id="{claim.source}"' in page
        assert f"(#{claim.source})" in text
        assert f'<a id="{claim.source}"></a>' in text


def test_nothing_of_a_user_becomes_markup(card):
    page = card.to_html()
    assert "<b>:" not in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "a &lt;note&gt;" in page
    assert "| &lt;b> |" in card.to_markdown()


def test_outcomes_can_be_read_on_any_paper(card):
    """Their words have no colour of their own, and each sign's ink passes WCAG 2's contrast of 4.5."""
    looks = re.findall(r'style="([^"]*)">([^<]+)<', card.to_html())
    signs = [(look, sign) for look, sign in looks if "color: inherit" not in look]
    assert {sign for _, sign in signs} <= {sign for sign, _ in SIGNS.values()}
    assert len(signs) == 2 * len(card.findings)
    for look, sign in signs:
        behind, ink = re.search("background: (#.{6}); color: (#.{3});", look).groups()
        assert contrast(behind, to_hex(ink)) >= 4.5, sign


def of_wins(by_text: dict[str, tuple[list[float | None], list[float | None]]]) -> Card:
    """A card of the test `matched` alone: each method's wins in each text under delete and mask."""
    findings = tuple(
        finding(
            "matched",
            m,
            "pass",
            operators_agree=True,
            ways={
                f"{how}, words": {"value": np.nanmean(np.array(wins, dtype=float)), "by_text": wins}
                for how, wins in zip(("delete", "mask"), both, strict=True)
            },
        )
        for m, both in by_text.items()
    )
    return Card((TestResult("matched", findings, 1.5, 0, 0),), {"matched": "?"}, SCORES, PAIRED, FACTS)


def test_the_order_of_methods_under_two_operators_is_correlated_without_baselines():
    values = {"a": (0.9, 0.5), "b": (0.8, 0.7), "c": (0.7, 0.6), "random": (0.1, 0.9)}
    card = of_wins({m: ([d, d], [k, k]) for m, (d, k) in values.items()})  # texts do not differ
    assert card.order() == (  # ranks 1, 2, 3 and 3, 1, 2: 1 - 6 (4 + 1 + 1) / (3 * 8)
        "Rank correlation of the 3 methods' order, baselines left out: delete and mask -0.50 [-0.50, -0.50]."
    )
    assert card.order() in card.to_markdown()
    assert card.order().replace("'", "&#39;") in card.to_html()
    assert card.to_record()["operators_agree"][0]["rho"] == pytest.approx(-0.5)


def test_the_interval_of_an_order_is_over_texts_drawn_with_all_methods():
    rng = np.random.default_rng(3)
    wins = rng.uniform(size=(2, 12, 4)).round(2)  # [way, text, method]
    card = of_wins({m: tuple(wins[:, :, i].tolist()) for i, m in enumerate("abcd")})
    (found,) = card.to_record()["operators_agree"]
    weights = resamples(12).astype(int)
    oracle = []
    for drawn in weights:  # slowly: the texts themselves, as often as they were drawn
        texts = np.repeat(np.arange(12), drawn)
        oracle.append(spearmanr(*(w[texts].mean(0).round(9) for w in wins)).statistic)
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.nanquantile(oracle, [0.025, 0.975])))
    assert found["rho"] == pytest.approx(spearmanr(*wins.mean(1)).statistic)


def test_an_order_of_one_common_text_has_no_interval():
    card = of_wins(
        {"a": ([0.9, None], [0.9, None]), "b": ([0.8, 0.1], [0.8, 0.1]), "c": ([0.7, 0.2], [0.7, 0.2])}
    )
    assert card.order().endswith("delete and mask 1.00.")
    (found,) = json.loads(json.dumps(card.to_record(), allow_nan=False))["operators_agree"]
    assert (found["low"], found["high"]) == (None, None)


def test_an_order_in_which_all_methods_tie_has_no_interval():
    card = of_wins({m: ([1.0, 1.0], [1.0, 1.0]) for m in "abc"})
    (found,) = json.loads(json.dumps(card.to_record(), allow_nan=False))["operators_agree"]
    assert (found["rho"], found["low"], found["high"]) == (None, None, None)
    assert card.order().endswith("delete and mask unknown, as methods tie.")


def test_all_numbers_with_an_interval_are_kept(card, tmp_path):
    inner = {"gini": vars(ESTIMATE), "ways": {"typo": {"tau": vars(ESTIMATE)}}, "n_of": 3}
    told = TestResult("people", (finding("people", "a", "pass", **inner),), 1.0, 0, 0)
    asked = Card((told,), {"people": "?"}, SCORES, PAIRED, FACTS)
    asked.write(tmp_path)
    rows = pd.read_csv(tmp_path / "numbers.csv")
    assert list(rows.number) == ["gini", "ways: typo: tau"]
    assert rows.iloc[0].to_dict() == {
        "test": "people", "method": "a", "number": "gini", "value": 0.75, "low": 0.5, "high": 0.9, "n": 20,
    }  # fmt: skip
    assert pd.read_csv(tmp_path / "findings.csv").to_dict("records") == [
        {"test": "people", "method": "a", "outcome": "pass", "in words": "Told."}
    ]
    page = (tmp_path / "card.html").read_text()
    assert "<td>a</td><td>ways: typo: tau</td><td>0.750 [0.500, 0.900]</td><td>20</td>" in page


def test_what_has_no_right_answer_is_reported_under_one_name(tmp_path):
    told = TestResult("sums", (finding("sums", "a", "told"),), 1.0, 0, 0)
    asked = Card((told,), {"sums": "?"}, SCORES, PAIRED, FACTS)
    asked.write(tmp_path)
    assert list(pd.read_csv(tmp_path / "findings.csv").outcome) == ["reported"]
    found = json.loads((tmp_path / "card.json").read_text())["tests"][0]["findings"][0]
    assert found["outcome"] == "reported"
    assert "| a | i reported |" in (text := (tmp_path / "card.md").read_text())
    assert "| a | reported | 0.750 [0.500, 0.900], n = 20 | Told. |" in text


def test_the_cost_of_scores_and_tests_is_summed(card):
    assert card.seconds == 3.5
    assert card.basis.endswith("tests took 1.50 s of CPU (cpu): 100 texts read, 0 explained again; "
                               "scores before that: 2.00 s; in all 3.50 s of CPU.")  # fmt: skip


def test_p_values_stand_beside_their_measures():
    sides = {side: {"p": p, "rejected": {"value": 0.5}} for side, p in (("without", 0.3), ("only", 0.001))}
    told = TestResult("distribution", (finding("distribution", "a", "told", **sides),), 1.0, 0, 0)
    rows = [
        ("a", "ratio=0.2", metric, 0.4, 0.3, 0.5, 20, "higher")
        for metric in ("comprehensiveness", "sufficiency")
    ]
    scores = pd.concat([SCORES, pd.DataFrame(rows, columns=SCORES.columns)])
    asked = Card((told,), {"distribution": "?"}, scores, PAIRED, FACTS)
    assert "| sufficiency (n = 20) |" in asked.to_markdown()
    cells = "| 0.400 [0.300, 0.500], p = 0.3 | 0.400 [0.300, 0.500], p = 0.001 ⚠ |"
    assert f"| a | 0.700 [0.600, 0.800] | 0.200 [0.100, 0.300] {cells}" in asked.to_markdown()
    assert "| b | 0.650 [0.550, 0.750] | 0.500 [0.400, 0.600] | – | – |" in asked.to_markdown()
    assert "<td>p = 0.001 ⚠</td>" in asked.to_html()
    assert asked.to_record()["inside"][1] == {
        "method": "a", "metric": "sufficiency", "p": 0.001, "rejected": 0.5, "n": 20, "outside": True,
    }  # fmt: skip


def test_the_table_and_the_order_under_each_operator(card):
    assert card.table["matched"].to_dict() == {
        "a": "pass",
        "b": "fail",
        "<b>": "cannot tell",
        "random": "pass",
    }
    assert card.operators.loc["a"].to_dict() == {
        "delete": 0.9, "rank_delete": 1, "mask": 0.4, "rank_mask": 2, "agree": False,
    }  # fmt: skip
    assert "| a | 0.900 (1) | 0.400 (2) | no |" in card.to_markdown()
    assert "| b | 0.800 (2) | 0.600 (1) | yes |" in card.to_markdown()
    assert "<td>0.900 (1)</td><td>0.400 (2)</td><td>no</td>" in card.to_html()
    assert json.loads(json.dumps(card.to_record()))["operators"][1]["rank_mask"] == 1


@pytest.mark.figures
def test_the_picture_shows_a_sign_for_each(card):
    (axes,) = card.figure().axes
    for text in axes.texts:
        behind = to_hex(text.get_bbox_patch().get_facecolor())
        assert contrast(to_hex(text.get_color()), behind) >= 4.5, text
    assert [t.get_text() for t in axes.texts] == ["✓", "✗", "?", "✓"]


@pytest.fixture
def asked(monkeypatch):
    """The oracle on the toy, small."""
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    how = {"tests": "matched,people", "mask": "[mask]", "draws": 5, "span_draws": 2, "budget": "ratio=0.25"}
    return lambda out, **more: suite.trust(function(), toy(10), ["oracle"], out=out, **how, **more)


def test_a_card_is_written_and_gone_on_with(asked, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_card", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            asked(tmp_path)
    assert not (tmp_path / "card.json").exists()
    monkeypatch.setattr("rationale.trusting.subject.text_probs", None)  # nothing is asked again
    card = asked(tmp_path)
    assert card.table.to_dict("index") == {
        "oracle": {"matched": "pass", "people": "pass"},
        "random": {"matched": "fail", "people": "fail"},
        "position": {"matched": "fail", "people": "fail"},
    }
    assert {f.name for f in tmp_path.iterdir()} == {
        *(
            "card.html",
            "card.md",
            "card.json",
            "card.png",
            "findings.csv",
            "numbers.csv",
            "made.json",
            "parts",
            "scores",
        ),
    }
    with pytest.raises(InputError, match="the folder holds results with other trust_draws"):
        suite.trust(function(), toy(10), ["oracle"], out=tmp_path, tests="matched,people", mask="[mask]",
                    span_draws=2, budget="ratio=0.25")  # fmt: skip


def test_the_command_ends_in_sentences(rationale, model_folder):
    command = ("trust", "--model", model_folder, "--limit", 8, "--methods", "attention", "--draws", 3)
    code, out, err = rationale(*command, "--span-draws", 1, "--tests", "people,sums", "--out", "t")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("sample test, 8 texts (8 with human evidence); model ")
    assert any(line.startswith("To show people: ") for line in lines)
    assert lines[-2].endswith(" s of CPU in all; each test's numbers: t/card.html")
    assert lines[-1] == "next: rationale app --run t/scores"
    code, out, err = rationale(*command, "--tests", "luck")
    assert code == 2
    assert err.startswith("error: expected a test of matched, ")


def test_the_command_says_what_it_guessed_of_a_table(rationale, model_folder, tmp_path):
    rows = [f"a warm film of {i} parts;POS\na dull film of {i} parts;NEG" for i in range(4)]
    (tmp_path / "films.csv").write_text("\n".join(["text;label", *rows]) + "\n")
    command = ("trust", "--model", model_folder, "--data", tmp_path / "films.csv", "--methods", "attention")
    code, _, err = rationale(*command, "--tests", "sums", "--budget", "ratio=0.2", "--out", "t")
    assert code == 0, err
    assert "note: films.csv: fields are separated by semicolons" in err.splitlines()
