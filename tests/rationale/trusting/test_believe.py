"""What a card is made from: its folders are not written to, and all that its numbers depend on is known."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

import rationale as suite
from eraser import InputError
from eraser.files.owned import made_whole
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words
from rationale.text.encode import Encoder
from tests.helpers.trusted import function, toy

FEW = {"methods": ["random"], "tests": ["sums"], "limit": 3, "budget": "ratio=0.25"}


@pytest.mark.parametrize("read_as", ["models", "dense"])
def test_a_model_that_is_read_is_not_overwritten(adaptive, model_folder, tmp_path, read_as):
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    made_whole(other, "train dense", {"seed": 1})
    before = sorted(f.name for f in other.iterdir())
    given = {"again": str(other)} if read_as == "models" else str(other)
    with pytest.raises(InputError, match=f"the output folder is or contains the input {other}; choose"):
        suite.trust(adaptive, out=other, overwrite=True, **{read_as: given}, **FEW)
    assert sorted(f.name for f in other.iterdir()) == before


def test_the_command_does_not_overwrite_one_of_its_models(rationale, model_folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    made_whole(other, "train dense", {"seed": 1})
    command = ("trust", "--model", model_folder, "--models", other, "--limit", 3, "--methods", "random")
    code, _, err = rationale(*command, "--tests", "sums", "--out", other, "--overwrite")
    assert code == 2
    assert f"the output folder is or contains the input {other}" in err
    assert (other / "model.safetensors").is_file()


@pytest.fixture
def asked(classifier, adaptive, sample, tmp_path):
    """A card of a model that drops tokens, in one folder."""
    return lambda model=adaptive, **more: suite.trust(model, sample, out=tmp_path / "card", **FEW, **more)


def made_elsewhere(sample, first):
    """Explanations of the few texts: the first word's score, and less and less."""
    words = [(e.id, sample.text(e).words) for e in sample.splits["test"][: FEW["limit"]]]
    rows = [
        WordExplanation(id, hash_of_words(w), len(w), first / np.arange(1, len(w) + 1)) for id, w in words
    ]
    return ImportedMethod("mine", {row.id: row for row in rows})


def larger(model):
    """The model with a tokenizer that knows one more word."""
    tokenizer = deepcopy(model.encoder.tokenizer)
    tokenizer.add_tokens(["extraordinary"])
    return replace(model, encoder=Encoder(tokenizer, model.encoder.max_length))


def test_a_card_of_another_dense_model_or_other_explanations_is_not_replaced(
    asked, adaptive, classifier, sample, tmp_path
):
    heavier = deepcopy(classifier.model)
    heavier.classifier.weight.data *= 2
    first, other = (made_elsewhere(sample, score) for score in (1.0, 2.0))
    asked(dense=classifier, explanations=first)
    kept = {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    with pytest.raises(InputError, match=r"holds results with other content_of_dense \("):
        asked(dense=replace(classifier, model=heavier), explanations=first)
    with pytest.raises(InputError, match=r"holds results with other content_of_imported-mine \("):
        asked(dense=classifier, explanations=other)
    with pytest.raises(InputError, match=r"holds results with other content_of_tokenizer \("):
        asked(larger(adaptive), dense=larger(classifier), explanations=first)
    assert {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == kept


def test_what_is_no_other_training_of_the_model_is_refused(asked, classifier, make_classifier, tmp_path):
    remedy = "; give another training of --model, with the same tokenizer and labels"
    for other in (larger(classifier), replace(classifier, labels=("POS", "NEG"))):
        with pytest.raises(InputError) as error:
            asked(classifier, models={"x": other})
        assert str(error.value) == f"--models x has a different vocabulary or labels than --model{remedy}"
    with pytest.raises(InputError) as error:
        asked(classifier, models={"x": function()})
    assert str(error.value) == f"one of --model and --models x is a function of texts{remedy}"
    with pytest.raises(InputError, match=r"expected --models x to be a model that reads 128 pieces, .*64"):
        asked(classifier, models={"x": make_classifier(max_length=64)})
    assert not (tmp_path / "card").exists()


def test_another_training_of_a_function_reads_its_words():
    """A function knows the words that it has read: another one is given those of the first."""
    few = {"methods": ["leave_one_out"], "tests": ["stability"], "budget": "ratio=0.25"}
    card = suite.trust(function(), toy(8), models={"x": function()}, **few)
    ways = next(f for f in card.findings if f.method == "leave_one_out").details["ways"]
    assert ways["training x"]["jaccard"]["value"] == 1.0
