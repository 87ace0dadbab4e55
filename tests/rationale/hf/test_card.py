"""Each model's folder says what it is and how to load it; what somebody else wrote there stays."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

import pytest

from rationale.bench.dial import tune
from rationale.hf.card import CARD, MARK, card, write_card, write_record
from rationale.hf.classifier import SHIPPED, load_classifier, new_classifier, save_classifier
from rationale.hf.compress import compress
from rationale.training.adaptive import train_adaptive
from rationale.training.dense import train_dense
from rationale.training.recipes.table import RECIPES
from rationale.training.settings import TrainSettings
from tests.conftest import save_tiny, tiny_model

BRIEF = {"epochs": 1, "hard_epochs": 1, "predictor_epochs": 1, "saliency_epochs": 1, "batch_size": 4,
         "tolerance": 1.0, "precision": "float32", "device": "cpu"}  # fmt: skip
DOES = {
    "adapler": "It drops tokens before each layer (AdapLeR); the words that are left are its rationale.",
    "dact": "A text stops at the layer that decides it (DACT-BERT).",
    "exits": "A text stops at the layer that decides it (DACT-BERT).",
    "inforcoef": "It drops tokens before each layer (Infor-Coef); the words that are left are its rationale.",
    "prune": "Heads, units and hidden dimensions are cut out of it.",
}
KIND = {"prune": "pruned", "exits": "dact"}  # what a configuration calls what a recipe makes


@pytest.fixture(scope="module")
def few(sample):
    return replace(sample, splits={k: sample.splits[k][:4] for k in ("train", "val")})


@pytest.fixture(scope="module")
def dense(tokenizer, few, tmp_path_factory):
    """A folder as `train dense` leaves it."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "start", tokenizer)
    settings = TrainSettings(epochs=2, max_length=64, precision="float32", device="cpu", keep_epochs=2)
    start = partial(new_classifier, folder / "start", few.labels)
    train_dense(start, few, folder / "dense", settings, "start")
    return folder / "dense"


def text_of(folder):
    return (folder / CARD).read_text(encoding="utf-8")


def jsons(text):
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", text, flags=re.S)]


def pythons(text):
    return re.findall(r"```python\n(.*?)\n```", text, flags=re.S)


def test_a_trained_models_card_tells_what_the_record_tells(dense):
    text, record = text_of(dense), json.loads((dense / "rationale.json").read_text())
    assert text.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n")
    assert text.splitlines()[5] == MARK
    facts, told = jsons(text)
    assert facts == {"model": "bert", "labels": ["NEG", "POS"]}
    assert told == {k: v for k, v in record.items() if k != "log"}
    assert told["training"]["backbone"] == "start"
    assert "Not stated: it is yours to say." in text
    for epoch in (dense / "epochs").iterdir():
        assert "there is no `rationale.json` beside the weights" in text_of(epoch)


def test_the_lines_of_a_card_load_the_model(dense, capsys):
    explained, piped = pythons(text_of(dense))
    assert [len(lines.split("\n")) - lines.count("\n\n") for lines in (explained, piped)] == [3, 2]
    for lines in (explained, piped):
        exec(compile(lines.replace("FOLDER", str(dense)), "card", "exec"), {})
        out = capsys.readouterr().out
        assert re.search(r"NEG|POS", out), out


@pytest.mark.parametrize("name", RECIPES)
def test_an_adaptive_models_card_says_what_it_does_and_how_it_is_loaded(name, dense, few, tmp_path):
    recipe, brief = RECIPES[name], BRIEF | ({"hard_epochs": 0} if name in ("dact", "exits") else {})
    train_adaptive(recipe, dense, few, tmp_path / name, recipe.settings.of(brief))
    text = text_of(tmp_path / name)
    assert DOES[name] in text
    assert "(`import rationale` tells transformers of the model)" in text
    explained, piped = pythons(text)
    assert piped.splitlines()[0] == "import rationale"
    assert [len(lines.split("\n")) - lines.count("\n\n") for lines in (explained, piped)] == [3, 3]
    facts, told = jsons(text)
    assert facts["model"] == f"{KIND.get(name, name)} around bert"
    assert told["kept"]["val_accuracy"] == json.loads((tmp_path / name / "rationale.json").read_text())["kept"]["val_accuracy"]  # noqa: E501  # fmt: skip
    assert load_classifier(tmp_path / name, device="cpu").labels == ("NEG", "POS")


