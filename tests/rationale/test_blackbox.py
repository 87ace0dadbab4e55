"""Any function of a list of texts in the place of a model: a scikit-learn pipeline, an HTTP API."""

from __future__ import annotations

import json
import math
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from eraser import InputError, Text
from eraser.data.source import Source
from eraser.official.scorer import score_official
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute, fitting
from rationale.blackbox import from_callable
from rationale.budgets import share_of
from rationale.evaluation.plan import evaluate, plan
from rationale.explanation import explain
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings, StreamSettings
from rationale.stream import collect, read_stream, stream

ASKING = ("leave_one_out", "occlusion", "lime", "kernel_shap")
BASELINES = ("position", "random")
SETTINGS = EvaluateSettings(
    "sample", "box", methods=("leave_one_out", "random"), budgets=("ratio=0.2", "gold"),
    explain="probability", limit=6, fractions=(0.1, 0.5),
)  # fmt: skip


def fitted(vectorizer, sample):
    """A bag-of-words model of the sample's train split; its words are those between white space."""
    texts = [" ".join(sample.text(e).words) for e in sample.splits["train"]]
    model = make_pipeline(vectorizer, LogisticRegression(max_iter=1000))
    return model.fit(texts, [e.label for e in sample.splits["train"]])


@pytest.fixture(scope="module")
def pipeline(sample):
    return fitted(TfidfVectorizer(token_pattern=r"\S+"), sample)


@pytest.fixture(scope="module")
def box(pipeline):
    return from_callable(pipeline.predict_proba, pipeline.classes_)


class Asked:
    """A function that says POS by its share of good words, and keeps what it was asked."""

    def __init__(self, good=("superb",), bad=("awful",)):
        self.good, self.bad = good, bad
        self.lists = []

    def __call__(self, texts):
        self.lists.append(list(texts))
        scores = [
            sum(t.split().count(w) for w in self.good) - sum(t.split().count(w) for w in self.bad)
            for t in texts
        ]
        p = 1 / (1 + np.exp(-np.array(scores, dtype=float)))
        return np.stack([1 - p, p], 1)

    @property
    def texts(self):
        return [text for of_call in self.lists for text in of_call]


