"""Every page and control of the viewer, without a browser."""

from __future__ import annotations

import re
import shutil

import pytest
from rationale_viewer.compute import cached
from rationale_viewer.compute.edits import Flip
from rationale_viewer.compute.opening import CHIPS
from rationale_viewer.pages.explain import files
from rationale_viewer.pages.explain.given import OWN
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from streamlit.testing.v1 import AppTest

from tests.conftest import tiny_model
from tests.helpers.app.pages import SCRIPT, TEXT, checked, component, keyed, markup
from tests.helpers.app.runs import DIAL, write
from tests.helpers.eraser.posts import make, post


def test_first_sight_is_a_coloured_text_that_the_model_gets_right(open_app):
    at = open_app()
    assert not at.info
    assert keyed(at.sidebar.selectbox, "model").value == "dropping"
    assert "Which words decided?" in markup(at)
    assert ": the model agrees." in markup(at)
    assert component(at)["body"].count('class="w') == len(component(at)["layers"]["lived"]) > 20


def test_an_emptied_box_tells_what_to_do(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value("").run())
    assert "Type or paste a text" in at.info[0].value


def test_explain_shows_probabilities_layers_and_words(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    assert 'class="probs"' in markup(at)
    assert "dropped by the model" in markup(at)
    layers = component(at)["layers"]
    assert layers["says"][0] == "all 17 tokens go in; play to see which words each layer drops"
    assert [line.split(":")[0] for line in layers["says"][1:]] == [f"layer {k} of 3" for k in (1, 2, 3)]
    assert len(layers["lived"]) == len(TEXT.split())
    assert "saved so far" not in markup(at)  # is measured when its fold is open


def test_the_fold_of_speed_is_measured_when_it_is_open(open_app):
    at = open_app(speed="true")
    checked(keyed(at.text_area, "text").set_value(TEXT).run())
    for told in ("FLOPs saved so far", "time saved so far", "layer 3 of 3", "to score by survivors"):
        assert told in markup(at)
    assert not re.search(r"-\d+%", markup(at))


def test_chips_fill_the_box(open_app):
    at = open_app()
    for chip in CHIPS:
        checked(keyed(at.get("pills"), "chip").set_value(chip.name).run())
        assert keyed(at.text_area, "text").value == chip.text
        assert ("A reader would say" in markup(at)) == (chip.label is not None)
        assert ("Readers may say either." in markup(at)) == (chip.label is None)
    checked(keyed(at.text_area, "text").set_value("My own text .").run())
    assert "A reader would say" not in markup(at)


def test_a_model_of_other_labels_has_no_chips(open_app):
    at = open_app(model="three")
    assert not [b for b in at.get("pills") if b.key == "chip"]


def test_a_short_text_is_told(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value("Dull .").run())
    assert re.search(r"Short: 2 words; the texts of sample have \d+ on average", markup(at))
    checked(keyed(at.text_area, "text").set_value("Dull . " * 20).run())
    assert "Short:" not in markup(at)


def test_methods_and_comparison(open_app):
    at = open_app()
    keyed(at.text_area, "text").set_value(TEXT).run()
    checked(keyed(at.selectbox, "method").set_value("gradient_x_input").run())
    assert re.search("speaks for (NEG|POS)<", markup(at))
    checked(keyed(at.selectbox, "method").set_value("leave_one_out").run())
    checked(keyed(at.multiselect, "compare").set_value(["attention", "random"]).run())
    assert "bars from the top" in markup(at)


def test_dial_runs_the_model_again(open_app):
    at = open_app()
    keyed(at.text_area, "text").set_value(TEXT).run()
    before = markup(at)
    checked(keyed(at.select_slider, "dial").set_value(0.0).run())
    assert "1.00x" not in before
    assert markup(at) != before


def test_words_taken_out_move_the_prediction(open_app):
    at = open_app()
    keyed(at.text_area, "text").set_value(TEXT).run()
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    checked(out.set_value([1, 3]).run())
    assert "With 2 words deleted" in markup(at)
    checked(keyed(at.get("segmented_control"), "how").set_value("mask").run())
    assert "With 2 words masked" in markup(at)


def test_what_cuts_the_text_is_chosen(open_app):
    at = open_app()
    keyed(at.text_area, "text").set_value("warm, never-dull film").run()
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    assert out.options == ["warm · 1", ", · 2", "never-dull · 3", "film · 4"]
    checked(keyed(at.selectbox, "cut").set_value("whitespace").run())
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    assert out.options == ["warm, · 1", "never-dull · 2", "film · 3"]


def test_a_text_without_spaces_is_cut_in_characters_and_it_is_told(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value("故事很慢，我不喜欢").run())
    assert "words: characters, as the text is written without spaces between words" in [
        c.value for c in at.caption
    ]
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    assert len(out.options) == 9
    checked(keyed(at.selectbox, "cut").set_value("punctuation").run())
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    assert out.options == ["故事很慢 · 1", "， · 2", "我不喜欢 · 3"]


def test_exports_are_offered(open_app):
    at = open_app()
    keyed(at.text_area, "text").set_value(TEXT).run()
    offered = ["HTML", "LaTeX", "JSONL", "PNG", "SVG", "Layers, GIF", "Layers, WebP", "Layers, HTML"]
    assert [b.proto.label for b in at.get("download_button")] == offered


def test_files_hold_the_text_as_the_reader_changed_it(open_app, monkeypatch):
    made = {}
    monkeypatch.setattr(files, "offer", lambda found, stem: made.update(found))
    at = open_app()
    keyed(at.text_area, "text").set_value("A warm film.").run()
    assert "taken out" not in made["HTML"][0]()
    before = re.search("<h1>.*: (.*)</h1>", made["HTML"][0]()).group(1)
    out = next(m for m in at.multiselect if m.key.startswith("out-"))
    checked(out.set_value([1]).run())
    assert {"JSONL, text unchanged"} == {kind for kind in made if "JSONL" in kind} - {"JSONL"}
    page, picture, latex = (made[kind][0]() for kind in ("HTML", "SVG", "LaTeX"))
    assert '<span class="w out" data-i="1" title="warm · taken out">' in page
    assert f"with 1 word deleted; before: {before}</h1>" in page
    assert f"with 1 word deleted; before: {before}</text>" in picture
    assert r"\sout{warm}" in latex


def test_a_minimal_flip_can_be_undone_at_once(open_app, monkeypatch):
    monkeypatch.setattr(cached, "flip", lambda *_: Flip((1,), "NEG", True))
    at = open_app()
    keyed(at.text_area, "text").set_value("A warm film.").run()
    assert keyed(at.button, "undo").disabled
    assert keyed(at.button, "start-over").disabled
    checked(keyed(at.button, "flip").click().run())
    assert next(m for m in at.multiselect if m.key.startswith("out-")).value == [1]
    assert not keyed(at.button, "undo").disabled
    assert not keyed(at.button, "start-over").disabled
    checked(keyed(at.button, "undo").click().run())
    assert next(m for m in at.multiselect if m.key.startswith("out-")).value == []


def test_text_is_never_markup(open_app):
    at = open_app()
    checked(
        keyed(at.text_area, "text")
        .set_value('<script>alert(1)</script> "><img src=x onerror=1> ![a](b)')
        .run()
    )
    assert "<script>alert" not in markup(at)
    assert "<img" not in markup(at)


@pytest.mark.parametrize("text", [" ", "\n\t"])
def test_empty_text_is_a_hint(open_app, text):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value(text).run())
    assert "Type or paste a text" in at.info[0].value


