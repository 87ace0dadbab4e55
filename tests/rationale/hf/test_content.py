"""What a model is known by, and what the hub has of it: the commit that is loaded, and what was taught."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from huggingface_hub import constants

from eraser import InputError
from eraser.files.owned import claim
from rationale.hf import folder_checks
from rationale.hf.classifier import load_classifier
from rationale.hf.folder_checks import ADAPTER, CONFIG, TRAINING_RECORD, content_of_model
from rationale.hf.rationale_head import FILE, MOST, RationaleHead, save_head


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A hub of two models and an adapter: what is asked for is put into the cache, as a download does."""
    has = {"org/a": (CONFIG, "1a"), "org/b": (CONFIG, "2b"), "org/adapter": (ADAPTER, "3c")}

    def fetch(id, name):
        if id not in has:
            raise OSError(f"{id} is not a local folder and is not a valid model identifier")
        file, commit = has[id]
        if file != name:
            return None  # as the library answers for a configuration
        place = tmp_path / f"models--{id.replace('/', '--')}" / "snapshots" / commit
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("{}")
        return str(place / name)

    monkeypatch.setattr(folder_checks, "cached_file", fetch)
    return tmp_path


def test_a_hub_id_is_known_by_its_commit_before_its_weights_are_here(fetched, tmp_path):
    first = content_of_model("org/a")
    (fetched / "models--org--a/snapshots/1a/model.safetensors").write_text("fetched by the training")
    assert content_of_model("org/a") == first == "1a"
    assert not claim(tmp_path / "out", "train dense", {"content_of_backbone": first})
    assert not claim(tmp_path / "out", "train dense", {"content_of_backbone": content_of_model("org/a")})


def test_two_hub_ids_differ_before_either_is_fetched(fetched):
    assert [content_of_model(id) for id in ("org/b", "org/adapter")] == ["2b", "3c"]


@pytest.mark.parametrize("name", ["", "org/none", "package.module:function"])
def test_what_is_nowhere_has_no_content(fetched, name):
    assert content_of_model(name) == ""


def test_another_version_of_the_library_or_another_place_makes_no_other_model(adaptive, monkeypatch):
    """What is stored was written by one version, and is read by the next."""
    known, model = adaptive.identity(), deepcopy(adaptive.model)
    monkeypatch.setattr("transformers.configuration_utils.__version__", "9.9.9")
    model.config.encoder = {**model.config.encoder, "transformers_version": "8.8.8", "_name_or_path": "there"}
    told = model.config.to_dict()
    assert (told["transformers_version"], told["encoder"]["transformers_version"]) == ("9.9.9", "8.8.8")
    assert replace(adaptive, model=model).identity() == known
    model.config.encoder = {**model.config.encoder, "hidden_act": "relu"}
    assert replace(adaptive, model=model).identity() != known


@pytest.fixture
def uploaded(model_folder, tmp_path, monkeypatch):
    """A model's files as the hub's cache has them, with a record and a rationale head."""
    place = tmp_path / "hub" / "models--some--model"
    shutil.copytree(model_folder, snapshot := place / "snapshots" / ("0" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    (snapshot / TRAINING_RECORD).write_text(json.dumps({"max_length": 17, "log": []}))
    head = RationaleHead(load_classifier(model_folder).model.config.hidden_size)
    torch.nn.init.normal_(head.weight)
    save_head(head, snapshot)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_a_model_on_the_hub_reads_as_it_did_where_it_was_trained(uploaded):
    here, there = load_classifier(uploaded), load_classifier("some/model")
    assert there.encoder.max_length == here.encoder.max_length == 17
    assert there.record == here.record == {"max_length": 17, "log": []}
    assert there.rationale_head.identity() == here.rationale_head.identity()
    assert there.identity() == here.identity()


def test_a_model_on_the_hub_may_have_neither_record_nor_head(uploaded):
    (uploaded / TRAINING_RECORD).unlink()
    (uploaded / FILE).unlink()
    there = load_classifier("some/model")
    assert (there.record, there.rationale_head) == ({}, None)


def test_what_stands_beside_weights_on_the_hub_is_bounded_too(uploaded):
    (uploaded / FILE).write_bytes(bytes(MOST + 1))
    with pytest.raises(InputError, match=r"expected a rationale head of at most 1,048,576 bytes"):
        load_classifier("some/model")
