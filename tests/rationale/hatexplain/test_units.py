"""Posts in word pieces: what is marked, and what is read without and with only some of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BartConfig, BartForSequenceClassification

from eraser import Dataset, Document, Evidence, Example, InputError, Span
from rationale.hatexplain.protocol import score_protocol
from rationale.hatexplain.settings import UNIT_NAMES, ProtocolSettings
from rationale.hatexplain.units import MAX_PIECES, UNITS
from rationale.hf.classifier import Classifier
from rationale.text.encode import Encoder
from tests.conftest import tiny_model

LABELS = ("hatespeech", "normal", "offensive")


@pytest.fixture
def classifier(tokenizer):
    return Classifier(
        tiny_model("bert", tokenizer, LABELS), Encoder(tokenizer, 200), LABELS, torch.device("cpu")
    )


def dataset_of(words, *people):
    annotators = tuple(frozenset(Evidence("p", Span(*s)) for s in spans) for spans in people)
    gold = frozenset({frozenset().union(*annotators)}) if annotators else frozenset()
    example = Example("p", ("p",), "offensive", None, gold, annotators, frozenset({"Women"}))
    return Dataset("posts", {"p": Document("p", (tuple(words),))}, {"test": (example,)})


def in_unit(name, classifier, dataset):
    unit = UNITS[name](classifier, dataset, dataset.splits["test"])
    return unit, unit.posts[0]


def read(classifier, windows):
    return [classifier.encoder.tokenizer.convert_ids_to_tokens(w.ids.tolist()) for w in windows]


# a | z ##q ##x | film | q ##q: the first annotator marked the second word, the other the last two
WORDS = ("a", "zqx", "film", "qq")
PIECES = ["[CLS]", "a", "z", "##q", "##x", "film", "q", "##q", "[SEP]"]
PEOPLE = (((1, 2),), ((2, 4),))


def test_units_are_those_of_the_settings():
    assert tuple(UNITS) == UNIT_NAMES


@pytest.mark.parametrize(
    ("name", "pieces", "shift"), [("pieces", PIECES, 1), ("text_pieces", PIECES[1:-1], 0)]
)
def test_marks_go_to_the_pieces_of_marked_words(classifier, name, pieces, shift):
    unit, post = in_unit(name, classifier, dataset_of(WORDS, *PEOPLE))
    truth = unit.dataset.truth(post.example)
    assert list(unit.dataset.documents["p"].words) == pieces
    assert truth.spans == {Span(1 + shift, 7 + shift)}  # the union is one run
    (first,), (second,) = post.example.annotators
    assert (first.span, second.span) == (Span(1 + shift, 4 + shift), Span(4 + shift, 7 + shift))
    assert (post.example.tags, unit.truncated) == ({"Women"}, 0)


def test_a_special_token_among_the_selected_is_taken_out_and_read_twice_alone(classifier):
    """As `convert_data` does: alone the selected stand between [CLS] and [SEP], whichever they are."""
    unit, post = in_unit("pieces", classifier, dataset_of(WORDS, *PEOPLE))
    selected = np.isin(np.arange(9), (0, 2, 5))
    without, only = (read(classifier, w)[0] for w in unit.erased(post, selected))
    assert without == ["a", "##q", "##x", "q", "##q", "[SEP]"]
    assert only == ["[CLS]", "[CLS]", "z", "film", "[SEP]"]


def test_in_pieces_of_the_text_special_tokens_always_stay(classifier):
    unit, post = in_unit("text_pieces", classifier, dataset_of(WORDS, *PEOPLE))
    without, only = (read(classifier, w)[0] for w in unit.erased(post, np.isin(np.arange(7), (0, 1, 4))))
    assert without == ["[CLS]", "##q", "##x", "q", "##q", "[SEP]"]
    assert only == ["[CLS]", "a", "z", "film", "[SEP]"]


def test_in_words_all_pieces_of_a_word_go_together(classifier):
    unit, post = in_unit("words", classifier, dataset_of(WORDS, *PEOPLE))
    without, only = (read(classifier, w)[0] for w in unit.erased(post, np.array([False, True, False, False])))
    assert without == ["[CLS]", "a", "film", "q", "##q", "[SEP]"]
    assert only == ["[CLS]", "z", "##q", "##x", "[SEP]"]


def test_of_a_post_of_which_nothing_is_left_one_token_is_read(classifier):
    unit, post = in_unit("pieces", classifier, dataset_of(("a", "film")))
    (without,), _ = unit.erased(post, np.ones(4, dtype=bool))
    assert len(without) == 1


def test_a_post_is_its_first_pieces(classifier):
    long = dataset_of(("film",) * 150, ((120, 150),))
    unit, post = in_unit("pieces", classifier, long)
    assert (len(post.windows[0]), unit.truncated) == (MAX_PIECES, 1)
    assert unit.dataset.truth(post.example).spans == {Span(121, 127)}  # 126 words are read
    unread = replace(post.example, gold=frozenset())
    assert unread.annotators == post.example.annotators
    assert in_unit("words", classifier, long)[0].truncated == 0


def test_a_post_that_nobody_marked_has_no_marks(classifier):
    unit, post = in_unit("pieces", classifier, dataset_of(WORDS))
    assert (post.example.gold, post.example.annotators) == (frozenset(), ())
    assert unit.dataset.documents["p"].words == tuple(PIECES)


def test_masking_is_refused_before_anything_is_computed_where_there_is_no_mask(
    classifier, tokenizer, tmp_path
):
    plain = deepcopy(tokenizer)
    plain.mask_token = None
    other = replace(classifier, encoder=Encoder(plain, 64))
    asked = ProtocolSettings(methods=("random",), units=("words",), replace="mask")
    with pytest.raises(InputError) as error:
        score_protocol(other, dataset_of(WORDS, *PEOPLE), tmp_path / "out", asked)
    assert str(error.value) == "masking words needs a mask token, which the tokenizer lacks"
    assert not (tmp_path / "out").exists()


def test_a_head_that_needs_its_end_mark_is_refused_in_pieces_before_anything_is_computed(tokenizer, tmp_path):
    end = tokenizer.sep_token_id
    sizes = {f"{of}_{what}": n for of in ("encoder", "decoder")
             for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))}  # fmt: skip
    marks = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": end, "decoder_start_token_id": end}
    config = BartConfig(vocab_size=len(tokenizer), d_model=16, num_labels=3, **sizes, **marks)
    model = BartForSequenceClassification(config).eval().requires_grad_(False)
    bart = Classifier(model, Encoder(tokenizer, 64), LABELS, torch.device("cpu"))
    posts, asked = dataset_of(WORDS, *PEOPLE), ProtocolSettings(methods=("random", "leave_one_out"))
    with pytest.raises(InputError) as error:
        score_protocol(bart, posts, tmp_path / "out", asked)
    assert str(error.value) == (
        "unit pieces takes special tokens away, which this model's head needs (ValueError: Each example must "
        "contain at least one <eos> token.); --units text_pieces,words works"
    )
    assert not (tmp_path / "out").exists()
    other = score_protocol(bart, posts, tmp_path / "out", replace(asked, units=("text_pieces", "words")))
    rows = other.scores[other.scores.metric == "comprehensiveness"]
    assert len(rows) == 4
    assert np.isfinite(rows.value).all()
