"""What `rationale export` refuses, in a line, before anything is loaded."""

from __future__ import annotations

import pytest

from rationale.hf.folder_checks import content_of_model


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("model.bin", None, [], "expected a file that ends in .onnx, got model.bin"),
        ("model.onnx", b"mine", [], "the file is already there: --overwrite replaces it"),
        ("model.onnx", b"mine", ["--overwrite"], "no file of `rationale export`, so it is not replaced"),
        ("model.onnx", None, ["--tolerance", "1.5"], "expected a tolerance between 0 and 1, got 1.5"),
        ("model.onnx", None, ["--limit", "4"], "--limit needs --int8, which it limits"),
        ("model.onnx", None, ["--model", "/no/such"], "no such model folder"),
    ],
)
def test_refusals_change_nothing(rationale, tmp_path, name, content, options, message):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    code, _, errors = rationale("export", "--out", str(file), *options)
    assert code == 2
    assert message in errors
    assert (file.read_bytes() if file.exists() else None) == content


def test_a_file_is_not_written_among_the_files_of_the_model_it_is_made_of(rationale, model_folder):
    before = content_of_model(model_folder)
    code, _, errors = rationale("export", "--model", model_folder, "--out", model_folder / "model.onnx")
    expected = "the model's own folder, which is only read; choose another --out"
    assert (code, errors) == (2, f"error: {model_folder}: {expected}\n")
    assert content_of_model(model_folder) == before


def test_int8_is_not_judged_on_labels_that_the_model_lacks(rationale, model_folder, tmp_path):
    rows = "text,label\n" + "".join(f"a warm film {n},{'good' if n % 2 else 'bad'}\n" for n in range(4))
    (tmp_path / "rows.csv").write_text(rows)
    code, _, errors = rationale(
        "export", "--model", model_folder, "--data", tmp_path / "rows.csv", "--split", "test",
        "--int8", "--out", tmp_path / "model.onnx",
    )  # fmt: skip
    assert code == 2
    assert "expected a model with the labels ['bad', 'good']" in errors
    assert not (tmp_path / "model.onnx").exists()
