"""A text read by an exported model shows what the model itself shows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from rationale_viewer.compute import explain, exported
from rationale_viewer.compute.explain import read, score, text_of
from rationale_viewer.session.state import LoadedModel

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnxscript", reason="needs onnxscript")
WORDS = tuple("a warm , moving film . never dull , and the cast is a joy".split())


@pytest.mark.slow
def test_answer_layers_and_survivors_are_those_of_the_model(adaptive, tmp_path, monkeypatch):
    from rationale.export.graph import export_graph
    from rationale.onnx.model import load_file

    export_graph(adaptive, tmp_path / "model.onnx")
    quick = load_file(tmp_path / "model.onnx")
    held = LoadedModel("adaptive", adaptive)
    for words in (WORDS, WORDS * 40):  # one window, and several
        own = read(held, text_of(words), 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(explain, "exported", lambda held: quick)
            found = read(held, text_of(words), 1.0)
            dialled = read(held, text_of(words), 2.0)
        assert found.probs == pytest.approx(own.probs, abs=1e-4)
        assert found.layers.tokens == own.layers.tokens
        np.testing.assert_array_equal(found.layers.kept, own.layers.kept)
        np.testing.assert_allclose(found.layers.flops, own.layers.flops)
        assert dialled.survived is None  # the file knows one dial
        ours, theirs = (score(held, r, ["survivors"], 1.0, r.label)["survivors"] for r in (found, own))
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
        np.testing.assert_array_equal(ours.selected, theirs.selected)


def test_only_the_shipped_model_has_an_exported_file(adaptive, tmp_path):
    assert exported.exported(LoadedModel("x", adaptive)) is None
    assert exported.exported(LoadedModel("x", adaptive, folder=str(tmp_path))) is None


def test_a_text_that_was_left_is_read_no_further(monkeypatch):
    class LeftError(Exception):
        pass

    def still_wanted():
        if len(asked) == 2:
            raise LeftError

    asked = []
    monkeypatch.setattr(exported, "still_wanted", still_wanted)
    graph = SimpleNamespace(read=asked.append)
    model = SimpleNamespace(graph=graph, described=SimpleNamespace(depth=2))
    with pytest.raises(LeftError):
        exported.quick_reading(model, ["first", "second", "third"], 9)
    assert asked == ["first", "second"]
