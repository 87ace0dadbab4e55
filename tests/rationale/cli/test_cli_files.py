"""Commands on a file of rows, which names the data set and the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eraser.load import NO_RATIONALES
from tests.helpers.eraser.own_files import FILMS, save

BARE = [{k: row[k] for k in ("text", "label")} for row in FILMS]
SHORT = ("--methods", "random")


@pytest.mark.parametrize(("kind", "split"), [("csv", "test"), ("parquet", "val")])
def test_evaluate_on_a_file_without_rationales(rationale, model_folder, kind, split):
    save(Path(f"films.{kind}"), BARE)
    options = ("--model", model_folder, "--split", split, *SHORT)
    code, out, err = rationale("evaluate", "--data", f"films.{kind}", *options)
    assert code == 0, err
    assert [line for line in (out + err).splitlines() if "agreement" in line] == [f"note: {NO_RATIONALES}"]
    assert "token_f1" not in out
    assert "comp" in out
    record = json.loads(Path(f"runs/films-{split}/scores.json").read_text())["run"]
    assert record["settings"]["dataset"] == "films"
    assert NO_RATIONALES in record["notes"]
    assert {f.name for f in Path().iterdir()} == {f"films.{kind}", "runs", "model"}  # no data set is written


def test_evaluate_on_a_file_with_rationales(rationale, model_folder):
    save(Path("films.json"), FILMS)
    code, out, err = rationale("evaluate", "--data", "films.json", "--model", model_folder, *SHORT)
    assert code == 0, err
    assert "left out" not in out
    assert "token_f1" in out


@pytest.mark.slow
def test_workers_read_the_same_file(rationale, model_folder):
    save(Path("films.csv"), BARE)
    options = ("--model", model_folder, "--split", "train", *SHORT, "--chunk", 2, "--workers", 2)
    code, _, err = rationale("evaluate", "--data", "films.csv", *options)
    assert (code, [line for line in err.splitlines() if not line.startswith("note: ")]) == (0, [])
    assert len(list(Path("runs/films-train/parts").iterdir())) > 1


def test_the_shipped_model_is_for_the_sample_alone(rationale):
    save(Path("sample.csv"), BARE)
    code, _, err = rationale("evaluate", "--data", "sample.csv")
    assert code == 2
    assert "is needed for every data set but the sample" in err
    assert not Path("runs").exists()


def test_a_file_has_no_splits_to_train_with(rationale, model_folder):
    save(Path("films.csv"), BARE)
    code, _, err = rationale(
        "train", "dense", "--data", "films.csv", "--backbone", model_folder, "--out", "m"
    )
    assert code == 2
    told = (
        "training needs a train split, which is missing or empty "
        "(`rationale data import --file` divides a file)"
    )
    assert err == f"error: films.csv: {told}\n"
    assert not Path("m").exists()


def test_a_file_is_described_under_its_own_name(rationale):
    save(Path("films.tsv"), FILMS)
    code, out, err = rationale("data", "describe", "--data", "films.tsv")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == [
        "films: labels NEG, POS",
        "  test  examples 3  with_evidence 2  evidence_spans 2  human_share 0.417",
    ]


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_import_reads_what_evaluate_reads(rationale, kind):
    save(Path(f"films.{kind}"), FILMS)
    code, out, err = rationale("data", "import", "--test", f"films.{kind}", "--out", "films")
    assert (code, err) == (0, "")
    assert "written: films" in out
