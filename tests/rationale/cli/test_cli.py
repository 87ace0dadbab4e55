from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rationale.hf.classifier import load_classifier
from tests.helpers.paths import PYTHONPATH, ROOT

SAMPLE = ROOT / "eraser" / "sample"


def test_evaluate_train_score_as_a_user_would(rationale, model_folder, tmp_path):
    code, out, err = rationale(
        "train", "dense", "--dataset", "sample", "--backbone", model_folder, "--out", "m",
        "--epochs", 1, "--precision", "float32",
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith("m: val accuracy 0.")
    code, out, err = rationale(
        "evaluate", "--model", "m", "--limit", 4, "--methods", "attention,random", "--out", "r"
    )
    assert code == 0, err
    assert "accuracy" in out
    assert "random" in out
    code, out, err = rationale(
        "evaluate", "--model", "m", "--limit", 4, "--methods", "attention,random", "--out", "r", "--json"
    )
    rows = json.loads(out)
    assert {r["method"] for r in rows} == {"attention", "random", "model"}
    assert all(r["low"] is None or r["low"] <= r["value"] + 1e-9 for r in rows)


def test_a_model_trained_on_evidence_alone_can_be_trained_on(rationale, model_folder, monkeypatch, tmp_path):
    from rationale.training import dense

    read = []
    real = dense.training_windows
    monkeypatch.setattr(dense, "training_windows", lambda e, d, x: read.append(d) or real(e, d, x))
    short = ("--epochs", 1, "--precision", "float32", "--lr", 1e-30, "--backbone")
    code, _, err = rationale("train", "dense", *short, model_folder, "--out", "e", "--evidence-only")
    assert code == 0, err
    code, _, err = rationale("train", "dense", *short, "e", "--out", "m")
    assert code == 0, err
    evidence, whole = (sum(len(x.words) for x in d.documents.values()) for d in read)
    assert evidence < 0.5 * whole
    head = [load_file(tmp_path / f / "model.safetensors")["classifier.weight"] for f in "em"]
    assert torch.allclose(*head, atol=1e-6)  # the head goes on, it is not drawn anew


def test_score_prints_the_official_output(rationale, tmp_path):
    lines = []
    for line in (SAMPLE / "test.jsonl").read_text().splitlines():
        record = json.loads(line)
        spans = [{k: e[k] for k in ("start_token", "end_token")} for g in record["evidences"] for e in g]
        rationales = [{"docid": record["docids"][0], "hard_rationale_predictions": spans}]
        lines.append(json.dumps({"annotation_id": record["annotation_id"], "rationales": rationales}))
    Path("p.jsonl").write_text("\n".join(lines))
    code, out, err = rationale(
        "score", "--data", SAMPLE, "--split", "test", "--predictions", "p.jsonl", "--official", "o.json"
    )
    assert code == 0, err
    assert json.loads(out) == json.loads(Path("o.json").read_text())
    assert json.loads(out)["token_prf"]["instance_macro"] == {"f1": 1.0, "p": 1.0, "r": 1.0}


def test_check_lists_every_fault_and_warning(rationale):
    one = {
        "annotation_id": "a001.txt",
        "rationales": [{"docid": "a001.txt", "hard_rationale_predictions": []}],
    }
    other = {"annotation_id": "nobody", "rationales": []}
    Path("p.jsonl").write_text(
        json.dumps(one) + "\n{oops\n" + json.dumps(other) + "\n" + json.dumps(one) + "\n"
    )
    code, out, err = rationale("check", "--data", SAMPLE, "--predictions", "p.jsonl")
    assert code == 2
    assert "p.jsonl:2: expected" in err
    assert "p.jsonl:4: a001.txt: duplicate annotation_id, first on line 1" in err
    assert "nobody" in out
    Path("p.jsonl").write_text(
        json.dumps(
            one
            | {
                "rationales": [
                    {"docid": "a001.txt", "hard_rationale_predictions": [{"start_token": 0, "end_token": 2}]}
                ]
            }
        )
        + "\n"
    )
    code, out, err = rationale("check", "--data", SAMPLE, "--predictions", "p.jsonl")
    assert (code, err) == (0, "")
    assert "p.jsonl: no errors" in out


def test_score_and_check_leave_out_what_is_invalid(rationale):
    gold = [json.loads(line) for line in (SAMPLE / "test.jsonl").read_text().splitlines()]
    rows = []
    for record in gold:
        spans = [{k: e[k] for k in ("start_token", "end_token")} for g in record["evidences"] for e in g]
        scores = [1.0, 0.0] if record["classification"] == "NEG" else [0.0, 1.0]
        rows.append({
            "annotation_id": record["annotation_id"], "classification": record["classification"],
            "classification_scores": scores,
            "rationales": [{"docid": record["docids"][0], "hard_rationale_predictions": spans}],
        })  # fmt: skip
    rows[3]["rationales"][0]["docid"] = "nowhere.txt"
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    same = ("--data", SAMPLE, "--predictions", "p.jsonl", "--labels", "NEG,POS")
    code, out, err = rationale("score", *same)
    message = f"p.jsonl:4: {rows[3]['annotation_id']}: expected a docid of the data set, got 'nowhere.txt'"
    assert (code, out, err) == (2, "", f"error: {message}\n")
    code, out, err = rationale("score", *same, "--skip-invalid")
    assert code == 0, err
    assert json.loads(out)["token_prf"]["instance_macro"] == {"f1": 1.0, "p": 1.0, "r": 1.0}
    assert json.loads(out)["classification_scores"]["prf"]["weighted avg"]["support"] == len(gold) - 1
    told = [
        f"left out: {message}",
        f"left out of everything: 1 of {len(gold)} predictions: {rows[3]['annotation_id']}",
    ]
    next_line = f"--predictions p.jsonl --data {SAMPLE} --split test --labels NEG,POS"
    assert err.splitlines() == [*told, f"next: rationale check {next_line}"]
    code, out, err = rationale("check", *same, "--skip-invalid")
    assert (code, err) == (0, "")
    assert out.splitlines() == [*told, f"next: rationale score {next_line} --skip-invalid"]


def broken_data(folder: Path, **changes) -> Path:
    shutil.copytree(SAMPLE, folder)
    file = folder / "test.jsonl"
    lines = file.read_text().splitlines()
    record = json.loads(lines[2])
    for key, value in changes.items():
        if key in ("docid", "start_token", "end_token"):
            record["evidences"][0][0][key] = value
        else:
            record[key] = value
    lines[2] = json.dumps(record)
    file.write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"docid": "nowhere.txt"}, "expected evidence in one of its docids"),
        ({"docids": ["nowhere.txt"], "evidences": []}, "the file is missing or cannot be read"),
        ({"end_token": 10**6}, "expected a span inside"),
        ({"start_token": -1}, "expected a docid and 0 <= start_token <= end_token"),
        ({"classification": None}, "expected a classification string, got None"),
        ({"annotation_id": True}, "expected a new annotation_id string, got True"),
    ],
)
def test_bad_data_is_one_line_and_no_run_folder(rationale, tmp_path, model_folder, changes, message):
    data = broken_data(tmp_path / "data", **changes)
    code, out, err = rationale("evaluate", "--data", data, "--model", model_folder, "--out", "r")
    assert code == 2
    assert message in err
    assert str(data) in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert not Path("r").exists()


