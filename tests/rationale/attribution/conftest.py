from __future__ import annotations

import pytest
import torch

from rationale.hf.classifier import Classifier
from tests.helpers.models.linear import Bag


@pytest.fixture
def bag(classifier, tokenizer):
    """A classifier that is linear in the sum of word embeddings; see tests/helpers/models/linear.py."""
    return Classifier(Bag(len(tokenizer)), classifier.encoder, ("NEG", "POS"), torch.device("cpu"))
