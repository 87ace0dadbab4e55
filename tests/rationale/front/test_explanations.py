"""What `import rationale` gives: any kind of model, one text or many, one method or many."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from transformers import pipeline

import rationale
from eraser import InputError
from rationale.explanation import Explanation, explain
from rationale.front.explanations import Explanations
from rationale.hf.classifier import load_classifier
from tests.conftest import save_tiny, tiny_model

TEXTS = ("A warm, moving film.", "Dull <b>and</b> long.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("model")
    save_tiny(folder, tokenizer)
    return folder


def test_importing_it_is_light():
    code = "import rationale, sys; print({'torch', 'pandas', 'numpy', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    with pytest.raises(AttributeError, match="module 'rationale' has no attribute 'nothing'"):
        rationale.nothing  # noqa: B018
    assert set(rationale.__all__) <= set(dir(rationale))


def test_each_kind_of_model_gives_the_same_words(folder, tokenizer):
    model = load_classifier(folder).model
    expected = explain(load_classifier(folder), TEXTS[0], "gradient_x_input")
    pair = (tiny_model("bert", tokenizer, ("NEG", "POS")), tokenizer)
    of_pipeline = pipeline("text-classification", model=str(folder))
    for given in (folder, str(folder), pair, of_pipeline, load_classifier(folder)):
        (found,) = rationale.explain(given, TEXTS[0], "gradient_x_input")
        assert (found.words, found.label, found.target) == (expected.words, expected.label, expected.target)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)
    with pytest.raises(
        InputError, match=r"expected a folder, a hub id, \(model, tokenizer\), a pipeline, or a"
    ):
        rationale.load(model)


def test_a_pipeline_that_answers_something_else_than_its_models_classes_is_refused(tokenizer):
    model = tiny_model("bert", tokenizer, ("NEG", "POS"))
    parts = {"model": model, "tokenizer": tokenizer}
    with pytest.raises(InputError) as error:
        rationale.load(pipeline("zero-shot-classification", **parts))
    expected = "expected a pipeline of the task text-classification, got 'zero-shot-classification'"
    assert str(error.value) == expected
    with pytest.raises(InputError) as error:
        rationale.load(pipeline("text-classification", function_to_apply="sigmoid", **parts))
    expected = "expected a pipeline that applies softmax, as its model is made for, got 'sigmoid'"
    assert str(error.value) == expected
    assert rationale.load(pipeline("text-classification", function_to_apply="softmax", **parts))


def test_classes_that_are_numbers_are_named_as_data_have_them():
    class Fitted:
        classes_ = np.array([0.0, 1.0])

        def predict_proba(self, texts):
            return np.full((len(texts), 2), 0.5)

    assert rationale.load(Fitted()).labels == ("0", "1")


def test_a_model_in_memory_may_answer_with_a_tuple(tokenizer):
    model = tiny_model("bert", tokenizer, ("NEG", "POS"))
    expected = rationale.explain((model, tokenizer), TEXTS[0], "gradient_x_input")[0].scores
    model.config.return_dict = False
    found = rationale.explain((model, tokenizer), TEXTS[0], "gradient_x_input")[0].scores
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert model.config.return_dict is False


def test_a_tokenizer_in_memory_is_left_without_a_padding_token(tokenizer):
    model, own = tiny_model("bert", tokenizer, ("NEG", "POS")), deepcopy(tokenizer)
    own.pad_token = None
    assert rationale.load((model, own)).encoder.tokenizer.pad_token == tokenizer.pad_token
    assert own.pad_token is None


def test_a_model_in_memory_can_be_trained_on(tokenizer):
    model = tiny_model("bert", tokenizer, ("NEG", "POS")).train()
    frozen = model.classifier.bias.requires_grad_(False)
    rationale.explain((model, tokenizer), TEXTS[0], "integrated_gradients")
    assert model.training
    assert [p is frozen for p in model.parameters() if not p.requires_grad] == [True]
    model(**tokenizer(TEXTS[0], return_tensors="pt")).logits.sum().backward()
    assert model.classifier.weight.grad is not None
    weights = [p.data_ptr() for p in rationale.load((model, tokenizer), device="cpu").model.parameters()]
    assert weights == [p.data_ptr() for p in model.parameters()]  # shared, not copied


def test_labels_are_part_of_what_a_model_is(folder):
    own, given = rationale.load(folder), rationale.load(folder, labels=["NEG", "POS"])
    assert own.labels == ("NEG", "POS")
    assert own.identity() == given.identity() != rationale.load(folder, labels=["bad", "good"]).identity()
    with pytest.raises(
        InputError, match="^the model is loaded already: give labels to rationale.load instead$"
    ):
        rationale.evaluate(own, "sample", "random", labels=["POS", "NEG"])


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"precision": "fp16"}, "expected a precision of float32, bf16, auto, got 'fp16'"),
        ({"long_texts": "cut"}, "expected a long_texts of window, truncate, got 'cut'"),
    ],
)
def test_what_a_model_cannot_be_loaded_with_is_refused(folder, how, told):
    with pytest.raises(InputError) as error:
        rationale.load(folder, **how)
    assert str(error.value) == told


def test_a_length_that_the_model_cannot_read_is_noted(folder, capsys):
    longest = rationale.load(folder).encoder.max_length
    rationale.load(folder, max_length=longest + 1)
    assert f"reads at most {longest} pieces at once, not {longest + 1}" in capsys.readouterr().err


def test_the_shipped_model_is_there_without_a_name():
    assert rationale.load().labels == ("NEG", "POS")


def about_warmth(texts):
    warm = np.array([0.9 if "warm" in text else 0.1 for text in texts])
    return np.stack([1 - warm, warm], axis=1)


def test_a_function_and_an_object_of_scikit_learns_kind():
    class Like:
        classes_ = np.array(["NEG", "POS"])
        predict_proba = staticmethod(about_warmth)

    for model in (rationale.load(about_warmth, labels=["NEG", "POS"]), Like()):
        why = rationale.explain(model, TEXTS)
        assert why.methods == ("leave_one_out",)
        assert why[0].top(1)[0][0] == "warm"
    with pytest.raises(InputError, match=r"a function needs labels=\[…\], the names of its outputs"):
        rationale.load(about_warmth)
    with pytest.raises(InputError, match="or a function of texts, got 5"):
        rationale.load(5)


def test_methods_share_what_a_function_answered():
    asked = []

    def noted(texts):
        asked.extend(texts)
        return about_warmth(texts)

    box = rationale.load(noted, labels=["NEG", "POS"])
    methods = ["leave_one_out", "occlusion", "kernel_shap"]
    why = rationale.explain(box, "A warm film.", methods)
    assert len(asked) == len(set(asked)) > 1
    for method in methods:
        alone = explain(rationale.load(about_warmth, labels=["NEG", "POS"]), "A warm film.", method)
        np.testing.assert_array_equal(why[0, method].scores, alone.scores)


def test_frames_are_tidy_and_say_what_single_explanations_say(folder):
    methods = ["attention", "random"]
    why = rationale.explain(folder, TEXTS, methods)
    table = why.to_frame()
    assert list(table) == ["text", "word", "start", "end", "method", "score"]
    for n, text in enumerate(TEXTS):
        for method in methods:
            one = explain(load_classifier(folder), text, method)
            rows = table[(table.text == n) & (table.method == method)]
            assert tuple(rows.word) == one.words
            assert all(text[a:b] == word for word, a, b in zip(rows.word, rows.start, rows.end, strict=True))
            np.testing.assert_array_equal(rows.score, one.scores)
            np.testing.assert_array_equal(why[n, method].scores, one.scores)
    assert [one.method for one in why] == ["attention", "attention"]
    assert len(why) == 2
    with pytest.raises(InputError, match="expected a method of attention, random, got 'lime'"):
        why[0, "lime"]
    with pytest.raises(InputError, match="expected at least one text and one method, got 0 and 1"):
        rationale.explain(folder, [])


def test_a_slice_is_explanations_of_some_texts_by_all_methods(folder):
    why = rationale.explain(folder, TEXTS, ["attention", "random"])
    some = why[1:]
    assert (some.texts, some.methods, some.found) == (TEXTS[1:], why.methods, why.found[1:])
    assert why[np.int64(1)] is why[1] is some[0]
    for place in ("attention", ("attention", "random"), None):
        with pytest.raises(InputError, match="expected a text's number, as in "):
            why[place]


def test_html_escapes_and_the_plot_has_a_bar_for_each_word_and_method(folder):
    why = rationale.explain(folder, TEXTS, ["attention", "random"])
    assert "<b>and" not in why.to_html()
    assert all(part in why.to_html() for part in ("Dull", "&lt;", "&gt;"))
    axes = why.plot(0, size=4)
    shown = [label.get_text() for label in axes.get_yticklabels()]
    strongest = sorted(why[0].top(len(why[0].words)), key=lambda pair: abs(pair[1]))[-4:]
    assert shown == [word for word, _ in strongest]
    assert len(axes.patches) == 8


def test_both_texts_of_a_pair_are_explained_beside_a_single_text(folder):
    pair = ("A <i>warm</i> film.", "Dull  and long.")
    why = rationale.explain(folder, [pair, TEXTS[1]], ["attention", "random"], words="whitespace")
    table = why.to_frame()
    assert list(table) == ["text", "word", "start", "end", "method", "score", "side"]
    of_pair = table[(table.text == 0) & (table.method == "attention")]
    assert [pair[side][a:b] for side, a, b in zip(of_pair.side, of_pair.start, of_pair.end, strict=True)] == [
        "A", "<i>warm</i>", "film.", "Dull", "and", "long.",
    ]  # fmt: skip
    assert set(table[table.text == 1].side) == {0}
    one = why[0, "attention"]
    assert (one.texts, one.sides, one.text) == (pair, (0, 0, 0, 1, 1, 1), "\n".join(pair))
    alone = explain(
        load_classifier(folder), pair[1], "attention", query=pair[0], explain_query=True, words="whitespace"
    )
    np.testing.assert_array_equal(one.scores, alone.scores)
    second = explain(load_classifier(folder), pair[1], "attention", query=pair[0], words="whitespace")
    assert second.words == one.words[3:]
    np.testing.assert_allclose(second.scores, one.scores[3:], atol=1e-6)
    page = why.to_html()
    assert "film.</span><br>" in page
    assert "<i>" not in page


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((" ", "Dull."), r"expected two texts with words in a pair, got \(' ', 'Dull.'\)"),
        (("Warm.", 5), r"expected a text, or a pair of texts as a tuple, got \('Warm.', 5\)"),
        (("a", "b", "c"), r"expected a text, or a pair of texts as a tuple, got \('a', 'b', 'c'\)"),
        (("Warm.", " "), "the text has no words|a text of the pair has no words"),
    ],
)
def test_what_is_no_pair_is_refused(folder, pair, message):
    with pytest.raises(InputError, match=message):
        rationale.explain(folder, [pair], "random")


def test_a_function_of_one_string_is_given_no_pair():
    with pytest.raises(InputError, match="a text without a query: a function reads one string, got 'Warm.'"):
        rationale.explain(rationale.load(about_warmth, labels=["NEG", "POS"]), [("Warm.", "Dull.")])


def test_the_text_that_cannot_be_explained_is_named_by_its_place(folder):
    with pytest.raises(InputError, match="^text 2: the text has no words$"):
        rationale.explain(folder, ["A film.", " "], "random")


def test_texts_that_are_missing_are_named_by_their_places(folder):
    with pytest.raises(InputError) as error:
        rationale.explain(folder, ["A film.", np.nan, None], "random")
    expected = "expected a text, or a pair of texts as a tuple, got"
    assert str(error.value).splitlines() == [f"text 2: {expected} nan", f"text 3: {expected} None"]
    with pytest.raises(InputError, match=r"^text 1: expected two texts with words in a pair, got "):
        rationale.explain(folder, [("", "Dull.")], "random")


class OfHuggingFace:
    """What its data sets have: named columns, each a list."""

    column_names = ("label", "text")

    def __getitem__(self, name):
        return {"label": [0, 1], "text": list(TEXTS)}[name]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pd.DataFrame({"label": ["POS", "NEG"], "text": TEXTS}, index=[7, 5]), TEXTS),
        ({"text": list(TEXTS), "label": [1, 0]}, TEXTS),
        ({"text": TEXTS[0]}, TEXTS[:1]),
        (OfHuggingFace(), TEXTS),
        (pd.Series(TEXTS), TEXTS),
        ((text for text in TEXTS), TEXTS),
    ],
)
def test_the_column_text_of_a_table_is_explained(folder, given, expected):
    why = rationale.explain(folder, given, "random")
    assert why.texts == expected
    assert [one.text for one in why] == list(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"review": TEXTS}), r"texts, or a table with a column 'text', got only \['review'\]"),
        ({"sentence": TEXTS[0]}, r"texts, or a table with a column 'text', got only \['sentence'\]"),
        (5, "a text, several, or a table of them, got 5"),
        (b"film", "a text, several, or a table of them, got b'film'"),
        ({"text": None}, "a text, several, or a table of them, got None"),
    ],
)
def test_what_holds_no_texts_is_refused(folder, given, message):
    with pytest.raises(InputError, match=f"^expected {message}$"):
        rationale.explain(folder, given, "random")


def test_the_plot_shows_the_strongest_of_the_words_that_were_read():
    scores = {"a": 0.1, "hidden": np.nan, "b": -3.0, "c": 2.0, "d": 0.3}
    one = Explanation(tuple(scores), np.array(list(scores.values())), "POS", {"POS": 1.0}, "POS", "mine")
    axes = Explanations(("a hidden b c d",), ("mine",), ((one,),)).plot(size=3)
    assert [label.get_text() for label in axes.get_yticklabels()][::-1] == ["b", "c", "d"]
    axes = Explanations(("a hidden b c d",), ("mine",), ((one,),)).plot(size=9)
    assert [label.get_text() for label in axes.get_yticklabels()][::-1] == ["b", "c", "d", "a"]
    unread = Explanation(("a",), np.array([np.nan]), "POS", {"POS": 1.0}, "POS", "mine")
    with pytest.raises(InputError, match="^no word of the text was read, so there is none to draw$"):
        Explanations(("a",), ("mine",), ((unread,),)).plot()


def test_dollars_in_a_text_or_a_label_are_drawn_as_they_are():
    words = ("$$", "$5 and $9", r"$\frac$")
    one = Explanation(words, np.array([1.0, 2.0, 3.0]), "$_$", {"$_$": 1.0}, "$_$", "mine")
    axes = Explanations((" ".join(words),), ("mine",), ((one,),)).plot()
    axes.figure.savefig(BytesIO(), format="png")
    assert [label.get_text() for label in axes.get_yticklabels()] == list(words)
    assert axes.get_xlabel() == "score for $_$"