def test_broken_json_names_file_and_line(rationale, tmp_path, model_folder):
    data = tmp_path / "data"
    shutil.copytree(SAMPLE, data)
    lines = (data / "val.jsonl").read_text().splitlines()
    (data / "val.jsonl").write_text("\n".join([lines[0], "{oops", *lines[1:]]))
    code, _, err = rationale("evaluate", "--data", data, "--model", model_folder)
    assert code == 2
    assert f"error: {data}/val.jsonl:2: expected one JSON object, got " in err


def test_empty_text_names_the_example(rationale, tmp_path, model_folder):
    data = broken_data(tmp_path / "data", evidences=[])
    (data / "docs" / json.loads((data / "test.jsonl").read_text().splitlines()[2])["docids"][0]).write_text(
        " \n"
    )
    code, _, err = rationale("evaluate", "--data", data, "--model", model_folder, "--out", "r")
    assert code == 2
    assert "the text has no words" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--data", "nowhere"),
            "error: nowhere: no such data set folder or .tar.gz archive",
        ),
        (("--model", "./nowhere"), "error: ./nowhere: no such model folder"),
        (("--methods", "attention,magic"), "error: expected a method of attention,"),
        (("--budget", "all"), "error: expected a budget: own, gold, ratio"),
        (("--device", "warp"), "error: expected a device torch can use, got 'warp'"),
        (("--split", "dev"), "expected a split of train, val, test with examples, got 'dev'"),
        (("--labels", "A,B,C"), "expected 2 labels, as the model has, got 3: ['A', 'B', 'C']"),
        (("--labels", "A,B"), "expected a model with the labels ['NEG', 'POS']"),
        (("--limit", "0"), "expected a limit of at least 1 example, got 0"),
        (("--sample", "0"), "expected a sample of at least 1 example, got 0"),
        (("--limit", "4", "--sample", "5"), "expected a limit or a sample, got both: 4 and 5"),
        (("--target", "label:BAD"), "expected a target of predicted, gold, NEG, POS, got 'label:BAD'"),
        (("--target", "BAD"), "expected a target of predicted, gold, NEG, POS, got 'BAD'"),
        (("--methods", ""), "expected a method of attention,"),
        (("--methods", "random,random"), "expected each method once, got random, random"),
        (("--budget", "own"), "expected for budget own only methods that choose words themselves"),
        (("--budget", "match=attention"), "expected a budget match=METHOD with a method of this run that"),
        (("--seed", "-1"), "expected a seed of at least 0, got -1"),
        (("--max-length", "0"), "expected a max_length of at least 10, got 0"),
        (("--max-length", "4"), "expected a max_length of at least 10, got 4"),
    ],
)
def test_bad_option_is_one_line(rationale, model_folder, arguments, message):
    options = list(arguments)
    if "--model" not in options:
        options += ["--model", model_folder]
    code, _, err = rationale("evaluate", "--out", "r", *options)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not Path("r").exists() or not list(Path("r").iterdir())


