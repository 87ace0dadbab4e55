from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from rationale.bench.dial import DIALS
from rationale.bench.removal import EFFICIENT
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.process.terminal import digits
from tests.conftest import dropping, tiny_model

PNG = b"\x89PNG\r\n\x1a\n"
PLAIN = ("--device", "cpu", "--precision", "float32")
pytestmark = pytest.mark.usefixtures("few_of_the_sample")
BRIEF = ("--epochs", 1, "--batch-size", 64, "--target", "attention", *PLAIN)


@pytest.fixture
def adapler_folder(tokenizer, tmp_path):
    folder = tmp_path / "adapler"
    folder.mkdir()
    save_classifier(dropping(tiny_model("bert", tokenizer, ("NEG", "POS"))), tokenizer, folder)
    return folder


def test_bench_prints_what_it_measured(rationale, adapler_folder):
    code, out, err = rationale(
        "bench", "--model", adapler_folder, "--windows", 3, "--batch-size", 2, "--rounds", 2, "--threads", 1,
        "--ways", "none", *PLAIN,
    )  # fmt: skip
    assert code == 0, err
    first, *_ = lines = out.splitlines()
    assert first.startswith("3 windows of ")
    assert first.endswith(" pieces on average, batches of 2; cpu, 1 thread, float32; 2 rounds")
    assert [line.split()[0] for line in lines[3:6]] == ["dense", "packed", "removal"]
    assert float(lines[5].split()[2]) > 1


def test_bench_shows_what_people_deploy_and_draws_it_once(rationale, adapler_folder, monkeypatch):
    command = ("bench", "--model", adapler_folder, "--windows", 3, "--rounds", 2, "--threads", 1, *PLAIN)
    code, out, err = rationale(*command, "--ways", "packed", "--plot", "--out", "b")
    assert code == 0, err
    lines = out.splitlines()
    assert "1 thread, CPU time; 2 rounds" in lines[7]
    assert sorted(line[:25].strip() for line in lines[10:12]) == [
        "> packed, float32",
        "Hugging Face, float32",
    ]
    assert [line.split(",")[0] for line in lines[12:14]] == ["alone", "in batches"]
    assert lines[14] == "written: b/ways.csv, b/ways.png"
    assert sorted(pd.read_csv("b/ways.csv").way) == ["hf", "packed"]
    assert Path("b/ways.png").read_bytes().startswith(PNG)
    code, out, err = rationale(*command, "--ways", "packed", "--plot", "--out", "b")
    assert (code, err) == (0, "already done: b\n")
    assert "Hugging Face" not in out
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    code, _, err = rationale(*command, "--ways", "packed", "--plot", "--out", "b")
    assert code == 2
    assert err.startswith("error: b: the folder holds results with other threads (1 there)")


def test_bench_with_unknown_ways_is_one_line(rationale, adapler_folder):
    code, out, err = rationale("bench", "--model", adapler_folder, "--ways", "tflite", *PLAIN)
    assert (code, out) == (2, "")
    assert err.startswith("error: expected all, none or ways of hf, hf-bf16, ")


def test_bench_of_a_model_that_drops_nothing_is_one_line(rationale, model_folder):
    code, out, err = rationale("bench", "--model", model_folder, *PLAIN)
    assert (code, out) == (2, "")
    assert err == f"error: expected {EFFICIENT}, got BertForSequenceClassification\n"


def test_dial_is_written_as_table_and_figure(rationale, adapler_folder):
    code, out, err = rationale("bench", "--model", adapler_folder, "--dial", "--out", "d", *PLAIN)
    assert code == 0, err
    assert out.splitlines()[-2] == "written: d/dial.csv, d/dial.png"
    assert out.splitlines()[-1] == f"next: rationale evaluate --model {adapler_folder}"
    assert "token_f1 ↑" in out
    assert "false_positive_rate ↓" in out
    assert Path("d/dial.png").read_bytes().startswith(PNG)
    assert pd.read_csv("d/dial.csv").dial.tolist() == list(DIALS)
    code, _, err = rationale(
        "bench", "--model", adapler_folder, "--dial", "--out", "d", "--precision", "bf16"
    )
    assert code == 2
    assert "the folder holds results with other precision ('float32' there), device" in err
    code, out, err = rationale("bench", "--model", adapler_folder, "--dials", "0,2.5", "--out", "e", *PLAIN)
    assert code == 0, err
    assert pd.read_csv("e/dial.csv").dial.tolist() == [0.0, 2.5]


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ("1,fast", "error: expected numbers, comma-separated, got '1,fast'\n"),
        ("", "error: expected numbers, comma-separated, got ''\n"),
        ("1,-1", "error: expected dials of at least 0, got -1.0\n"),
    ],
)
def test_bad_dials_are_one_line(rationale, adapler_folder, dials, message):
    code, out, err = rationale("bench", "--model", adapler_folder, "--dial", "--dials", dials, *PLAIN)
    assert (code, out, err) == (2, "", message)
    assert not Path("runs").exists()


