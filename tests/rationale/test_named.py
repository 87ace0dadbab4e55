"""A function that a command names: found where it is installed, never by chance where data lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from eraser import InputError
from rationale.named import from_name, is_function, load_named
from tests.helpers.classifier_source import SOURCE


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in a folder that PYTHONPATH names."""
    folder = tmp_path / "lib" / "by_words"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "models.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(folder.parent)
    yield folder
    for name in [n for n in sys.modules if n.split(".")[0] == "by_words"]:
        del sys.modules[name]


def refused(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == text


def test_names_of_functions_and_of_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_function("package.module:function")
    assert is_function("module:model.predict_proba")
    (tmp_path / "a:b").mkdir()
    for name in (
        "models/movies",
        "owner/name",
        "movies",
        "a:b",
        "a:b:c",
        "C:\\models",
        "http://x/y",
        "1a:b",
        ":f",
    ):
        assert not is_function(name), name


def test_a_function_needs_labels_and_an_object_has_its_own(package):
    assert from_name("by_words.models:predict", ["NEG", "POS"]).labels == ("NEG", "POS")
    assert from_name("by_words.models:model").labels == ("NEG", "POS")
    assert from_name("by_words.models:model.predict_proba", ["-", "+"]).labels == ("-", "+")
    expected = "expected a function with --labels, or an object with predict_proba and classes_, got "
    refused(
        lambda: from_name("by_words.models:predict"),
        f"by_words.models:predict: {expected}function without labels",
    )
    refused(
        lambda: from_name("by_words.models:number"),
        f"by_words.models:number: {expected}int without predict_proba",
    )


def test_whole_numbers_of_scikit_learn_are_labels_without_a_point(package):
    (package / "models.py").write_text(SOURCE.replace('np.array(["NEG", "POS"])', "np.array([0.0, 1.0])"))
    assert from_name("by_words.models:model").labels == ("0", "1")


def test_names_that_lead_nowhere_are_refused(package):
    expected = "the module cannot be imported (install it, or add its folder to PYTHONPATH): "
    refused(
        lambda: from_name("by_words.none:f", ["a", "b"]),
        f"by_words.none:f: {expected}ModuleNotFoundError: No module named 'by_words.none'",
    )
    (package / "broken.py").write_text("raise RuntimeError('no weights\\nthere')")
    refused(
        lambda: from_name("by_words.broken:f", ["a", "b"]),
        f"by_words.broken:f: {expected}RuntimeError: no weights",
    )
    (package / "ends.py").write_text("import sys\nsys.exit(3)")
    refused(
        lambda: from_name("by_words.ends:f", ["a", "b"]),
        f"by_words.ends:f: {expected}SystemExit: 3",
    )
    refused(
        lambda: from_name("by_words.models:other", ["a", "b"]),
        "by_words.models:other: the module by_words.models has no 'other'",
    )


def test_what_a_function_does_not_have_is_refused(package, model_folder):
    name = "by_words.models:model"
    refused(
        lambda: load_named(name, None, None, {"max_length": 128}),
        f"{name}: max_length 128 is for models; a function reads each text whole",
    )
    refused(
        lambda: load_named(name, None, None, {"precision": "bf16"}),
        f"{name}: precision bf16 is for models; a function reads each text whole",
    )
    refused(
        lambda: load_named(str(model_folder), None, "[…]", {}),
        f"{model_folder}: --mask '[…]' is for functions; a model's tokenizer has its own mask token",
    )


def test_the_module_s_file_is_the_version(package):
    first = from_name("by_words.models:model").identity()
    assert from_name("by_words.models:model").identity() == first
    assert from_name("by_words.models:predict", ["NEG", "POS"]).identity() != first
    with (package / "models.py").open("a") as file:
        file.write("# changed\n")
    assert from_name("by_words.models:model").identity() != first


def test_evaluate_by_name(rationale, package, tmp_path):
    arguments = ("evaluate", "--model", "by_words.models:model", "--limit", 3, "--out", "run")
    code, out, err = rationale(*arguments)
    assert code == 0, err
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert set(scores.method) == {"leave_one_out", "occlusion", "lime", "random", "model"}
    settings = json.loads((tmp_path / "run" / "scores.json").read_text())["run"]["settings"]
    assert (settings["explain"], settings["model"]) == ("probability", "by_words.models:model")
    calls = sys.modules["by_words.models"].CALLS
    n = len(calls)
    assert n
    code, again, err = rationale(*arguments)
    assert code == 0, err
    assert len(calls) == n  # all of it is on disk
    assert again == out


def test_options_that_do_not_fit_are_a_line(rationale, package):
    base = ("evaluate", "--model", "by_words.models:model", "--limit", 2, "--out", "run")
    for more, text in (
        (
            ("--methods", "attention"),
            "expected a method that fits a function of texts, got attention: it looks into a model, and this",
        ),
        (("--explain", "logit"), "expected explain as probability, for a function of texts, got 'logit'"),
        (("--replace", "mask"), "masking words needs a text to put in their place (--mask)"),
        (("--max-length", 64), "max_length 64 is for models; a function reads each text whole"),
        (
            ("--labels", "NEG,POS,MIXED"),
            "one row per text, one column per label (NEG, POS, MIXED), got shape [2, 2]",
        ),
    ):
        code, _, err = rationale(*base, *more)
        assert code == 2
        assert text in err
        assert err.count("\n") == 1


def test_masked_by_name_and_all_methods(rationale, package, tmp_path):
    code, _, err = rationale(
        "evaluate", "--model", "by_words.models:model", "--limit", 1, "--replace", "mask", "--mask", "…",
        "--methods", "all", "--shap-samples", 30, "--lime-samples", 10, "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    facts = json.loads((tmp_path / "run" / "scores.json").read_text())["run"]
    assert facts["settings"]["methods"] == [
        "leave_one_out",
        "occlusion",
        "lime",
        "kernel_shap",
        "position",
        "random",
    ]
    assert facts["settings"]["mask"] == "…"


@pytest.mark.slow
@pytest.mark.faults
def test_workers_find_the_function_too(rationale, package, tmp_path):
    base = (
        "evaluate",
        "--model",
        "by_words.models:model",
        "--limit",
        4,
        "--chunk",
        2,
        "--methods",
        "leave_one_out",
    )
    for name, workers in (("one", 1), ("two", 2)):
        code, _, err = rationale(*base, "--workers", workers, "--out", name)
        assert code == 0, err
    one, two = (pd.read_csv(tmp_path / name / "scores.csv") for name in ("one", "two"))
    kept = one.metric != "cost"
    pd.testing.assert_frame_equal(one[kept], two[kept])


def test_attribute_by_name(rationale, package, tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "a warm but dull film"}) + "\n")
    code, out, err = rationale(
        "attribute", "--file", "texts.jsonl", "--model", "by_words.models:predict", "--labels", "NEG,POS",
        "--target", "POS", "--out", "out",
    )  # fmt: skip
    assert code == 0, err
    (told,) = [line for line in out.splitlines() if "read_stream" in line]
    names: dict = {}
    exec(told.removeprefix("to read them: "), names)  # from the folder that the command was run in
    (row,) = names["rows"]
    assert (row["method"], row["target"]) == ("leave_one_out", "POS")
    best, worst = (row["words"][pick(range(5), key=row["scores"].__getitem__)] for pick in (max, min))
    assert (best, worst) == ("warm", "dull")