def test_unknown_flag_and_missing_model_are_usage_errors(rationale):
    assert rationale("evaluate", "--flavour", "mint")[0] == 2
    code, _, err = rationale("evaluate", "--dataset", "movies", "--data", SAMPLE)
    assert code == 2
    assert "--model" in err


def test_model_never_fine_tuned_is_refused(rationale, model_folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(model_folder / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("classifier")}
    save_file(kept, model_folder / "model.safetensors", metadata={"format": "pt"})
    code, _, err = rationale("evaluate", "--model", model_folder)
    assert code == 2
    assert "not a fine-tuned classifier: no weights for classifier.bias, classifier.weight" in err


def test_tokenizer_of_another_model_is_refused(rationale, model_folder, tokenizer):
    file = model_folder / "tokenizer.json"
    record = json.loads(file.read_text())
    record["model"]["vocab"]["extraordinary"] = 5000
    file.write_text(json.dumps(record))
    code, _, err = rationale("evaluate", "--model", model_folder)
    assert code == 2
    assert f"expected a tokenizer with ids below {len(tokenizer)}, got id 5000" in err


def test_model_folder_without_tokenizer_is_refused(rationale, model_folder):
    for file in model_folder.glob("tokenizer*"):
        file.unlink()
    code, _, err = rationale("evaluate", "--model", model_folder)
    assert code == 2
    assert "no tokenizer (tokenizer.json, vocab.txt," in err
    code, _, err = rationale("train", "dense", "--backbone", model_folder, "--out", "m")
    assert code == 2
    assert "no tokenizer (tokenizer.json, vocab.txt," in err


@pytest.mark.parametrize("text", ["{oops", '{"max_length": "256"}', "[]"])
def test_broken_settings_beside_the_weights_are_named(rationale, model_folder, text):
    (model_folder / "rationale.json").write_text(text)
    code, _, err = rationale("evaluate", "--model", model_folder)
    assert code == 2
    assert f"{model_folder}/rationale.json: expected " in err


def test_pickled_weights_are_refused(rationale, model_folder):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(model_folder / "model.safetensors"), model_folder / "pytorch_model.bin")
    (model_folder / "model.safetensors").unlink()
    code, _, err = rationale("evaluate", "--model", model_folder)
    assert code == 2
    assert ": no safetensors, only pytorch_model.bin" in err


