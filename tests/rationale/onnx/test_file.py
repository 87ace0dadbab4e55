"""Files that are not ours, or not as they should be, are refused in one line each."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest

import rationale.onnx
from eraser import InputError
from rationale.onnx import session, shipped
from rationale.onnx.described import HEADS_OF_MODELS
from rationale.onnx.session import MOST
from tests.helpers.made_graph import Tables, description, made_file, proto_of


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        rationale.onnx.load(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_an_onnx_file_of_others(tmp_path: Path):
    onnx.save(proto_of(Tables.of(30)), tmp_path / "other.onnx")
    assert refused(tmp_path / "other.onnx") == "no file of `rationale export`"


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x0a\x12" * 40])
def test_a_file_that_is_no_graph(tmp_path: Path, content: bytes):
    (tmp_path / "x.onnx").write_bytes(content)
    assert refused(tmp_path / "x.onnx").startswith("not an ONNX file that onnxruntime ")


def test_a_file_that_was_cut_off(tmp_path: Path, made_onnx: Path):
    content = made_onnx.read_bytes()
    for share in (0.2, 0.5, 0.99):
        (tmp_path / "x.onnx").write_bytes(content[: int(len(content) * share)])
        assert refused(tmp_path / "x.onnx").startswith("not an ONNX file that onnxruntime ")


def test_a_newer_opset(tmp_path: Path):
    onnx.save(proto_of(Tables.of(30), opset=99), tmp_path / "new.onnx")
    line = refused(tmp_path / "new.onnx")
    assert line.startswith("expected an opset up to ")
    assert line.endswith("got opset 99")


def test_another_version_of_the_metadata(remade):
    expected = "expected version 1 of what `rationale export` writes, got "
    assert refused(remade(version=2)) == f"{expected}2"
    assert refused(remade(version="1")) == f"{expected}'1'"


def test_metadata_that_are_no_json(tmp_path: Path):
    proto = proto_of(Tables.of(30))
    onnx.helper.set_model_props(proto, {"rationale": "[" * 100_000})
    onnx.save(proto, tmp_path / "x.onnx")
    assert refused(tmp_path / "x.onnx") == "no file of `rationale export`: its metadata are not JSON"


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("labels", [], "expected labels in the metadata: a list of different names, got []"),
        ("labels", ["a", 1], "expected labels in the metadata: a list of different names, got ['a', 1]"),
        ("labels", ["a", "a"], "expected labels in the metadata: a list of different names, got ['a', 'a']"),
        ("head", "given", f"expected head in the metadata: one of {', '.join(HEADS_OF_MODELS)}, got 'given'"),
        ("max_length", True, "expected max_length in the metadata: a whole number above 0, got True"),
        ("max_length", -1, "expected max_length in the metadata: a whole number above 0, got -1"),
        ("long_texts", None, "expected long_texts in the metadata: one of window, truncate, got None"),
        ("depth", 0, "expected depth in the metadata: a whole number above 0, got 0"),
        ("adaptive", "no", "expected adaptive in the metadata: true or false, got 'no'"),
        ("tokenizer", "t", "expected tokenizer in the metadata: an object, got 't'"),
        ("special", {}, 'expected special in the metadata: an object with the id "start", got {}'),
    ],
)  # fmt: skip
def test_metadata_with_a_wrong_field(remade, field, value, line):
    assert refused(remade(**{field: value})) == line


def test_a_tokenizer_that_is_none(remade):
    line = refused(remade(tokenizer={"model": {"type": "WordLevel", "vocab": {"a": 0}}}))
    assert line.startswith("its tokenizer cannot be read: ")


def test_a_tokenizer_that_does_not_belong(tmp_path: Path, tokenizer):
    largest = len(tokenizer) - 1
    expected = f"its tokenizer does not belong to its model, which has no embedding of id {largest}"
    assert refused(made_file(tmp_path / "x.onnx", tokenizer, size=20)) == expected


def test_a_tokenizer_that_nothing_bounds_is_tried_elsewhere_first(remade, tokenizer, monkeypatch):
    from rationale.text import tokenizer_trial

    monkeypatch.setattr(tokenizer_trial, "SECONDS", 3.0)
    doubling = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    spec = description(tokenizer)["tokenizer"]
    spec["normalizer"] = {"type": "Sequence", "normalizers": [doubling] * 40}
    line = refused(remade(tokenizer=spec))
    assert line.startswith("the tokenizer needs more than ")
    assert "nothing bounds it: a normalizer Replace 'a'" in line


def test_more_or_fewer_labels_than_logits(remade):
    expected = "expected logits of 3 labels, and a number for each piece, got "
    assert refused(remade(labels=["a", "b", "c"])).startswith(expected)


def test_a_graph_with_other_outputs(tmp_path: Path, tokenizer):
    path = made_file(tmp_path / "x.onnx", tokenizer)
    proto = onnx.load(path)
    proto.graph.output.pop()
    onnx.save(proto, path)
    expected = "expected a graph input_ids, token_type_ids → logits, layers, contribution, got "
    assert refused(path) == f"{expected}input_ids, token_type_ids → logits, layers"


def test_a_graph_that_never_ends(tmp_path: Path, tokenizer, monkeypatch):
    """A graph is a program: this one adds what a loop of 2^62 rounds gives."""
    monkeypatch.setattr(session, "PATIENCE_S", 0.5)
    path = made_file(tmp_path / "x.onnx", tokenizer)
    proto = onnx.load(path)
    _add_loop(proto.graph, rounds=2**62)
    onnx.save(proto, path)
    assert refused(path) == "the graph takes more than 0.5 s for three pieces"


def _add_loop(graph: onnx.GraphProto, rounds: int) -> None:
    kinds = {
        "round": onnx.TensorProto.INT64,
        "goes_on": onnx.TensorProto.BOOL,
        "held": onnx.TensorProto.FLOAT,
    }
    given = [onnx.helper.make_tensor_value_info(name, kind, []) for name, kind in kinds.items()]
    names = ("goes_on", "held")
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [name], [f"{name}_after"]) for name in names],
        "body",
        given,
        [onnx.helper.make_tensor_value_info(f"{name}_after", kinds[name], []) for name in names],
    )
    constants = {"rounds": np.array(rounds), "always": np.array(True), "none": np.array(0, np.float32)}
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.append(onnx.helper.make_node("Loop", [*constants], ["nothing"], body=body))
    ends = next(node for node in graph.node if "logits" in node.output)
    ends.output[0] = "before"
    graph.node.append(onnx.helper.make_node("Add", ["before", "nothing"], ["logits"]))


def test_what_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refused(tmp_path / "pipe.onnx") == "expected a regular file, got a FIFO"
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(MOST + 1)
    assert refused(tmp_path / "huge.onnx") == f"the file is larger than {MOST} bytes"
    with pytest.raises(FileNotFoundError):
        rationale.onnx.load(tmp_path / "none.onnx")


def test_threads_are_a_number_above_0(made_onnx: Path):
    with pytest.raises(InputError, match="^expected at least 1 thread, got 0$"):
        rationale.onnx.load(made_onnx, threads=0)


# ── the shipped model ───────────────────────────────────────────────────────────────────────────────────


class Exports:
    """Stands for the process that exports: writes a file, or says why not."""

    def __init__(self, made: Path, error: str = "") -> None:
        self.made, self.error, self.asked = made, error, []

    def __call__(self, module, arguments, **how):
        self.asked.append((module, *arguments))
        if not self.error:
            Path(arguments[-1]).write_bytes(self.made.read_bytes())
        return type("Done", (), {"returncode": int(bool(self.error)), "stderr": self.error})


def test_the_shipped_model_is_exported_once(made_onnx: Path, monkeypatch):
    exports = Exports(made_onnx)
    monkeypatch.setattr(shipped, "run", exports)
    first, again = rationale.onnx.load(), rationale.onnx.load()
    assert first.answer("a film") == again.answer("a film")
    ((module, command, _, folder, *_),) = exports.asked
    assert (module, command, Path(folder).name) == ("rationale", "export", "movies_model")


@pytest.mark.parametrize("changed", [(rationale, "__version__"), (shipped, "VERSION"), (shipped, "OPSET")])
def test_another_exporter_makes_the_shipped_model_again(made_onnx: Path, monkeypatch, changed):
    exports = Exports(made_onnx)
    monkeypatch.setattr(shipped, "run", exports)
    rationale.onnx.load()
    monkeypatch.setattr(*changed, 99)
    rationale.onnx.load()
    rationale.onnx.load()
    assert len(exports.asked) == 2


def test_without_torch_the_shipped_model_is_not_made(monkeypatch):
    monkeypatch.setattr(shipped, "find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        rationale.onnx.load()
    assert str(error.value) == shipped.NEEDS


def test_an_export_that_fails_says_why_and_leaves_nothing(made_onnx: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(shipped, "run", Exports(made_onnx, "a\nerror: the disk is full\n"))
    with pytest.raises(
        InputError, match="^the shipped model could not be exported: error: the disk is full$"
    ):
        rationale.onnx.load()
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