def test_train_adapler_writes_a_model_and_says_how_good_it_is(rationale, model_folder):
    command = (
        "train", "adapler", "--dense", model_folder, "--out", "m", "--hard-epochs", 1, "--speedup", 2,
        "--steepness", "20,2", "--tolerance", 1.0, "--phi", 0.01, "--predictor-lr", 0.01, *BRIEF,
    )  # fmt: skip
    code, out, err = rationale(*command)
    assert code == 0, err
    record = json.loads(Path("m/rationale.json").read_text())
    kept = record["kept"]
    assert out == (
        f"m: val accuracy {digits(kept['val_accuracy'])} (dense {digits(record['dense_val_accuracy'])}, "
        f"within the tolerance), FLOPs speed-up {digits(kept['speedup'])}×\n"
        f"next: rationale evaluate --model m --dense {model_folder}\n"
    )
    asked = record["training"]
    assert (asked["epochs"], asked["hard_epochs"], asked["speedup"], asked["tolerance"]) == (1, 1, 2.0, 1.0)
    assert (asked["steepness"], asked["target"]) == ([20.0, 2.0], "attention")
    assert (asked["step"]["phi"], asked["step"]["predictor_lr"]) == (0.01, 0.01)
    assert record["log"][0]["lambda"] == 20.0
    one = load_classifier("m", device="cpu")
    ids = torch.arange(5, 90)[None]
    with torch.no_grad():
        assert len(one.model(ids).trace) == 3
    assert rationale(*command) == (0, out, "already done: m\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "huamn"), "error: expected a target of gradient_x_input, human, "),
        (("--steepness", "10"), "error: expected --steepness as FIRST,GROWTH, two numbers, got '10'"),
        (("--eta", 2), "error: expected --eta in (0, 1], got 2.0"),
        (("--epochs", 0), "error: expected at least 1 epoch, got (0, 0, 0)"),
        (("--speedup", 0.5), "error: expected a speedup of at least 1, got 0.5"),
        (
            ("--dense", "a/b/nowhere"),
            "error: a/b/nowhere: no such folder: --dense is what `rationale train dense` wrote",
        ),
    ],
)
def test_bad_training_option_is_one_line(rationale, model_folder, options, message):
    command = ["train", "adapler", "--out", "m", *options, *PLAIN]
    command += [] if "--dense" in options else ["--dense", model_folder]
    code, out, err = rationale(*command)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert not Path("m").exists()


def test_tune_adapler_writes_the_frontier_as_table_and_figure(rationale, model_folder):
    code, out, err = rationale(
        "tune", "adapler", "--dense", model_folder, "--out", "t", "--gamma", "0.005,0.5", "--phi", "0.01",
        "--speedup", "2", *BRIEF,
    )  # fmt: skip
    assert code == 0, err
    assert Path("t/frontier.png").read_bytes().startswith(PNG)
    table = pd.read_csv("t/frontier.csv")
    assert table.run.tolist() == [f"gamma={g}-phi=0.01-lr=3e-05-speedup=2" for g in ("0.005", "0.5")]
    assert {p.name for p in Path("t").iterdir()} == {*table.run, "frontier.csv", "frontier.png", "made.json"}
    head, *rows, last = out.splitlines()
    assert "val_accuracy ↑" in head
    assert len(rows) == int(table.frontier.sum())
    assert last.startswith("next: rationale evaluate --model t/gamma=")
    code, _, err = rationale("tune", "adapler", "--dense", model_folder, "--out", "t", "--phi", "x", *BRIEF)
    assert (code, err) == (2, "error: expected numbers, comma-separated, got 'x'\n")


def test_budgets_that_nobody_named_suit_the_methods_that_were(rationale, adapler_folder):
    code, out, err = rationale(
        "evaluate", "--model", adapler_folder, "--methods", "random", "--limit", "2", "--json", "--out", "r",
        "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    assert {r["budget"] for r in json.loads(out)} == {"ratio=0.211", "gold", "-"}


def test_evaluate_matches_the_models_own_choice(rationale, adapler_folder, model_folder):
    code, out, err = rationale(
        "evaluate", "--model", adapler_folder, "--dense", model_folder, "--methods", "survivors,random",
        "--budget", "match=survivors", "--json", "--out", "r", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    rows = json.loads(out)
    assert {r["budget"] for r in rows} == {"match=survivors", "-"}
    assert {r["method"] for r in rows} == {"survivors", "random", "model"}
    code, _, err = rationale("evaluate", "--model", adapler_folder, "--budget", "own", "--methods", "random")
    assert code == 2
    assert err.startswith("error: expected for budget own only methods that choose words themselves")
