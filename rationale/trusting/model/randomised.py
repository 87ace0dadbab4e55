"""Copies of a model whose weights are shuffled from the top layer down.

Adebayo et al. 2018, arXiv 1810.03292, draw them again. Here the numbers of each weight tensor are shuffled
within it: what the model learned is gone, their scale is not. The model itself is never touched.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from rationale.models.adaptive import unwrap
from rationale.models.packed.layers import base_of, layers_of

WHOLE = "all weights"


def groups_of(model: Any) -> list[tuple[str, list[nn.Parameter]]]:
    """Return a model's weights by group, from the top down: head, each layer, embeddings.

    What the encoder holds before its first layer's weights belongs to the embeddings, all else to the head.
    """
    inner = unwrap(model)
    layers = [list(layer.parameters()) for layer in layers_of(inner)]
    of_layers = {id(p) for of_layer in layers for p in of_layer}
    of_base = list(base_of(inner).parameters())
    first = next((i for i, p in enumerate(of_base) if id(p) in of_layers), len(of_base))
    embeddings = of_base[:first]
    known = of_layers | {id(p) for p in embeddings}
    head = [p for p in model.parameters() if id(p) not in known]
    named = [(f"layer {n + 1}", of_layer) for n, of_layer in enumerate(layers)]
    return [("head", head), *reversed(named), ("embeddings", embeddings)]


def stages_of(model: Any) -> dict[str, int]:
    """Return the steps of the cascade by name: how many groups are shuffled, from the top."""
    n_layers = len(groups_of(model)) - 2
    half = (n_layers + 1) // 2
    found = {
        "head": 1,
        f"head and upper {half} of {n_layers} layers": 1 + half,
    }
    return found | {WHOLE: 2 + n_layers}


def randomised(classifier: Any, n_groups: int, seed: int) -> Any:
    """Return a copy of a classifier with the weights of its upper groups shuffled within each tensor."""
    model = copy.deepcopy(classifier.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weights in groups_of(model)[:n_groups]:
            for tensor in weights:
                order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
                tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return replace(classifier, model=model, passes=None)
