"""A model of the hub is known by the commit that is loaded, before and after it is fetched."""

from __future__ import annotations

import pytest

from eraser.files.owned import claim
from rationale.hf import folder_checks
from rationale.hf.folder_checks import ADAPTER, CONFIG, content_of_model


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
