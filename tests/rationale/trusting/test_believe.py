"""What a card is made from: its folders are not written to, and all that its numbers depend on is known."""

from __future__ import annotations

import shutil

import pytest

import rationale as suite
from eraser import InputError
from eraser.files.owned import made_whole

FEW = {"methods": ["random"], "tests": ["sums"], "limit": 3, "budget": "ratio=0.25"}


@pytest.mark.parametrize("read_as", ["models", "dense"])
def test_a_model_that_is_read_is_not_overwritten(model_folder, tmp_path, read_as):
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    made_whole(other, "train dense", {"seed": 1})
    before = sorted(f.name for f in other.iterdir())
    given = {"again": str(other)} if read_as == "models" else str(other)
    with pytest.raises(InputError, match=f"the output folder is or contains the input {other}; choose"):
        suite.trust(str(model_folder), out=other, overwrite=True, **{read_as: given}, **FEW)
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