def test_nan_weights_are_refused(rationale, model_folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(model_folder / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, model_folder / "model.safetensors", metadata={"format": "pt"})
    code, _, err = rationale("evaluate", "--model", model_folder, "--out", "r")
    assert code == 2
    assert "expected finite logits from the model, got NaN or infinity" in err
    assert not list(Path("r").rglob("*.parquet"))


def test_full_disk_leaves_nothing_half_written(rationale, model_folder, monkeypatch):
    import errno

    import pyarrow.parquet as pq

    def full(table, path, **how):
        Path(path).write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    code, _, err = rationale("evaluate", "--model", model_folder, "--limit", 2, "--out", "r")
    assert code == 2
    assert "the disk is full: No space left on device" in err
    assert [p.name for p in Path("r").rglob("*") if p.is_file()] == ["made.json"]


def test_tensors_that_cannot_be_written_are_one_line(tmp_path, capsys):
    from safetensors.torch import save_file

    from rationale.cli.commands import run

    with pytest.raises(SystemExit):
        run(lambda: save_file({"a": torch.zeros(1)}, tmp_path / "none" / "a.safetensors"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a file of tensors cannot be read or written: SafetensorError: ")
    assert "No such file or directory" in line
    assert str(tmp_path / "none") in line


def test_out_that_is_a_file_is_one_line(rationale, model_folder):
    Path("taken").write_text("")
    for command in (("evaluate", "--model"), ("train", "dense", "--backbone")):
        code, _, err = rationale(*command, model_folder, "--out", "taken/m")
        assert code == 2
        assert err.strip().splitlines()[-1].startswith("error: taken/")
        assert "Not a directory" in err


def test_labels_can_be_named_for_models_that_do_not(rationale, model_folder):
    config = json.loads((model_folder / "config.json").read_text())
    config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1"}
    config["label2id"] = {"LABEL_0": 0, "LABEL_1": 1}
    (model_folder / "config.json").write_text(json.dumps(config))
    assert load_classifier(model_folder).labels == ("LABEL_0", "LABEL_1")
    code, _, err = rationale(
        "evaluate", "--model", model_folder, "--labels", "NEG,POS", "--limit", 2, "--methods", "random"
    )
    assert code == 0, err


def test_a_sample_and_an_explicit_label_arrive(rationale, model_folder):
    options = ("--sample", 3, "--seed", 1, "--target", "label:NEG", "--methods", "random", "--out", "r")
    code, out, err = rationale("evaluate", "--model", model_folder, *options)
    assert code == 0, err
    assert ", n = 3;" in out
    settings = json.loads(Path("r/scores.json").read_text())["run"]["settings"]
    assert [settings[name] for name in ("sample", "limit", "seed", "target")] == [3, None, 1, "label:NEG"]


def test_describe_and_list(rationale):
    code, out, _ = rationale("data", "describe", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["splits"]["test"]["examples"] == 40
    code, out, _ = rationale("data", "list")
    assert code == 0
    assert "movies" in out
    assert "hatexplain" in out


def test_absent_data_set_says_how_to_get_it(rationale, model_folder):
    code, _, err = rationale("evaluate", "--dataset", "movies", "--model", model_folder)
    assert code == 2
    assert "rationale data fetch movies" in err


def test_scoring_imports_no_torch(tmp_path):
    code = (
        "import sys; import eraser, eraser.load, eraser.official, eraser.metrics; "
        "import eraser.download, eraser.files.whole, rationale.cli; "
        "bad = {'torch', 'transformers', 'captum'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_ends_in_its_verdict_and_a_comparison_in_sentences(rationale, model_folder):
    for seed in (0, 1):
        command = ("evaluate", "--model", model_folder, "--limit", 6, "--methods", "attention,random")
        code, out, err = rationale(*command, "--seed", seed, "--out", f"r{seed}")
        assert code == 0, err
        lines = out.splitlines()
        assert "token_f1 ↑" in lines[0]
        assert "fpr ↓" in lines[0]
        assert any(line.startswith("accuracy ") for line in lines)
        assert [line.partition(":")[0] for line in lines[-5:-3]] == [
            "To show people", "To know what the model used"
        ]  # fmt: skip
        assert lines[-2] == "n = 6: too few texts to rely on these intervals."
        assert lines[-1] == f"next: rationale app --run r{seed}"
    code, out, err = rationale("compare", "r0", "r1", "--out", "c")
    assert code == 0, err
    _, told = out.split("written: c/compare.csv, c/compare.md\n")
    assert told.startswith("accuracy: ")
    assert told.endswith("\nnext: rationale app --run r0 --run r1\n")  # last, as of evaluate
    assert "\nOf " in told
    assert "paired differences of methods" in told


def test_next_commands_of_a_prediction_file(rationale):
    one = {"annotation_id": "a001.txt", "rationales": []}
    Path("p.jsonl").write_text(json.dumps(one) + "\n")
    same = f"--predictions p.jsonl --data {SAMPLE} --split test"
    code, out, _ = rationale("check", "--data", SAMPLE, "--predictions", "p.jsonl")
    assert (code, out.splitlines()[-1]) == (0, f"next: rationale score {same}")
    code, out, err = rationale("score", "--data", SAMPLE, "--predictions", "p.jsonl")
    assert (code, err) == (0, f"next: rationale check {same}\n")
    json.loads(out)


def test_a_failure_of_the_runtime_is_one_line(capsys):
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")

    from rationale.cli.commands import run

    def fails():
        raise state.Fail("[ONNXRuntimeError] : 1 : FAIL : a node\nand more")

    with pytest.raises(SystemExit):
        run(fails)
    assert capsys.readouterr().err == (
        "error: ONNX Runtime failed: Fail: [ONNXRuntimeError] : 1 : FAIL : a node\n"
    )