def test_overlong_text_is_a_message(open_app):
    at = open_app()
    checked(keyed(at.text_area, "text").set_value("x " * 12_001).run())
    assert at.error[0].value == "This cannot be shown."
    assert at.code[0].value == "the text has 12001 words; at most 12000 can be shown"


def test_a_dense_model_has_neither_dial_nor_layers(open_app):
    at = open_app(model="dense")
    keyed(at.text_area, "text").set_value(TEXT).run()
    checked(at)
    assert not at.select_slider
    assert component(at)["layers"] is None
    labels = [b.proto.label for b in at.get("download_button")]
    assert labels == ["HTML", "LaTeX", "JSONL", "PNG", "SVG"]


def test_an_example_fills_the_text_and_the_url_keeps_it(open_app, sample):
    at = open_app(example="a001.txt", method="attention", layer="2")
    words = " ".join(sample.text(sample.splits["test"][0]).words)
    assert keyed(at.text_area, "text").value == words
    assert keyed(at.selectbox, "method").value == "attention"
    assert component(at)["layers"]["at"] == 2
    assert at.query_params["example"] in ("a001.txt", ["a001.txt"])
    box = keyed(at.selectbox, "taken")
    assert box.options[:1] == [OWN]
    assert "POS · The Lantern Keeper opens with…" in box.options
    checked(box.set_value("a002.txt").run())
    assert keyed(at.text_area, "text").value != words


