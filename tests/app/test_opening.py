"""What the page opens on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import rationale_viewer.compute.opening as opening
from rationale_viewer.compute.explain import Layers, reached
from rationale_viewer.compute.opening import CHIPS, first_right, short_note, title_of, titled
from rationale_viewer.session.state import LoadedModel

from eraser.load import load


@pytest.fixture
def saying(monkeypatch):
    """A model of film reviews that says what it is told to of each text."""

    def make(classifier, says):
        monkeypatch.setattr(opening, "_says", lambda held, text: says(text))
        return LoadedModel("told", classifier)

    return make


def test_it_opens_on_the_first_chip_where_the_model_gets_it_right(saying, classifier, sample):
    held = saying(classifier, lambda text: "POS")
    assert first_right(held, sample, ()) == ("chip", "a rave")


def test_else_on_the_first_example_that_it_gets_right(saying, classifier, sample):
    asked = []

    def says(text):
        asked.append(text.example_id)
        return "NEG"

    ids = tuple(e.id for e in sample.splits["test"])
    kind, id = first_right(saying(classifier, says), sample, ids)
    first = next(e for e in sample.splits["test"] if e.label == "NEG")
    assert (kind, id) == ("example", first.id)
    assert asked[-1] == id


def test_where_it_gets_none_right_on_the_first_and_few_are_tried(saying, classifier, sample):
    asked = []
    held = saying(replace(classifier, labels=("no", "yes")), lambda text: asked.append(text) or "no")
    ids = tuple(e.id for e in sample.splits["test"])
    assert first_right(held, sample, ids) == ("example", ids[0])
    assert len(asked) == opening.TRIED
    assert first_right(held, sample, ()) is None  # the reader has not agreed to see any


def test_short_texts_are_told(sample):
    assert short_note(77, sample, shipped=True).startswith(
        "Short: 77 words; the reviews this model was trained"
    )
    assert short_note(78, sample, shipped=True) is None
    assert short_note(1, sample, shipped=False).startswith("Short: 1 word; the texts of sample have ")


def test_chips_are_not_short_for_the_shipped_model(sample):
    assert [short_note(len(opening._cut(c.text)), sample, shipped=True) for c in CHIPS] == [None] * len(CHIPS)


def test_examples_are_listed_by_label_and_beginning(sample):
    examples = list(sample.splits["test"])
    names = titled(sample, examples)
    assert names["a001.txt"] == "POS · The Lantern Keeper opens with…"
    assert len(set(names.values())) == len(examples)
    twice = titled(sample, [examples[0], replace(examples[0], id="again")])
    assert list(twice.values()) == [
        f"POS · The Lantern Keeper opens with… · {id}" for id in ("a001.txt", "again")
    ]
    assert title_of(("One", "word")) == "One word"


def test_the_last_layer_that_worked_on_a_text():
    assert reached(Layers(None, (9, 5, 2, 0), None, None)) == 2
    assert reached(Layers(None, (9, 5, 2, 1), None, None)) == 3


@pytest.mark.slow
def test_the_shipped_model_is_right_about_a_rave_and_a_pan_and_fooled_by_a_negation():
    from rationale.hf.classifier import SHIPPED, load_classifier

    held = LoadedModel("shipped", load_classifier(SHIPPED, device="cpu"))
    says = {c.name: opening._says(held, opening.text_of(opening._cut(c.text), string=c.text)) for c in CHIPS}
    assert (says["a rave"], says["a pan"]) == ("POS", "NEG")
    assert says["a negation that fools it"] == "POS"
    assert first_right(held, load("sample"), ()) == ("chip", "a rave")
