"""No command writes over the data that it reads, also where another command of this suite made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.eraser.own_files import films, save

MODEL = ("--device", "cpu", "--precision", "float32")
COMMANDS = {
    "train dense": ("train", "dense", "--backbone", "model", *MODEL),
    "train adapler": ("train", "adapler", "--dense", "model", *MODEL),
    "tune adapler": ("tune", "adapler", "--dense", "model", *MODEL),
    "speeds": ("speeds", "--dense", "model", "model", *MODEL),
    "exits": ("exits", "model", *MODEL),
    "bench --dial": ("bench", "--model", "model", "--dial", *MODEL),
    "evaluate": ("evaluate", "--model", "model", *MODEL),
    "trust": ("trust", "--model", "model", *MODEL),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_imported_data_that_a_command_reads_are_not_overwritten(rationale, model_folder, name):
    rows = save(Path("films.jsonl"), films(12, ("NEG", "POS")))
    code, _, err = rationale("data", "import", "--file", rows, "--fractions", "0.4,0.3,0.3", "--out", "D")
    assert code == 0, err
    before = {f.name: f.read_bytes() for f in Path("D").iterdir()}
    code, _, err = rationale(*COMMANDS[name], "--data", "D", "--out", "D", "--overwrite")
    assert code == 2
    assert "D: the output folder is or contains the input D; choose another --out" in err
    assert {f.name: f.read_bytes() for f in Path("D").iterdir()} == before
