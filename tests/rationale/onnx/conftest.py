from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rationale.hf.classifier import Classifier
from rationale.onnx.model import OnnxModel, load_file
from rationale.text.encode import Encoder
from tests.conftest import dropping
from tests.helpers.exported import exported


@pytest.fixture(scope="session")
def tiny_adaptive(make_classifier: Callable[..., Classifier]) -> Classifier:
    """A tiny model that drops tokens, which reads so few pieces at once that some texts need windows."""
    dense = make_classifier()
    encoder = Encoder(dense.encoder.tokenizer, 24)
    return replace(dense, model=dropping(dense.model), encoder=encoder)


@pytest.fixture(scope="session")
def tiny_file(tiny_adaptive: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tiny_adaptive, tmp_path_factory.mktemp("exported") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny(tiny_file: Path) -> OnnxModel:
    return load_file(tiny_file)
