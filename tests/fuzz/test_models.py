"""Model folders, spoilt: they load and read a text, or are refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError
from rationale.explanation import explain
from rationale.hf.classifier import load_classifier
from tests.conftest import SPECIALS, save_tiny
from tests.fuzz.spoil import answer_of, damaged, fuzz, spoilt
from tests.helpers.models.tiny_adapters import make

WORDS = ["a", "fine", "film", "##s", "."]


@pytest.fixture(scope="module")
def whole(folder):
    """A model of few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = {piece: i for i, piece in enumerate([*SPECIALS.values(), *WORDS])}
    inner = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **SPECIALS)
    save_tiny(folder / "whole", tokenizer)
    (folder / "whole" / "rationale.json").write_text(json.dumps({"max_length": 32, "log": []}))
    return folder / "whole"


def copied(whole):
    return shutil.copytree(whole, whole.parent / "spoilt", dirs_exist_ok=True)


def load_and_read(folder):
    classifier = load_classifier(folder, device="cpu")
    try:
        found = explain(classifier, "a fine film .", "random")
    except InputError as error:
        if "finite logits" in str(error):
            raise
        pytest.fail(str(error))
    assert len(found.scores) == 4
    assert found.kind != "class" or np.isclose(sum(found.probs.values()), 1)
    return found


def test_a_whole_folder_loads(whole):
    assert load_and_read(whole).label in ("NEG", "POS")


@fuzz(60)
@given(st.data())
def test_configurations(whole, data):
    names = ("config.json", "config.json", "rationale.json", "tokenizer_config.json")
    name = data.draw(st.sampled_from(names))
    record = data.draw(spoilt(json.loads((whole / name).read_text())))
    (copied(whole) / name).write_text(json.dumps(record))
    answer_of(load_and_read, whole.parent / "spoilt")


@pytest.fixture(scope="module")
def adapter(folder):
    """An adapter of a model of few words."""
    pytest.importorskip("peft", reason="needs peft, an extra")
    make(folder / "adapter")
    return folder / "adapter"


@fuzz(30)
@given(st.data())
def test_adapters(adapter, data):
    whole = json.loads((adapter / "adapter_config.json").read_text())
    record = data.draw(spoilt(whole))
    if isinstance(record, dict):  # else a name might be asked for on the hub
        record["base_model_name_or_path"] = whole["base_model_name_or_path"]
    folder = shutil.copytree(adapter, adapter.parent / "spoilt-adapter", dirs_exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(record))
    answer_of(load_and_read, folder)


@fuzz(30)
@given(st.data())
def test_tokenizers(whole, data):
    record = data.draw(spoilt(json.loads((whole / "tokenizer.json").read_text())))
    (copied(whole) / "tokenizer.json").write_text(json.dumps(record))
    answer_of(load_and_read, whole.parent / "spoilt")


@fuzz(30)
@given(st.data())
def test_files_of_any_bytes(whole, data):
    names = sorted(file.name for file in whole.iterdir())
    name = data.draw(st.sampled_from(names))
    content = (whole / name).read_bytes()
    head, rest = content[:4000], content[4000:]
    (copied(whole) / name).write_bytes(data.draw(damaged(head, always=True)) + rest)
    answer_of(load_and_read, whole.parent / "spoilt")
