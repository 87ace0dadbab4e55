"""Rules leave the forward pass as it is; activations are found, however they are written."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rationale.attribution.backward.relevance import ATTN_LRP, gim_rules
from rationale.attribution.backward.rules import Ruled, activations_of, ruled
from rationale.attribution.carried import eager_attention
from rationale.models.packed.entry import entering
from tests.helpers.families.classifiers import family_classifier
from tests.helpers.families.methods import cases_of


@pytest.mark.parametrize("rules", [ATTN_LRP, gim_rules(2.0)], ids=["attn_lrp", "gim"])
@pytest.mark.parametrize("family", ["bert", "modernbert", "qwen3", "t5"])
def test_answers_are_the_same_with_rules(family, rules):
    classifier = family_classifier(family)
    batch = classifier.encoder.collate([case.windows[0] for case in cases_of(family)])
    inputs = {"input_ids": batch.ids, **classifier.inputs(batch)}
    with torch.no_grad():
        expected = classifier.model(**inputs).logits
    with eager_attention(classifier), entering(classifier.model), ruled(classifier.model, Ruled(rules)):
        found = classifier.model(**inputs).logits
    assert found.requires_grad
    assert found.detach().numpy() == pytest.approx(expected.numpy(), abs=1e-5)


class Written(nn.Module):
    """A GELU in several functions, as some families have it."""

    def forward(self, x):
        return x * 0.5 * (1 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x)))


def test_activations_are_found_by_what_they_do():
    found = [nn.GELU(), nn.Tanh(), nn.SiLU(), nn.ELU(), Written()]
    others = [
        nn.ReLU(),
        nn.Identity(),
        nn.Dropout(),
        nn.Sigmoid(),
        nn.Softmax(-1),
        nn.LayerNorm(7),
        nn.PReLU(),
    ]
    model = nn.Sequential(*found, *others, nn.Linear(7, 7)).eval()
    model.get_input_embeddings = lambda: model[-1]
    assert activations_of(model) == tuple(found)


def test_an_activation_in_several_functions_hands_back_all_its_relevance():
    model = nn.Sequential(Written()).eval()
    model.get_input_embeddings = lambda: model
    x = torch.tensor([-2.0, -0.3, 0.0, 0.5, 3.0], requires_grad=True)
    with ruled(model, Ruled(ATTN_LRP)):
        y = model(x)
    (back,) = torch.autograd.grad(y.sum(), x)
    assert (x * back).tolist() == pytest.approx(y.tolist(), abs=1e-6)
    assert y.tolist() == pytest.approx(Written()(x.detach()).tolist(), abs=1e-6)
    assert back[2] == 0
