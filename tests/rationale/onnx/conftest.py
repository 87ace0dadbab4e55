from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from rationale.onnx.model import OnnxModel, load_file
from tests.helpers.made_graph import made_file


@pytest.fixture(scope="session")
def made_onnx(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose answers are known by hand, which reads 24 pieces at once: some texts need windows."""
    return made_file(tmp_path_factory.mktemp("made") / "made.onnx", tokenizer)


@pytest.fixture(scope="session")
def model(made_onnx: Path) -> OnnxModel:
    return load_file(made_onnx)


@pytest.fixture
def remade(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> Callable[..., Path]:
    """A file like that, but for what is said otherwise."""

    def make(**told: Any) -> Path:
        return made_file(tmp_path / "other.onnx", tokenizer, **told)

    return make