def refused(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert text in str(error.value)
    assert "\n" not in str(error.value)


# ── what is explained ───────────────────────────────────────────────────────────────────────────────────


def test_leave_one_out_of_a_linear_bag_of_words_is_its_closed_form(sample):
    model = fitted(CountVectorizer(token_pattern=r"\S+", lowercase=False), sample)
    weights = dict(zip(model[0].get_feature_names_out(), model[1].coef_[0], strict=True))
    words = sample.text(sample.splits["test"][0]).words
    found = explain(from_callable(model.predict_proba, model.classes_), " ".join(words), target="POS")
    z = model[1].intercept_[0] + sum(weights.get(w, 0.0) for w in words)

    def sigma(x):
        return 1 / (1 + math.exp(-x))

    wanted = [sigma(z) - sigma(z - weights.get(w, 0.0)) for w in words]
    np.testing.assert_allclose(found.scores, wanted, atol=1e-9)
    assert (found.method, found.target) == ("leave_one_out", "POS")
    assert found.probs == pytest.approx({"NEG": 1 - sigma(z), "POS": sigma(z)})
    assert "P(POS)" in found._repr_html_()


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("at", [0, 4, 9])
def test_planted_words_are_found_first(method, at):
    words = ["some", "film", "with", "a", "plot", "and", "a", "cast", "of", "ten"]
    words[at] = "superb"
    found = explain(from_callable(Asked(), ["NEG", "POS"]), " ".join(words), method, target="POS")
    assert found.top(1)[0][0] == "superb"
    against = explain(from_callable(Asked(), ["NEG", "POS"]), " ".join(words), method, target="NEG")
    assert int(np.argmin(against.scores)) == at


def test_kernel_shap_sums_to_the_answer_less_that_of_the_empty_text(pipeline, box, sample):
    text = " ".join(sample.text(sample.splits["test"][1]).words[:12])
    found = explain(box, text, "kernel_shap", target="POS")
    (full,), (empty,) = (pipeline.predict_proba([t])[:, 1] for t in (text, ""))
    assert found.scores.sum() == pytest.approx(full - empty, abs=1e-5)


def test_words_are_taken_out_with_their_white_space():
    asked = Asked()
    explain(from_callable(asked, ["NEG", "POS"]), "an awful , dull film")
    assert set(asked.texts) == {
        "an awful , dull film", "awful , dull film", "an , dull film", "an awful dull film",
        "an awful , film", "an awful , dull",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("string", "out", "left"),
    [
        ("  an awful,  dull\nfilm. ", [], "  an awful,  dull\nfilm. "),
        ("  an awful,  dull\nfilm. ", [2], "  an awful  dull\nfilm. "),  # a comma, and the gap stays
        ("  an awful,  dull\nfilm. ", [1, 2], "  an dull\nfilm. "),
        ("  an awful,  dull\nfilm. ", [0, 1, 2], "  dull\nfilm. "),
        ("  an awful,  dull\nfilm. ", [3, 4, 5], "  an awful, "),
        ("  an awful,  dull\nfilm. ", [0, 1, 2, 3, 4, 5], "   "),
        ("awful,dull", [1], "awfuldull"),
        ("无聊的电影", [1], "无的电影"),
    ],
)
def test_words_anywhere_in_a_string_are_taken_out_and_no_two_are_glued(string, out, left):
    cut = r"\w" if string.isalpha() else r"\w+|[^\w\s]"
    spans = [found.span() for found in re.finditer(cut, string)]
    pieces = from_callable(Asked(), ["NEG", "POS"]).encoder
    window = pieces.window(string, spans)
    (shorter,) = pieces.remove([window], np.isin(np.arange(len(spans)), out))
    assert pieces.text(shorter) == left
    assert [pieces.names(window)[i] for i in window.word.argsort() if window.word[i] >= 0] == [
        string[a:b] for a, b in spans
    ]


def test_what_stands_between_words_and_is_no_white_space_stays():
    pieces = from_callable(Asked(), ["NEG", "POS"]).encoder
    window = pieces.window("a<br>b c", [(0, 1), (5, 6), (7, 8)])
    (shorter,) = pieces.remove([window], np.array([False, True, False]))
    assert pieces.text(shorter) == "a<br>c"


def test_words_are_masked_by_the_text_given():
    asked = Asked()
    box = from_callable(asked, ["NEG", "POS"], mask="[…]")
    (windows,) = box.encoder.encode([text("awful dull film")])
    how = AttributionSettings(explain="probability", replace="mask")
    attribute(box, "leave_one_out", [AttributionInput(windows, 3, 0)], how)
    assert set(asked.texts) == {"awful dull film", "[…] dull film", "awful […] film", "awful dull […]"}


def text(string, query=None):
    return Text("t", tuple(string.split()), {"text": 0}, (0,), query)


def test_an_empty_text_is_asked_as_such():
    asked = Asked()
    explain(from_callable(asked, ["NEG", "POS"]), "film")
    assert set(asked.texts) == {"film", ""}


def test_a_set_of_labels_and_a_number_are_answers_too():
    def labels(texts):
        return [[0.9 if "rude" in t else 0.2, 0.7, 0.1] for t in texts]

    found = explain(from_callable(labels, ["rude", "long", "kind"], kind="labels"), "a rude film")
    assert (found.label, found.target, found.top(1)[0][0]) == ("rude|long", "rude", "rude")
    number = explain(from_callable(lambda t: [[len(x)] for x in t], ["length"], kind="value"), "a rude film")
    assert (number.label, number.probs) == ("11", {"length": 11.0})
    assert number.scores.tolist() == [2.0, 5.0, 5.0]


# ── what is asked ───────────────────────────────────────────────────────────────────────────────────────


def test_equal_texts_are_asked_once_and_all_in_one_call():
    asked = Asked()
    explain(from_callable(asked, ["NEG", "POS"]), "so so so so")
    assert [len(of_call) for of_call in asked.lists] == [1, 2]  # the answer; then the text and three words
    assert sorted(asked.lists[1]) == ["so so so", "so so so so"]


def test_a_run_asks_all_of_a_chunk_in_one_call(sample, tmp_path):
    asked = Asked()
    few = replace(sample, documents={
        i: replace(d, sentences=(d.words[:9],)) for i, d in sample.documents.items()
    }, splits={"test": tuple(replace(e, gold=frozenset()) for e in sample.splits["test"])})  # fmt: skip
    evaluate(
        from_callable(asked, ["NEG", "POS"]), few, replace(SETTINGS, methods=("leave_one_out",)), tmp_path
    )
    assert len(asked.lists) == 4  # whole texts; without each word; the rationales; those turned round
    assert all(len(set(of_call)) == len(of_call) for of_call in asked.lists)


def test_no_list_is_longer_than_asked_for():
    asked = Asked()
    one = explain(
        from_callable(asked, ["NEG", "POS"], batch_size=3), "a superb film with a cast of ten", "lime"
    )
    assert {len(of_call) for of_call in asked.lists[1:-1]} == {3}
    all_at_once = explain(from_callable(Asked(), ["NEG", "POS"]), "a superb film with a cast of ten", "lime")
    np.testing.assert_array_equal(one.scores, all_at_once.scores)


# ── what comes back ─────────────────────────────────────────────────────────────────────────────────────


def broken(answer, text, **how):
    box = from_callable(answer, ["NEG", "POS"], **how)
    refused(lambda: explain(box, "a good film"), text)


def test_answers_that_are_none_are_refused():
    def fails(texts):
        raise TimeoutError("no answer from the server\nin 30 seconds")

    broken(
        fails, "fails: expected an array of numbers for 1 texts, got TimeoutError: no answer from the server"
    )
    broken(
        lambda texts: [["x", "y"]],
        "expected an array of numbers for 1 texts, got ValueError: could not convert",
    )
    broken(lambda texts: None, "one row per text, one column per label (NEG, POS), got shape []")
    broken(lambda texts: [0.5] * len(texts), "expected outputs of shape [1, 2], one row per text")
    broken(lambda texts: [[0.2, 0.3, 0.5]] * len(texts), "got shape [1, 3]")
    broken(
        lambda texts: [[math.nan, 1.0]],
        "expected finite numbers, got nan, 1 in row 0, of the text 'a good film'",
    )
    broken(lambda texts: [[-0.5, 1.5]], "expected probabilities from 0 to 1, got -0.5, 1.5 in row 0")
    broken(
        lambda texts: [[0.5, 0.6]],
        "expected probabilities that sum to 1 in each row (within 0.001), got 0.5, 0.6 in row 0, of the text",
    )


def test_the_row_that_is_wrong_is_named():
    def second_is_wrong(texts):
        return [[0.5, 0.5] if "good" in t else [0.5, 0.2] for t in texts]

    box = from_callable(second_is_wrong, ["NEG", "POS"])
    refused(lambda: explain(box, "a good film"), "in row 2, of the text 'a film'")


def test_sums_within_a_thousandth_are_taken_as_they_are():
    found = explain(from_callable(lambda t: [[0.4995, 0.5]] * len(t), ["NEG", "POS"]), "a film")
    assert found.probs == {"NEG": 0.4995, "POS": 0.5}


def test_settings_that_cannot_be_used_are_refused():
    refused(lambda: from_callable("f", ["a", "b"]), "expected a function of a list of texts, got str")
    refused(lambda: from_callable(len, ["a", "a"]), "expected each label once, got ['a', 'a']")
    refused(lambda: from_callable(len, ["a"]), "expected at least two classes, got 1")
    refused(lambda: from_callable(len, ["a", "b"], kind="value"), "expected one name of a number, got 2")
    refused(
        lambda: from_callable(len, ["a", "b"], kind="x"), "expected a kind of class, labels, value, got 'x'"
    )
    refused(
        lambda: from_callable(len, ["a", "b"], batch_size=0), "expected a batch_size of at least 1, got 0"
    )
    refused(lambda: from_callable(len, ["a", "b"], mask=" "), "expected a mask that can be seen, got ' '")


def test_what_only_a_model_has_is_refused(box):
    fit, left_out = fitting(box, METHODS)
    assert fit == (*ASKING, *BASELINES)
    assert len(left_out) == len(METHODS) - len(fit)
    refused(
        lambda: explain(box, "a film", "integrated_gradients"),
        "expected a method that fits a function of texts, got integrated_gradients: it looks into a model, "
        "and this is a function of texts; leave_one_out works",
    )
    (windows,) = box.encoder.encode([text("a film")])
    for way in ("logit", "margin"):
        how = AttributionSettings(explain=way)
        refused(
            lambda how=how: attribute(box, "leave_one_out", [AttributionInput(windows, 2, 0)], how),
            f"expected explain as probability, for a function of texts, got '{way}'",
        )
    refused(
        lambda: explain(box, "a film", query="why ?"),
        "expected a text without a query: a function reads one string, got 'why ?'",
    )
    refused(lambda: explain(box, " "), "the text has no words")


def test_runs_that_do_not_fit_a_function_are_refused(box, classifier, sample, tmp_path):
    refused(
        lambda: plan(box, sample, replace(SETTINGS, explain="logit"), tmp_path / "r"),
        "expected explain as probability, for a function of texts, got 'logit'",
    )
    refused(
        lambda: plan(box, sample, replace(SETTINGS, methods=("attention",)), tmp_path / "r"),
        "expected a method that fits a function of texts, got attention: it looks into a model",
    )
    refused(
        lambda: plan(box, sample, replace(SETTINGS, replace="mask"), tmp_path / "r"),
        "box: masking words needs a text to put in their place (--mask)",
    )
    refused(
        lambda: plan(box, sample, SETTINGS, tmp_path / "r", classifier),
        "a function of texts is explained itself; leave --dense out",
    )
    assert not (tmp_path / "r").exists()


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_faithfulness_and_agreement_are_those_of_a_direct_computation(pipeline, box, sample, tmp_path):
    found = evaluate(box, sample, SETTINGS, tmp_path)
    write_run(found, sample, tmp_path)
    comprehensiveness, sufficiency, f1, right = [], [], [], []
    for item, p in zip(found.items, found.predictions["leave_one_out", "ratio=0.2"], strict=True):
        words, labels = np.array(item.text.words), list(pipeline.classes_)

        def ask(of, at=None):
            probs = pipeline.predict_proba([" ".join(of)])[0]
            return probs if at is None else probs[at]

        at = int(ask(words).argmax())
        falls = [ask(words, at) - ask(np.delete(words, i), at) for i in range(len(words))]
        np.testing.assert_allclose(p.scores, falls, atol=1e-9)
        picked = np.zeros(len(words), dtype=bool)
        picked[np.argsort(-p.scores, kind="stable")[: share_of(len(words), 0.2)]] = True
        comprehensiveness.append(ask(words, at) - ask(words[~picked], at))
        sufficiency.append(ask(words, at) - ask(words[picked], at))
        gold = item.truth.gold
        f1.append(2 * (gold & picked).sum() / (gold.sum() + picked.sum()))
        right.append(labels[at] == item.truth.label)
    table = pd.read_csv(tmp_path / "scores.csv")
    rows = table[table.method.isin(["leave_one_out", "model"]) & table.budget.isin(["-", "ratio=0.2"])]
    scores = dict(zip(rows.metric, rows.value, strict=True))
    assert scores["comprehensiveness"] == pytest.approx(np.mean(comprehensiveness), abs=1e-9)
    assert scores["sufficiency"] == pytest.approx(np.mean(sufficiency), abs=1e-9)
    assert scores["token_f1"] == pytest.approx(np.mean(f1))
    assert scores["accuracy"] == pytest.approx(np.mean(right))


def test_a_run_s_official_files_are_scored_by_the_official_scorer(box, sample, tmp_path):
    found = evaluate(
        box,
        sample,
        replace(SETTINGS, limit=None, methods=("leave_one_out",), fractions=(0.01, 0.05, 0.1, 0.2, 0.5)),
        tmp_path,
    )
    scores = write_run(found, sample, tmp_path).scores
    official = score_official(
        Source(sample_folder()), "test", tmp_path / "predictions" / "leave_one_out.jsonl"
    )
    value = scores[scores.metric == "accuracy"].value.item()
    assert official["classification_scores"]["accuracy"] == pytest.approx(value)
    assert "the function" in json.loads((tmp_path / "scores.json").read_text())["run"]["device"]


def sample_folder():
    from eraser.load import SAMPLE

    return SAMPLE


def test_what_one_version_answered_is_not_asked_again(sample, tmp_path):
    def counted(version):
        asked = Asked()
        box = from_callable(asked, ["NEG", "POS"], version=version)
        found = evaluate(box, sample, SETTINGS, tmp_path, overwrite=True)
        return len(asked.texts), [p.scores.tolist() for p in found.predictions["leave_one_out", "gold"]]

    first, scores = counted("1")
    assert first > 100
    assert counted("1") == (0, scores)
    assert counted("2") == (first, scores)
    assert counted(None) == (first, scores)
    assert counted(None) == (first, scores)


def test_attribute_explains_a_file(box, pipeline, tmp_path):
    texts = ["A warm , moving film .", "Dull ."]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    settings = StreamSettings(file=str(file), model="m", methods=("leave_one_out",), explain="probability")
    found = collect(stream(box, settings, tmp_path / "out"))
    assert found["texts"] == 2
    for row, t in zip(read_stream(tmp_path / "out"), texts, strict=True):
        np.testing.assert_allclose(row["scores"], explain(box, t).scores, atol=1e-12)
        assert row["probs"] == pytest.approx(list(pipeline.predict_proba([t])[0]))


# ── an HTTP API ─────────────────────────────────────────────────────────────────────────────────────────


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802 (the library's name)
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.lists.append(texts)
        body = json.dumps(Asked()(texts).tolist()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.lists = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_http_api_is_explained(server):
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def api(texts):
        request = Request(address, json.dumps(texts).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    found = explain(
        from_callable(api, ["NEG", "POS"], batch_size=4), "a superb film , not an awful one", target="POS"
    )
    local = explain(from_callable(Asked(), ["NEG", "POS"]), "a superb film , not an awful one", target="POS")
    np.testing.assert_allclose(found.scores, local.scores, atol=1e-12)
    assert found.top(1)[0][0] == "superb"
    assert max(map(len, server.lists)) == 4


def test_a_server_that_is_gone_is_told_in_a_line():
    def api(texts):
        with urlopen("http://127.0.0.1:9", timeout=5) as answer:
            return json.load(answer)

    refused(lambda: explain(from_callable(api, ["a", "b"]), "a film"), "got URLError: <urlopen error")


def test_a_box_is_told_by_its_name():
    def by_length(texts):
        return [[0.5, 0.5]] * len(texts)

    assert from_callable(by_length, ["a", "b"]).where().endswith("by_length")
    assert from_callable(Asked(), ["a", "b"]).where() == "the function Asked"