@pytest.mark.parametrize("named", [False, True])
def test_a_module_in_the_current_folder_is_not_imported_by_chance(tmp_path, named):
    """`python -m` puts the current folder first; only where PYTHONPATH names it is it meant."""
    (tmp_path / "mine.py").write_text("print('RUN')\n" + SOURCE)
    code = "from rationale.named import from_name; print(from_name('mine:model').labels)"
    path = [*([str(tmp_path)] if named else []), os.environ.get("PYTHONPATH", "")]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"} | {
        "PYTHONPATH": os.pathsep.join(path)
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert ("RUN" in done.stdout) == named
    if named:
        assert "('NEG', 'POS')" in done.stdout
    else:
        assert "ModuleNotFoundError: No module named 'mine'" in done.stderr


@pytest.mark.slow
def test_no_part_of_transformers_is_needed(package, tmp_path):
    """Nor imported: where it is not installed, evaluate and attribute of a function work all the same."""
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "a warm film"}) + "\n")
    code = """
import sys

sys.modules["transformers"] = None  # an import of it fails
from rationale.cli import main

for line in (
    "evaluate --model by_words.models:model --limit 1 --methods leave_one_out,random --out run",
    "attribute --file texts.jsonl --model by_words.models:model --out out",
):
    sys.argv = ["rationale", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "out" / "manifest.json").is_file()
