"""Models that sample the tokens they keep."""

from __future__ import annotations

from dataclasses import replace

import torch

from rationale.hf.classifier import Classifier
from rationale.models.gates import GateValues
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.pruning import cut
from rationale.text.encode import Encoder
from tests.conftest import FAMILIES, tiny_model

LABELS = ("NEG", "POS")


def cut_model(tokenizer):
    """A tiny BERT without the attention of its first layer and half of all else."""
    torch.manual_seed(4)
    half = GateValues(*((torch.rand(s) > 0.5).float() for s in ((3, 4), (3, 48), (32,), (3,), (3,))))
    half = replace(half, attention=torch.tensor([0.0, 1.0, 1.0]), ffn=torch.ones(3))
    return cut(tiny_model("bert", tokenizer, LABELS), half)


def sampling(inner, scale=0.5, keeping=0.7):
    """A model around another one whose samplers know some tokens from others, by `scale`."""
    model = InforCoefForSequenceClassification.wrap(inner)
    torch.manual_seed(3)
    for sampler in model.samplers:
        torch.nn.init.normal_(sampler.scorer.weight, std=0.5)
        sampler.scorer.weight.data.mul_(scale / 0.5)
        sampler.scorer.bias.data.copy_(torch.tensor([-keeping, keeping]) * scale)
    return model.eval().requires_grad_(False)


def classifier_of(tokenizer):
    model = tiny_model("bert", tokenizer, LABELS).requires_grad_(False)
    return Classifier(model, Encoder(tokenizer, 128), LABELS, torch.device("cpu"))


KINDS = (*FAMILIES, "cut")


def inner_of(kind, tokenizer):
    return cut_model(tokenizer) if kind == "cut" else tiny_model(kind, tokenizer, LABELS)


def everyone(model, logits):
    """Let every sampler say the same of all tokens: (drop, keep)."""
    for sampler in model.samplers:
        torch.nn.init.zeros_(sampler.scorer.weight)
        sampler.scorer.bias.data.copy_(torch.tensor(logits))


def soft(model, ids, real):
    return model.soft(ids, torch.zeros_like(ids), real)