def test_each_model_of_a_search_has_a_card(dense, few, tmp_path):
    base = RECIPES["adapler"].settings.of(BRIEF)
    tune(dense, few, tmp_path, base, {"gamma": [0.01], "phi": [0.01, 0.1], "lr": [1e-3]})
    folders = [file.parent for file in tmp_path.glob("*/config.json")]
    assert len(folders) == 2
    assert all(DOES["adapler"] in text_of(folder) for folder in folders)


def test_a_compressed_models_card_says_so(dense, tmp_path):
    compress(dense, tmp_path / "small")
    assert "Its matrices are stored in eight bits, the rest in sixteen." in text_of(tmp_path / "small")
    assert jsons(text_of(tmp_path / "small")) == jsons(text_of(dense))


@pytest.mark.parametrize("own", ["mine", f"---\ntags: [x]\n---\n{MARK[:-5]} and mine", "", "x" * 2000 + MARK])
def test_a_card_that_somebody_else_wrote_or_changed_stays(dense, tokenizer, tmp_path, own):
    (tmp_path / CARD).write_text(own)
    save_classifier(tiny_model("bert", tokenizer, ("NEG", "POS")), tokenizer, tmp_path)
    write_record(tmp_path, {"max_length": 64})
    assert text_of(tmp_path) == own
    compress(dense, tmp_path / "small")  # whose own card is of the tool's making
    (tmp_path / "small" / CARD).write_text(own)
    (dense / "more.txt").write_text("of the model's folder")
    compress(dense, tmp_path / "small", overwrite=True)
    (dense / "more.txt").unlink()
    assert text_of(tmp_path / "small") == own


def test_a_copy_keeps_the_card_that_somebody_wrote(dense, tokenizer, tmp_path):
    (tmp_path / "own").mkdir()
    save_classifier(tiny_model("bert", tokenizer, ("NEG", "POS")), tokenizer, tmp_path / "own")
    (tmp_path / "own" / CARD).write_text("mine")
    compress(tmp_path / "own", tmp_path / "copy")
    assert text_of(tmp_path / "copy") == "mine"


HOSTILE = [
    '</script><img src=x onerror="alert(1)">', "```\n# Another card\n", "{mark} {} %s", "a\nb\u2028c",
    "\ud800", "|x|",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_strings_of_others_stand_in_json_alone(name):
    config = {"model_type": name, "id2label": {"0": name, "1": "POS"}, "problem_type": name}
    text = card(config, {"training": {"backbone": name}, "labels": [name]})
    facts, told = jsons(text)
    assert facts == {"model": name, "labels": [name, "POS"], "problem_type": name}
    assert told == {"training": {"backbone": name}, "labels": [name]}
    assert len(re.findall("^ *```", text, flags=re.M)) == 8
    outside = re.sub(r"```json\n.*?\n```", "", text, flags=re.S)
    assert outside == re.sub(r"```json\n.*?\n```", "", card({"model_type": "x"}, {"y": 1}), flags=re.S)


def test_a_label_that_no_encoding_can_write_ends_no_training(tmp_path):
    config = {"model_type": "bert", "id2label": {"0": "\ud800", "1": "b"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_card(tmp_path)
    assert r"\ud800" in text_of(tmp_path)


def test_the_shipped_models_own_card_says_how_to_load_it():
    text = text_of(SHIPPED)
    assert MARK not in text
    assert pythons(text) == pythons(card({"model_type": "adapler"}, {}))