def test_nonsense_in_the_url_is_ignored(open_app):
    at = open_app(page="Nowhere", method="magic", layer="ninety", example="../../etc/passwd", dial="x")
    assert keyed(at.text_area, "text").value
    assert component(at)["layers"]["at"] == 0


def test_annotators_browses_filters_and_searches(open_app):
    at = open_app("Annotators")
    assert "annotators and model" in markup(at)
    assert "Annotators say" in markup(at)
    first, second, *_, last = keyed(at.selectbox, "example").options
    assert keyed(at.selectbox, "example").value == first
    for label, there in (("Next", second), ("Previous", first), ("Previous", last)):
        checked(next(b for b in at.button if b.label == label).click().run())
        assert keyed(at.selectbox, "example").value == there
    checked(keyed(at.multiselect, "labels").set_value(["NEG"]).run())
    assert "Annotators say <b>NEG</b>" in markup(at)
    checked(keyed(at.toggle, "wrong").set_value(True).run())
    assert "the model is wrong" in markup(at)
    keyed(at.toggle, "wrong").set_value(False)
    checked(keyed(at.text_input, "search").set_value("no such word").run())
    assert "No example passes" in at.info[0].value


def test_annotators_orders_sizes_methods_and_views(open_app):
    at = open_app("Annotators")
    assert keyed(at.selectbox, "order").value == "lowest token F1 first"
    first, *others = keyed(at.selectbox, "order").options
    checked(keyed(at.selectbox, "order").set_value(first).run())
    as_given = keyed(at.selectbox, "example").options
    for order in others:
        checked(keyed(at.selectbox, "order").set_value(order).run())
        there = keyed(at.selectbox, "example").options
        assert there != as_given
        assert sorted(there) == sorted(as_given)
    checked(keyed(at.selectbox, "budget").set_value("gold").run())
    checked(keyed(at.selectbox, "method").set_value("attention").run())
    checked(keyed(at.selectbox, "split").set_value("val").run())
    checked(keyed(at.get("segmented_control"), "view").set_value("side by side").run())
    assert "The model's words, by attention<" in markup(at).replace("&#39;", "'")
    assert [b.proto.label for b in at.get("download_button")][-1].endswith("official JSONL")


