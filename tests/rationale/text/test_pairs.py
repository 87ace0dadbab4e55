"""Pairs: both texts have words; what a model reads is what Hugging Face makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import InputError, Text
from rationale import explain
from rationale.attribution import AttributionInput, attribute
from rationale.inference.predict import text_probs
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE, words_read
from tests.helpers.tokenizers import KINDS

PREMISE, HYPOTHESIS = "a  warm, moving film", "the film is dull ."


def pair(first=PREMISE, second=HYPOTHESIS, how="whitespace"):
    return Text.of("t", second, how, first, both=True)


def test_the_words_of_both_texts_are_words_with_characters_of_their_own_text():
    found = pair(how="punctuation")
    assert found.words == ("a", "warm", ",", "moving", "film", "the", "film", "is", "dull", ".")
    assert (found.first, found.string, found.second, found.query) == (PREMISE, HYPOTHESIS, 5, None)
    (premise, theirs), (hypothesis, ours) = found.sides
    assert (premise, hypothesis) == (PREMISE, HYPOTHESIS)
    assert tuple(PREMISE[a:b] for a, b in theirs) + tuple(HYPOTHESIS[a:b] for a, b in ours) == found.words
    string, places = found.plain
    assert string == f"{PREMISE}\n{HYPOTHESIS}"
    assert tuple(string[a:b] for a, b in places) == found.words


def test_a_query_without_words_makes_no_pair():
    assert pair(" ") == Text.of("t", HYPOTHESIS, "whitespace", " ")


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_types_are_those_of_hugging_face_and_each_piece_knows_its_word(all_kinds, kind):
    tokenizer = all_kinds[kind]
    ((window,),) = Encoder(tokenizer, 128).encode([pair()])
    expected = tokenizer(PREMISE, HYPOTHESIS, return_token_type_ids=True, return_offsets_mapping=True)
    assert window.ids.tolist() == expected["input_ids"]
    assert window.types.tolist() == expected["token_type_ids"]
    assert words_read([window], 9).all()
    strings, words = (PREMISE, HYPOTHESIS), pair().words
    for side, (start, end), word in zip(
        expected.sequence_ids(0), expected["offset_mapping"], window.word, strict=True
    ):
        if word == OUTSIDE:
            assert side is None or start == end
        else:
            piece = strings[side][start:end].strip()
            assert piece in words[word]
            assert (word < 4) == (side == 0)


def test_explaining_the_first_text_changes_nothing_of_what_the_model_reads(all_kinds):
    encoder = Encoder(all_kinds["bert"], 128)
    ((both,),) = encoder.encode([pair()])
    ((second,),) = encoder.encode([Text.of("t", HYPOTHESIS, "whitespace", PREMISE)])
    assert both.ids.tolist() == second.ids.tolist()
    assert both.types.tolist() == second.types.tolist()
    own = second.word != OUTSIDE
    assert (both.word[own] == second.word[own] + 4).all()


def long_pair():
    """A premise of 20 pieces; a hypothesis of 60, all words of the tokenizer."""
    return pair(" ".join(["warm"] * 20), " ".join(["film", "dull", "good"] * 20))


def test_a_long_second_text_is_cut_as_only_second_cuts_it_and_the_first_is_repeated(tokenizer):
    encoder, given = Encoder(tokenizer, 48), long_pair()
    (windows,) = encoder.encode([given])
    expected = tokenizer(
        given.first,
        given.string,
        truncation="only_second",
        max_length=48,
        return_overflowing_tokens=True,
    )
    assert [w.ids.tolist() for w in windows] == expected["input_ids"]
    assert len(windows) == 3
    for window in windows:
        assert window.word[1:21].tolist() == list(range(20))
    assert words_read(windows, 80).all()
    (first,) = Encoder(tokenizer, 48, "truncate").encode([given])
    assert [w.ids.tolist() for w in first] == expected["input_ids"][:1]
    longest_first = tokenizer(given.first, given.string, truncation="longest_first", max_length=48)
    assert longest_first["input_ids"] == expected["input_ids"][0]  # here the second text is the longer one


def test_a_first_text_that_leaves_no_room_is_refused_and_never_cut(tokenizer):
    given = pair(" ".join(["warm"] * 40), " ".join(["film"] * 6))
    with pytest.raises(
        InputError, match="a first text that leaves 8 of 48 pieces to the text, got 40 pieces"
    ):
        Encoder(tokenizer, 48).encode([given])


def test_a_pair_that_fits_is_read_whole_however_little_its_first_text_leaves(tokenizer):
    """Five pieces are left to the second text, which has five: nothing need be cut."""
    first, second = " ".join(["warm"] * 40), " ".join(["film"] * 5)
    ((window,),) = Encoder(tokenizer, 48).encode([pair(first, second)])
    assert window.ids.tolist() == tokenizer(first, second)["input_ids"]
    assert len(window) == 48


def test_a_pair_needs_words_in_both_texts(tokenizer):
    empty = Text("t", ("", "film"), {"a": 0, "b": 1}, (0, 1), first="", string="film", second=1)
    with pytest.raises(InputError, match="a text of the pair has no words"):
        Encoder(tokenizer, 48).encode([empty])


def test_words_are_taken_out_of_either_text(tokenizer):
    encoder, given = Encoder(tokenizer, 128), pair("a warm film", "the film is dull")
    (windows,) = encoder.encode([given])
    removed = np.isin(np.arange(7), [1, 4])  # warm, and the film of the hypothesis
    (left,) = encoder.remove(windows, removed)
    expected = tokenizer("a film", "the is dull", return_token_type_ids=True)
    assert left.ids.tolist() == expected["input_ids"]
    assert left.types.tolist() == expected["token_type_ids"]
    (masked,) = encoder.remove(windows, removed, "mask")
    places = np.flatnonzero(masked.ids == tokenizer.mask_token_id)
    assert masked.word[places].tolist() == [1, 4]


def test_a_window_with_words_of_the_shared_first_text_alone_is_dropped(tokenizer):
    encoder, given = Encoder(tokenizer, 48), long_pair()
    (windows,) = encoder.encode([given])
    second = windows[1].word[windows[1].word >= 20]
    left = encoder.remove(windows, np.isin(np.arange(80), second))
    assert [w.ids.tolist() for w in left] == [windows[i].ids.tolist() for i in (0, 2)]
    (one,) = encoder.remove(windows, np.arange(80) >= 20)
    assert one.word[one.word != OUTSIDE].tolist() == list(range(20))  # of no hypothesis one window is left
    without_premise = encoder.remove(windows, np.arange(80) < 20)
    assert [len(w) for w in without_premise] == [len(w) - 20 for w in windows]


# Scores


def logits_of(classifier, first, second):
    """What plain Hugging Face says of two texts."""
    encoded = classifier.encoder.tokenizer(first, second, return_tensors="pt", return_token_type_ids=True)
    with torch.inference_mode():
        return classifier.model(**encoded).logits[0].double().numpy()


def planted(classifier, word):
    """The classifier with a word that outweighs all others."""
    model = type(classifier.model)(classifier.model.config).eval().requires_grad_(False)
    model.load_state_dict(classifier.model.state_dict())
    id = classifier.encoder.tokenizer.convert_tokens_to_ids(word)
    model.get_input_embeddings().weight.data[id] *= 40
    return replace(classifier, model=model)


def test_a_planted_word_of_the_premise_has_the_score_that_plain_calls_give(classifier):
    asked = planted(classifier, "dull")
    first, second = "a dull film".split(), "the film is warm".split()
    whole = logits_of(asked, "a dull film", "the film is warm")
    target = int(whole.argmax())
    words = [*first, *second]
    expected = []
    for gone in range(len(words)):
        left = (
            [w for i, w in enumerate(first) if i != gone],
            [w for i, w in enumerate(second, 3) if i != gone],
        )
        expected.append(whole[target] - logits_of(asked, *map(" ".join, left))[target])
    why = explain(asked, [("a dull film", "the film is warm")], methods="leave_one_out", words="whitespace")
    assert why[0].scores == pytest.approx(expected, abs=1e-5)
    assert int(np.abs(why[0].scores).argmax()) == 1
    row = why.to_frame().iloc[1]
    assert (row.word, row.start, row.end, row.side) == ("dull", 2, 6, 0)


@pytest.mark.parametrize("method", ["attention", "saliency", "integrated_gradients", "kernel_shap", "random"])
def test_scores_of_the_second_text_are_the_same_with_the_first_explained(classifier, method):
    given, alone = pair(), Text.of("t", HYPOTHESIS, "whitespace", PREMISE)
    both, second = (
        attribute(
            classifier, method, [AttributionInput(*classifier.encoder.encode([t]), len(t.words), 1, 3, t)]
        )[0].scores
        for t in (given, alone)
    )
    assert np.isfinite(both).all()
    assert len(both) == 9
    if method in ("attention", "saliency"):  # the others' baselines or draws take in the premise
        assert both[4:] == pytest.approx(second, abs=1e-6)


def test_a_word_that_several_windows_read_has_the_sum_of_its_effects(make_classifier):
    asked = make_classifier(max_length=48)
    given = long_pair()
    (windows,) = asked.encoder.encode([given])
    (found,) = attribute(asked, "gradient_x_input", [AttributionInput(windows, 80, 1, 0, given)])
    each = [
        attribute(asked, "gradient_x_input", [AttributionInput((w,), 80, 1, 0, given)])[0].scores
        for w in windows
    ]
    assert found.scores[:20] == pytest.approx(np.sum(each, axis=0)[:20], abs=1e-5)


def test_survivors_are_of_both_texts_and_removal_leaves_their_pieces(adaptive):
    given = pair("a warm and moving film , never dull", "the film is dull and slow")
    ((window,),) = adaptive.encoder.encode([given])
    (found,) = attribute(adaptive, "survivors", [AttributionInput((window,), 14, 1, 0, given)])
    batch = adaptive.encoder.collate([window])
    trace = adaptive.model(input_ids=batch.ids, **adaptive.inputs(batch)).trace
    layers = torch.stack([layer.kept[0] for layer in trace]).sum(0).numpy()  # [T]
    by_word = [int(layers[window.word == word].max()) for word in range(14)]
    assert np.floor(found.scores).tolist() == by_word  # the rest breaks ties
    assert len(set(by_word[:8])) > 1
    assert len(set(by_word[8:])) > 1
    assert found.selected.tolist() == [reached == len(trace) for reached in by_word]
    (left,) = adaptive.encoder.remove([window], ~found.selected)
    stays = (window.word == OUTSIDE) | found.selected[window.word]
    assert left.ids.tolist() == window.ids[stays].tolist()
    assert left.types.tolist() == window.types[stays].tolist()
    types = torch.from_numpy(left.types)[None]
    with torch.inference_mode():
        logits = adaptive.model(input_ids=torch.from_numpy(left.ids)[None], token_type_ids=types).logits
    assert text_probs(adaptive, [(left,)])[0] == pytest.approx(logits.double().softmax(-1)[0].numpy())
