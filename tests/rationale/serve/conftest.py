from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from rationale.onnx.model import OnnxModel, load_file
from rationale.serve.application import application
from rationale.serve.limits import Limits
from tests.helpers.made_graph import made_file

LIMITS = Limits(max_concurrency=8, max_length=1000, max_texts=4, max_bytes=5000, seconds=0.5)


@pytest.fixture(scope="session")
def model(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return load_file(made_file(tmp_path_factory.mktemp("served") / "made.onnx", tokenizer))


@pytest.fixture(scope="session")
def client(model: OnnxModel) -> TestClient:
    return TestClient(application(model, "made", LIMITS))


@pytest.fixture(scope="session")
def ask(client: TestClient) -> Callable[..., Any]:
    def post(**body: Any) -> Any:
        return client.post("/predict", json=body)

    return post
