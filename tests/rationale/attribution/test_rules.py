"""Two rules by hand where no linear model would tell them from a simpler one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rationale.attribution import AttributionSettings, attribute
from rationale.attribution.perturbation import _lime
from tests.helpers.models.linear import WORDS, Bag, case_of, per_word


class Bent(Bag):
    """The second logit is tanh of the linear one, the first 0."""

    def __init__(self, n):
        super().__init__(n)
        self.bend = torch.nn.Tanh()
        self.weight.mul_(0.2)

    def forward(self, **asked):
        bent = self.bend(super().forward(**asked).logits[:, 1:])  # [B,1]
        return SimpleNamespace(logits=torch.cat([0 * bent, bent], 1))


def test_deeplift_multiplies_the_difference_by_the_slope_from_the_baseline(bag):
    bent = replace(bag, model=Bent(len(bag.model.table.weight)))
    case = case_of(bent, WORDS)
    table, weight, window = bent.model.table.weight, bent.model.weight[:, 1], case.windows[0]
    pad = table[bent.encoder.pad_id]
    change = per_word(bent, case, lambda e: (e - pad) @ weight)
    x = float((table[torch.tensor(window.ids)] @ weight).sum())
    b = x - change.sum()
    slope = (np.tanh(x) - np.tanh(b)) / (x - b)
    (found,) = attribute(bent, "deeplift", [case])
    assert found.scores == pytest.approx(slope * change, abs=1e-5)
    assert not np.allclose(found.scores, (1 - np.tanh(x) ** 2) * change, atol=1e-2)  # gradient × difference


def ridge(x, y, weights, penalty=1.0):
    """The coefficients of a weighted ridge regression, its intercept free."""
    x, y = x - np.average(x, axis=0, weights=weights), y - np.average(y, weights=weights)
    return np.linalg.solve(x.T @ (weights[:, None] * x) + penalty * np.eye(x.shape[1]), x.T @ (weights * y))


def test_lime_weighs_texts_by_how_near_they_are():
    """Near is e^(−d²/2), d the cosine distance to the whole text; words 0 and 1 count only together."""
    asked = []

    def answer(present):
        asked.append(present)
        return 3 * present[:, 0] * present[:, 1] + present[:, 2]

    torch.manual_seed(0)
    found = _lime(answer, torch.ones(1, 4, dtype=torch.float64), AttributionSettings(lime_samples=60))
    x = torch.cat(asked).numpy()
    assert len(x) == 60
    y = 3 * x[:, 0] * x[:, 1] + x[:, 2]
    near = np.exp(-((1 - np.sqrt(x.sum(1) / 4)) ** 2) / 2)  # the cosine of k of 4 words with all is √(k/4)
    assert found[0].numpy() == pytest.approx(ridge(x, y, near), abs=1e-4)
    assert found[0].numpy() != pytest.approx(ridge(x, y, np.ones(60)), abs=1e-2)