def test_annotators_refuses_a_model_with_other_labels(open_app, folders, tokenizer, tmp_path, monkeypatch):
    odd = tmp_path / "odd"
    tiny_model("bert", tokenizer, ("yes", "no")).save_pretrained(odd)
    tokenizer.save_pretrained(odd)
    at = open_app("Annotators")
    monkeypatch.setenv(VARIABLE, LaunchConfig(models=(str(odd),)).as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params["page"] = "Annotators"
    checked(at.run())
    assert "expected a model with the labels ['NEG', 'POS']" in at.code[0].value


def test_hateful_posts_wait_for_consent(monkeypatch, folders, tmp_path):
    marks = ([1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1])
    posts = {"p1": post(rationales=marks, targets=(["Women"],) * 3), "p2": post(("normal",) * 3)}
    data = make(tmp_path / "posts", posts, {"train": [], "val": [], "test": list(posts)})
    given = LaunchConfig((str(folders / "three"),), "hatexplain", str(data))
    monkeypatch.setenv(VARIABLE, given.as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params["page"] = "Annotators"
    checked(at.run())
    assert "Content warning" in at.warning[0].value
    assert "Annotators say" not in markup(at)
    checked(keyed(at.checkbox, "warned").check().run())
    assert "Annotators say <b>hatespeech</b>" in markup(at)
    assert "about Women" in markup(at)
    labels = [e.label for e in at.main.expander]
    each = (
        (3, "1 word", "0.000"),
        (1, "1 word", "0.333"),
        (2, "2 words", "0.333"),
    )  # most apart first
    assert labels[-3:] == [f"Annotator {n}: {k} marked; token F1 with the others {f1}" for n, k, f1 in each]
    checked(keyed(at.multiselect, "tags").set_value(["Women"]).run())
    assert keyed(at.selectbox, "example").options == ["p1"]


def test_scores_without_runs_say_how_to_make_one(open_app):
    at = open_app("Scores")
    assert "rationale evaluate --dataset sample" in at.info[0].value


@pytest.fixture
def runs(tmp_path):
    write(tmp_path / "runs" / "one")
    write(tmp_path / "runs" / "two", ("attention", "random"))
    return tmp_path / "runs"


def test_scores_table_figures_and_annotators(open_app, runs):
    at = open_app("Scores", runs=[runs])
    wide, table = (of.value for of in at.dataframe)
    assert list(wide.columns)[:2] == ["token_f1", "false_positive_rate"]
    assert {"rank", "method", "value", "low", "high", "n"} <= set(table.columns)
    said = markup(at)
    assert "The model: accuracy" in said
    assert said.index('class="sentences"') < said.index("Click a column to sort")
    assert "may be chance" in said
    checked(keyed(at.selectbox, "metric").set_value("cost").run())  # no differences of it were tested
    assert "rank" not in at.dataframe[1].value.columns
    assert "may be chance" not in markup(at)
    checked(keyed(at.multiselect, "runs").set_value(["one", "two"]).run())
    assert any(at.dataframe[1].value.method.str.startswith("two: "))
    at = open_app("Scores", runs=[runs], tab="Figures")
    assert "<img" not in markup(at)  # all tell their numbers
    assert len(at.get("vega_lite_chart")) == 10  # panels of six figures
    labels = [b.proto.label for b in at.get("download_button")]
    assert labels == ["PNG", "SVG", "CSV"] * 6
    at = open_app("Scores", runs=[runs], tab="Annotators and communities")
    assert "no tables of communities" in at.info[0].value


def test_a_broken_run_is_a_message(open_app, runs):
    (runs / "one" / "scores.csv").write_text("a\n1\n")
    at = open_app("Scores", runs=[runs])
    assert at.error[0].value == "A run cannot be read."
    assert "expected the columns method" in at.code[0].value
    checked(keyed(at.multiselect, "runs").set_value(["two"]).run())
    assert not at.error


def test_speed_measures_counts_and_reads(open_app, runs):
    import pandas as pd

    at = open_app("Speed", part="Measure this model")
    checked(keyed(at.selectbox, "measure-size").set_value(16).run())
    checked(keyed(at.multiselect, "dials").set_value([1.0]).run())
    checked(next(b for b in at.button if b.label == "Measure").click().run())
    assert list(at.dataframe[0].value.model) == ["dense", "this model"]
    at = open_app("Speed", part="Where the FLOPs go")
    assert list(at.dataframe[0].value.layer) == [1, 2, 3]
    pd.DataFrame(DIAL).to_csv(runs / "dial.csv", index=False)
    at = open_app("Speed", part="Measured before", runs=[runs])
    assert len(at.dataframe[0].value) == 2
    (runs / "dial.csv").write_text("a\n1\n")
    at = open_app("Speed", part="Measured before", runs=[runs])
    assert at.error[0].value == "This cannot be drawn."
    at = open_app("Speed", part="Measured before")
    assert "None found" in at.info[0].value


def test_speed_of_a_dense_model_is_a_hint(open_app):
    assert "no dial" in open_app("Speed", model="dense", part="Measure this model").info[0].value


def test_a_broken_model_is_a_message(open_app, folders, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    monkeypatch.setenv(VARIABLE, LaunchConfig(models=(str(broken),)).as_json())
    at = checked(AppTest.from_file(SCRIPT, default_timeout=60).run())
    assert at.error[0].value == "The model cannot be opened."
    assert f"{broken / 'config.json'}: expected JSON, got " in at.code[0].value


def test_a_missing_data_set_is_a_message(monkeypatch, tmp_path, folders):
    monkeypatch.setenv(VARIABLE, LaunchConfig((str(folders),), "mine", str(tmp_path / "none")).as_json())
    at = checked(AppTest.from_file(SCRIPT, default_timeout=60).run())
    assert at.error[0].value == "The data set cannot be read."
    assert "no such data set folder" in at.code[0].value


def test_another_folder_is_opened_inside_the_given_ones_only(open_app, folders, tmp_path):
    at = open_app()
    checked(keyed(at.text_input, "path").set_value(str(tmp_path)).run())
    assert "is outside the folders given at start" in at.code[0].value
    checked(keyed(at.text_input, "path").set_value(str(folders)).run())
    assert "neither a model nor a run: no config.json and no scores.csv" in at.code[0].value
    deep = folders / "a" / "b" / "c"
    shutil.copytree(folders / "dense", deep, dirs_exist_ok=True)
    checked(keyed(at.text_input, "path").set_value(str(deep)).run())
    assert "c" in keyed(at.sidebar.selectbox, "model").options
    shutil.rmtree(folders / "a")
