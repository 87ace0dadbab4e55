"""What a language model answers without the words, worked out by hand from a model that counts words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from eraser import Dataset, Document, Example, InputError, Prediction, Text
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words
from rationale.llm.endpoint import Endpoint, Reply
from rationale.llm.faithfulness import parts_of, trial
from rationale.llm.prompts import CLASSIFY
from rationale.llm.rationales import common, of_explanations, of_run
from tests.helpers.eraser.prediction_files import write_predictions
from tests.helpers.llm_server import completion, serving

TEXTS = {"a": "so dull , so slow", "b": "warm and dull and warm", "c": "a film"}
PICKED = {
    "good": {"a": [1, 4], "b": [0, 4], "c": [0]},
    "bad": {"a": [2], "b": [1], "c": [1]},
}


def dataset():
    documents = {id: Document(id, (tuple(text.split()),)) for id, text in TEXTS.items()}
    labels = {"a": "NEG", "b": "POS", "c": "NEG"}
    return Dataset("films", documents, {"test": tuple(Example(id, (id,), x) for id, x in labels.items())})


def texts():
    made = dataset()
    return {e.id: made.text(e) for e in made.examples("test")}


def mask(id, indices):
    return np.isin(np.arange(len(TEXTS[id].split())), indices)


def rationales():
    return {m: {id: mask(id, at) for id, at in of.items()} for m, of in PICKED.items()}


def probability(question):
    """P(NEG) is 0.9 with more bad words than good ones, 0.1 with more good ones, else 0.6."""
    words = question.split("Text:\n")[1].split()
    lead = sum(w in ("dull", "slow") for w in words) - words.count("warm")
    return 0.9 if lead > 0 else 0.1 if lead < 0 else 0.6


def by_counting(question):
    p = probability(question)
    return completion("A" if p > 0.5 else "B", {"A": math.log(p), "B": math.log(1 - p)})


def run(url, folder, **more):
    made = dataset()
    found = trial(Endpoint(url, "m", **more), made, made.examples("test"), rationales(), CLASSIFY, folder)
    found.claimed()
    found.ask()
    return found.write()


def test_what_a_model_says_to_itself_is_no_answer(tmp_path):
    made = dataset()
    asked = trial(
        Endpoint("https://a.example", "m"), made, made.examples("test"), rationales(), CLASSIFY, tmp_path
    )
    assert asked.row("a", Reply("<think>A: NEG?</think>B"))["label"] == "POS"
    assert asked.row("a", Reply("<think>A: NEG"))["label"] is None


def test_changes_of_label_and_of_probability_by_hand(tmp_path):
    with serving(by_counting) as (url, requests):
        found = run(url, tmp_path / "out")
    asked = [r["body"]["messages"][0]["content"] for r in requests]
    assert len(asked) == len(set(asked))
    good, bad = found.values["good"], found.values["bad"]
    # good: a .9 → without dull and slow .6, only these .9; b .1 (POS) → without warm .9, only warm .1; c .6
    assert good["comprehensiveness"] == pytest.approx([0.3, 0.8, 0.0])
    assert good["sufficiency"] == pytest.approx([0.0, 0.0, 0.0])
    assert good["flips_without"].tolist() == [0, 1, 0]
    assert good["flips_with_only"].tolist() == [0, 0, 0]
    # bad: "," and "and" change nothing if taken out; alone they leave .6
    assert bad["comprehensiveness"] == pytest.approx([0.0, 0.0, 0.0])
    assert bad["sufficiency"] == pytest.approx([0.3, 0.5, 0.0])
    assert bad["flips_with_only"].tolist() == [0, 1, 0]
    assert good["share_of_words"] == pytest.approx([2 / 5, 2 / 5, 1 / 2])

    scores = pd.read_csv(tmp_path / "out" / "llm_scores.csv").set_index(["method", "metric"])
    assert scores.loc[("good", "comprehensiveness"), "value"] == pytest.approx(1.1 / 3)
    assert scores.loc[("good", "comprehensiveness"), "n"] == 3
    paired = pd.read_csv(tmp_path / "out" / "llm_paired.csv").set_index("metric")
    assert paired.loc["comprehensiveness", "value"] == pytest.approx(1.1 / 3)
    assert list(found.notes()) == []


def test_without_probabilities_labels_alone_are_counted(tmp_path):
    def answer(question):
        words = question.split("Text:\n")[1].split()
        if words == ["a"]:
            return "I would rather not."
        return "A" if probability(question) > 0.5 else "B"

    with serving(answer) as (url, _):
        found = run(url, tmp_path / "out")
    assert set(found.scores.metric) == {"flips_without", "flips_with_only", "share_of_words"}
    by_name = found.scores.set_index(["method", "metric"])
    assert by_name.loc[("good", "flips_with_only"), ["value", "n"]].tolist() == [0, 2]
    assert by_name.loc[("bad", "flips_without"), ["value", "n"]].tolist() == [0, 2]
    assert list(found.notes()) == [
        "1 of 13 answers name no label: their examples have no say",
        "no probabilities came: changes of the label are counted",
    ]


def test_words_are_taken_out_of_the_text_as_it_is_written():
    text = Text.of("x", 'He said: "dull,  slow" film.', "punctuation")
    selected = np.isin(text.words, ["dull", "slow"])
    whole, without, only = parts_of(text, selected)
    assert whole == text.string
    assert without == 'He said: ",  " film.'
    assert only.split() == ["dull", "slow"]


def test_what_a_run_picked_comes_back(tmp_path):
    folder = tmp_path / "run" / "predictions"
    folder.mkdir(parents=True)
    of = texts()
    for method, by_id in rationales().items():
        pairs = [
            (of[id], Prediction(id, "NEG", {"NEG": 1.0, "POS": 0.0}, selected.astype(float), selected))
            for id, selected in by_id.items()
        ]
        write_predictions(folder / f"{method}.jsonl", pairs)
    found = of_run(tmp_path / "run", of)
    assert {m: {id: np.flatnonzero(x).tolist() for id, x in f.items()} for m, f in found.items()} == PICKED
    with pytest.raises(InputError, match="expected an id of the data set's split, got 'a'"):
        of_run(tmp_path / "run", {id: text for id, text in of.items() if id != "a"})
    (folder / "led.jsonl").symlink_to(folder / "good.jsonl")
    with pytest.raises(InputError, match="expected a file of the run's own, got a link"):
        of_run(tmp_path / "run", of)
    (folder / "led.jsonl").unlink()
    with pytest.raises(InputError, match="expected a run of `rationale evaluate` with predictions"):
        of_run(tmp_path, of)
    (folder / "bad.jsonl").write_text('{"annotation_id": "a", "rationales": [{"docid": "z"}]}\n')
    with pytest.raises(InputError, match="expected a prediction for a text of the data set, got KeyError"):
        of_run(tmp_path / "run", of)


def explained(words_of, **more):
    one = [
        WordExplanation(id, hash_of_words(words_of[id].words), len(words_of[id].words), **more) for id in "a"
    ]
    return ImportedMethod.of("llm", one)


def test_explanations_must_pick_words_of_the_same_texts(tmp_path):
    of = texts()
    file = explained(of, selected=mask("a", [1])).save(tmp_path / "a.jsonl")
    found = of_explanations([file], of)
    assert {id: np.flatnonzero(x).tolist() for id, x in found["imported-llm"].items()} == {"a": [1]}
    assert common(rationales() | found) == {"a"}
    with pytest.raises(InputError, match="a second explanations file has the name llm"):
        of_explanations([file, file], of)
    scores = explained(of, scores=np.ones(5)).save(tmp_path / "b.jsonl")
    with pytest.raises(InputError, match="expected explanations that pick words .* got scores alone"):
        of_explanations([scores], of)
    other = {"a": Text.of("a", "one two three four five", "whitespace")}
    with pytest.raises(InputError, match="a: the explanation is of other words than the data set's"):
        of_explanations([file], other)


def test_no_common_example_is_refused(tmp_path):
    made, of = dataset(), {"one": {"a": mask("a", [0])}, "two": {"b": mask("b", [0])}}
    with pytest.raises(InputError, match="expected an example that all methods explain, got none"):
        trial(Endpoint("https://a.example", "m"), made, made.examples("test"), of, CLASSIFY, tmp_path)
