"""The runtime of exported models: label and words in one call, with onnxruntime, tokenizers and numpy alone.

    model = rationale.onnx.load("model.onnx")
    for answer in model.predict(["A warm, moving film.", "Dull from its first scene."]):
        print(answer.label, [word.text for word in answer.survivors])

The answers are those of `rationale.load` and `rationale.explain(methods="survivors")` on the model that was
exported. Neither torch, transformers, pandas nor scipy is imported.
"""

from __future__ import annotations

from pathlib import Path

from rationale.onnx.answer import Answer, AnswerWord
from rationale.onnx.model import OnnxModel, load_file
from rationale.onnx.shipped import shipped_file

__all__ = ["Answer", "AnswerWord", "OnnxModel", "load"]


def load(path: str | Path | None = None, *, threads: int = 1) -> OnnxModel:
    """Return the model of a file that `rationale export` wrote.

    Args:
        path: the file; by default the shipped model of film reviews, which is exported once into the user's
            cache (this needs torch).
        threads: how many cores one text may take.

    Raises:
        InputError: the file is not an exported model, or this version cannot read it.
    """
    return load_file(shipped_file() if path is None else Path(path), threads)
