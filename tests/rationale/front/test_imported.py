"""`rationale.from_scores`: objects made as each library makes them, and what they become."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rationale
from eraser import InputError
from eraser.load import load
from rationale.explanations.forms import EXPLANATION_FORMS

TEXTS = ["A dull film.", "Warm, moving."]  # A dull film . | Warm , moving .
PIECES = (
    ["[CLS]", "a", "du", "##ll", "film", ".", "[SEP]"],
    ["[CLS]", "warm", ",", "mov", "##ing", ".", "[SEP]"],
)


def found(given, texts=TEXTS, **how):
    return [np.nan_to_num(one.scores, nan=-9).tolist() for one in rationale.from_scores(given, texts, **how)]


def shap_of(values, base, data, names=("NEG", "POS")):
    return SimpleNamespace(values=values, base_values=base, data=data, output_names=names)


def test_shap_takes_the_class_that_base_and_values_sum_up_to():
    rows = [[0.0, 0.1, 0.3, 0.2, 0.0, 0.0, 0.0], [0.0, -0.5, 0.0, 0.1, 0.1, 0.0, 0.0]]
    values = np.array([[(x, -x) for x in row] for row in rows])  # NEG, POS
    given = shap_of(values, np.full((2, 2), 0.5), PIECES)
    one = rationale.from_scores(given, TEXTS)
    assert [e.label for e in one] == [e.target for e in one] == ["NEG", "POS"]
    assert found(given) == [[0.1, 0.5, 0.0, 0.0], [0.5, 0.0, -0.2, 0.0]]
    assert found(given, target="NEG") == [[0.1, 0.5, 0.0, 0.0], [-0.5, 0.0, 0.2, 0.0]]
    ragged = np.empty(2, dtype=object)
    ragged[:] = [values[0], values[1]]
    assert found(shap_of(ragged, np.full((2, 2), 0.5), PIECES)) == found(given)
    alone = shap_of(values[0], np.full(2, 0.5), np.array(PIECES[0]))
    assert found(alone, TEXTS[:1]) == found(given)[:1]
    single = shap_of(values[:, :, 0], np.full(2, 0.5), PIECES, "NEG")
    assert found(single) == found(given, target="NEG")
    with pytest.raises(InputError, match="expected a class of NEG, POS, got 'SAD'"):
        rationale.from_scores(given, TEXTS, target="SAD")
    with pytest.raises(InputError, match="expected shap values of texts, with their tokens in data, got"):
        rationale.from_scores(shap_of(values, None, None), TEXTS)


def test_shap_of_some_texts_in_any_order_finds_them_by_what_its_tokens_spell():
    texts = ["A dull film.", "Warm,  moving.", "A dull film, warm."]
    tokens = [["", "Warm", ", ", "mov", "ing", ".", ""], ["", "A ", "du", "ll ", "film", ".", ""]]
    values = [np.array([0.0, 4.0, 0.0, 1.0, 2.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0])]
    given = shap_of(values, None, tokens, "NEG")
    assert list(rationale.from_scores(given, texts).examples) == ["1", "0"]
    assert found(given, texts) == [[4.0, 0.0, 3.0, 0.0], [0.0, 3.0, 0.0, 0.0]]
    with pytest.raises(InputError, match=r"^expected ids=\[…\] of the examples explained, or an"):
        rationale.from_scores(given, [*texts, texts[0]])  # which of the two that read alike?


def test_captum_tokens_with_attributions_of_each_dimension():
    values = torch.tensor(
        [[0.0, 0.0], [1.0, 2.0], [0.5, 0.5], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [9.0, 9.0]]
    )
    assert found([(PIECES[0], values)], TEXTS[:1]) == [[3.0, 2.0, 0.0, 1.0]]
    assert found([(PIECES[0], values[None].half())], TEXTS[:1]) == [[3.0, 2.0, 0.0, 1.0]]
    assert found([(PIECES[0], values.sum(1))], TEXTS[:1], pieces="max") == [[3.0, 1.0, 0.0, 1.0]]
    record = SimpleNamespace(
        word_attributions=values.sum(1), raw_input_ids=PIECES[0], pred_class=torch.tensor(1), attr_class="0"
    )
    one = rationale.from_scores(record, TEXTS[:1], labels=["NEG", "POS"])
    assert (one[0].label, one[0].target) == ("POS", "NEG")
    assert one[0].top(1) == [("A", 3.0)]
    llm = SimpleNamespace(seq_attr=values.sum(1), input_tokens=PIECES[0], output_tokens=["fine"])
    assert found(llm, TEXTS[:1]) == [[3.0, 2.0, 0.0, 1.0]]
    with pytest.raises(InputError, match="attributions of shape .T. or .T,D., got .2, 7, 2."):
        rationale.from_scores([(PIECES[0], torch.stack([values, values]))], TEXTS[:1])


def lime_of(weights, probs, bow=True):
    words = {0: ("dull", [2, 14]), 1: ("film", [7])}
    string = SimpleNamespace(
        word=lambda i: words[i][0],
        string_position=lambda i: np.array(words[i][1] if bow else words[i][1][:1]),
        raw_string=lambda: "A dull film, dull.",
    )
    return SimpleNamespace(
        local_exp=weights, domain_mapper=SimpleNamespace(indexed_string=string),
        class_names=["NEG", "POS"], predict_proba=np.array(probs),
    )  # fmt: skip


def test_lime_words_have_their_weight_at_each_place():
    text = ["A dull film, dull."]  # A dull film , dull .
    given = lime_of({0: [(0, 0.75), (1, -0.25)]}, [0.8, 0.2])
    given.domain_mapper.indexed_string.string_position = lambda i: np.array([[2, 13], [7]][i])
    assert found(given, text) == [[-9, 0.75, -0.25, -9, 0.75, -9]]
    assert found([[("dull", 0.75), ("film", -0.25)]], text) == [[-9, 0.75, -0.25, -9, 0.75, -9]]
    turned = lime_of({0: [(1, -0.25)]}, [0.3, 0.7])
    assert found(turned, text) == [[-9, -9, 0.25, -9, -9, -9]]  # POS is explained, which is predicted
    three = lime_of({0: [(1, -0.25)]}, [0.3, 0.6, 0.1])
    three.class_names = ["NEG", "POS", "SAD"]
    with pytest.raises(InputError, match="lime explained NEG, not POS: give target=…, or explain with top_l"):
        rationale.from_scores(three, text)


def tokens_of(tokens):
    return [SimpleNamespace(token=t, id=i) for i, t in enumerate(tokens)]


def test_inseq_scores_are_summed_over_what_was_generated():
    steps = np.array([[0.5, 0.25], [1, 1], [0, 2], [np.nan, 1]])
    decoder = SimpleNamespace(
        source=tokens_of(["a"]), target=tokens_of(["A", "Ġdull", "Ġfilm.", "Ġso"]), attr_pos_start=3,
        source_attributions=None, target_attributions=torch.tensor(steps),
    )  # fmt: skip
    assert found(SimpleNamespace(sequence_attributions=[decoder]), TEXTS[:1]) == [[0.75, 2.0, 1.0, 1.0]]
    translated = SimpleNamespace(
        source=tokens_of(["▁A", "▁dull", "▁film", "."]), target=tokens_of(["x", "y"]), attr_pos_start=0,
        source_attributions=torch.tensor(steps[:, :1]),
    )  # fmt: skip
    given = SimpleNamespace(sequence_attributions=[translated])
    assert found(given, TEXTS[:1]) == [[0.5, 1.0, 0.0, 0.0]]
    translated.source_attributions = torch.zeros(4, 2, 8)
    with pytest.raises(InputError, match="call .aggregate.. on inseq's output first"):
        rationale.from_scores(given, TEXTS[:1])


def test_ferret_and_interpreto_name_the_class_by_its_number():
    scores = np.arange(7.0)
    ferret = SimpleNamespace(text=TEXTS[0], tokens=PIECES[0], scores=scores, explainer="LIME", target=1)
    for given in (ferret, SimpleNamespace(explanation=ferret, evaluation_scores=[])):
        one = rationale.from_scores(given, TEXTS[:1], labels=["NEG", "POS"])
        assert one[0].scores.tolist() == [1.0, 5.0, 4.0, 5.0]
        assert one[0].target == "POS"
    of = {"granularity": "word", "elements": ["a", "dull", "film", "."], "model_task": "CLASSIFICATION"}
    both = torch.tensor([[1.0, 2, 3, 4], [4.0, 3, 2, 1]])
    given = SimpleNamespace(attributions=both, classes=torch.tensor([0, 1]), targets=None, **of)
    assert found(given, TEXTS[:1], labels=["NEG", "POS"], target="POS") == [[4.0, 3.0, 2.0, 1.0]]
    one = SimpleNamespace(attributions=both[:1], classes=None, targets=torch.tensor([1]), **of)
    assert rationale.from_scores(one, TEXTS[:1], labels=["NEG", "POS"])[0].target == "POS"
    generated = SimpleNamespace(
        attributions=both, classes=None, targets=None, **of | {"model_task": "generation"}
    )
    assert found(generated, ["a dull"]) == [[5.0, 5.0]]


def test_our_own_explanations_come_back(classifier):
    why = rationale.explain(classifier, TEXTS, methods="leave_one_out")
    again = rationale.from_scores(why, TEXTS)
    for one, other in zip(why, again, strict=True):
        assert one.scores.tolist() == other.scores.tolist()
        assert (one.words, one.label, one.target) == (other.words, other.label, other.target)
    frame, before = again.to_frame(), why.to_frame()
    assert frame.columns.tolist() == before.columns.tolist()
    assert frame.score.tolist() == before.score.tolist()
    assert set(frame.method) == {"imported-rationale"}
    assert "dull" in again[0]._repr_html_()


def test_explanations_are_of_the_examples_that_are_named_or_whose_text_they_hold():
    sample = load("sample")
    examples = sample.splits["test"]
    ids = [examples[3].id, examples[1].id]
    texts = {e.id: sample.text(e) for e in examples}
    given = {id: (list(texts[id].words), np.arange(float(len(texts[id].words)))) for id in ids}
    by_id = rationale.from_scores(given, sample)
    assert list(by_id.examples) == ids
    listed = rationale.from_scores(list(given.values()), "sample", ids=ids)
    assert listed.identity == by_id.identity
    held = [{"tokens": t, "scores": s, "id": id} for id, (t, s) in given.items()]
    assert rationale.from_scores(held, sample).identity == by_id.identity
    with pytest.raises(InputError) as error:
        rationale.from_scores(list(given.values()), sample)
    assert str(error.value) == (
        "expected ids=[…] of the examples explained, or an explanation of each of the "
        f"{len(examples)} in order, got 2"
    )
    with pytest.raises(InputError, match="expected 2 ids, one for each explanation, got 1"):
        rationale.from_scores(list(given.values()), sample, ids=ids[:1])
    with pytest.raises(InputError, match="expected tokens of this text, got"):
        rationale.from_scores(list(given.values()), sample, ids=ids[::-1])


def test_what_nobody_knows_is_refused():
    with pytest.raises(InputError, match=f"expected explanations of {', '.join(EXPLANATION_FORMS)}, got 3"):
        rationale.from_scores(3, TEXTS)
    with pytest.raises(InputError, match="expected explanations of shap"):
        rationale.from_scores([], TEXTS)
    with pytest.raises(InputError, match="expected a score for each token, got 2 tokens and 1 scores"):
        rationale.from_scores((["a", "dull"], [1.0]), TEXTS[:1])
    with pytest.raises(InputError, match="expected numbers, got .'x', 'y'."):
        rationale.from_scores((["a", "dull"], ["x", "y"]), TEXTS[:1])


def test_what_another_tool_explained_says_its_words_without_a_probability():
    (found,) = rationale.from_scores(
        [{"tokens": ["good", "film"], "scores": [0.5, 0.1]}], ["good film"], name="x"
    )
    assert repr(found) == "imported-x: 'good' 0.500, 'film' 0.100"
