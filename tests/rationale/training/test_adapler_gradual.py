"""Removal that grows: the speed-ups on the way, the shares of each layer, and thresholds that keep them."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from eraser import InputError
from rationale.inference.savings import run_windows, speedup_of
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.flops import costs
from rationale.models.packed.attention import packed_layout
from rationale.models.packed.encoder import keep_all, run_packed
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.adapler.gradual import (
    gates,
    layer_shares,
    rising,
    set_layer_thresholds,
)
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings
from rationale.training.recipes.adapler.stages import ADAPLER_STAGES
from tests.helpers.models.trainings import PLAIN, few_of, killed, same, save_dense, weights

GRADUAL = AdaplerSettings(
    predictor_epochs=0, epochs=0, hard_epochs=2, hard_lr=1e-3, speedup=3.0, eta_max=50.0, anneal=0.75,
    scalings=2, decline=0.7, gate=1.0, **PLAIN,
)  # fmt: skip


train_adapler = partial(train_adaptive, ADAPLER)


@pytest.fixture(scope="module")
def few(sample):
    return few_of(sample)


@pytest.fixture(scope="module")
def dense(tokenizer, tmp_path_factory):
    return save_dense(tokenizer, tmp_path_factory.mktemp("models"))


@pytest.fixture
def adapler(make_classifier, few):
    """An AdapLeR model with random predictors that may drop nearly all, and windows to read."""
    one = make_classifier("bert")
    torch.manual_seed(0)
    model = AdaplerForSequenceClassification.wrap(one.model, eta_max=1e6).eval()
    for predictor in model.contribution_predictors:
        torch.nn.init.normal_(predictor.scorer.weight, std=5.0)
    windows = [w for ws in one.encoder.encode([few.text(e) for e in few.splits["train"]]) for w in ws]
    return replace(one, model=model), windows


def test_a_speed_up_rises_by_the_same_factor_and_then_stays():
    found = [rising(8.0, 0.75, place, 4) for place in range(4)]
    assert found == pytest.approx([2.0, 4.0, 8.0, 8.0])


def test_without_a_rise_it_is_wanted_from_the_start():
    assert [rising(8.0, 0.0, place, 4) for place in range(4)] == [8.0] * 4


@pytest.mark.parametrize("speedup", [1.2, 2.0, 4.0])
@pytest.mark.parametrize("decline", [0.5, 1.0])
def test_shares_give_the_speed_up_and_decline_as_asked(adapler, speedup, decline):
    one, windows = adapler
    shares = layer_shares(one, windows, speedup, decline)
    lengths = np.array([len(w) for w in windows])
    price = costs(one.model)
    bare = costs(one.model.model)
    kept = 1 + shares[:, None] * (lengths - 1)
    assert bare.dense(lengths).sum() / price.shrinking(lengths, kept).sum() == pytest.approx(speedup)
    for before, after in pairwise(shares):
        assert after == pytest.approx(before * decline) or before == 1


def test_thresholds_keep_the_shares_of_tokens_that_were_asked_for(adapler):
    one, windows = adapler
    wanted = np.linspace(0.6, 0.2, len(one.model.eta))
    reached = set_layer_thresholds(one, windows, wanted)
    kept = run_windows(one, windows)[1]
    free = sum(len(w) for w in windows) - len(windows)
    assert (kept - 1).sum(1) / free == pytest.approx(wanted, abs=2 / free)
    assert reached == pytest.approx(speedup_of(one, windows, kept), rel=0.005)  # a token at a threshold


def test_a_layer_of_which_nothing_is_wanted_keeps_the_anchor_alone(adapler):
    one, windows = adapler
    set_layer_thresholds(one, windows, np.zeros(len(one.model.eta)))
    assert (run_windows(one, windows)[1] == 1).all()


def test_thresholds_stay_within_their_limits(adapler):
    one, windows = adapler
    one.model.config.eta_max = 1.0
    set_layer_thresholds(one, windows, np.zeros(len(one.model.eta)))
    assert one.model.eta.tolist() == [1.0] * len(one.model.eta)


def test_gates_are_1_and_their_gradient_is_that_of_a_sigmoid_of_the_distance():
    """Two texts of three and two tokens; relative scores 0.6, 1.5, 0.9 and 0.8, 1.2; the threshold is 0.9."""
    scores = torch.tensor([0.2, 0.5, 0.3, 0.4, 0.6], requires_grad=True)
    found = gates(scores, packed_layout((3, 2), torch.device("cpu")), torch.tensor(0.9), 2.0)
    assert found.tolist() == pytest.approx([1.0] * 5)
    found.sum().backward()
    odds = np.array([1.5 / 0.9, 0.9 / 0.9, 1.2 / 0.9]) ** (1 / 2.0)
    sigmoid = odds / (1 + odds)
    slope = sigmoid * (1 - sigmoid) / 2.0 / np.array([0.5, 0.3, 0.6])
    assert scores.grad.tolist() == pytest.approx([0.0, slope[0], slope[1], 0.0, slope[2]])


def test_removal_grows_over_the_hard_stage(dense, few, tmp_path):
    record = train_adapler(dense, few, tmp_path / "m", GRADUAL)
    # four scalings, of which three rise by 3^(1/3); an epoch tells its last
    assert [e["wanted"] for e in record["log"]] == [2.08, 3.0]
    assert [e["scaled_to"] for e in record["log"]] == pytest.approx([2.08, 3.0], rel=0.1)


@pytest.mark.slow
def test_one_factor_grows_too(dense, few, tmp_path):
    record = train_adapler(dense, few, tmp_path / "m", replace(GRADUAL, decline=None, gate=0.0))
    assert [e["scaled_to"] for e in record["log"]] == pytest.approx([2.08, 3.0], rel=0.1)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_same_weights(dense, few, tmp_path, monkeypatch):
    often = replace(GRADUAL, checkpoint_seconds=0.0)
    train_adapler(dense, few, tmp_path / "whole", often)
    expected = weights(tmp_path / "whole")
    killed(monkeypatch, ADAPLER_STAGES["hard"], 3, train_adapler, dense, few, tmp_path / "m", often)
    train_adapler(dense, few, tmp_path / "m", often)
    assert same(tmp_path / "m", expected)


def test_usual_settings_are_known_by_what_they_were_known_by_before():
    record = AdaplerSettings().as_record()
    assert not {"anneal", "scalings", "decline", "gate"} & record.keys()
    assert AdaplerSettings(anneal=0.5).as_record()["anneal"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anneal": 1.5}, "expected --anneal in [0, 1], got 1.5"),
        ({"scalings": 0}, "expected --scalings of at least 1, got 0"),
        ({"decline": 0.0}, "expected --decline in (0, 1], got 0.0"),
        ({"gate": -1.0}, "expected --gate of at least 0, got -1.0"),
        ({"speedup": None, "eta_max": 1.0}, "expected --hard-epochs and --speedup with --anneal"),
    ],
)
def test_settings_that_cannot_train_are_refused(change, message):
    with pytest.raises(InputError) as error:
        replace(GRADUAL, **change).check()
    assert message in str(error.value)


def test_weights_multiply_the_states_that_enter_a_layer(adapler):
    """The gradient of a logit in one weight is what the logit changes by when the weight does."""
    one, windows = adapler
    batch = one.encoder.collate(windows[:2])
    model = one.model.model.double()
    layers, tokens = len(one.model.eta), int(batch.real.sum())
    weights = [torch.ones(tokens, dtype=torch.float64, requires_grad=True) for _ in range(layers)]

    def logit(of):
        return run_packed(model, batch.ids, batch.types, batch.real, keep_all, weigh=of.__getitem__).logits[
            0, 0
        ]

    logit(weights).backward()
    for layer, token in ((0, 1), (1, 4)):
        changed = []
        for by in (1 - 1e-4, 1 + 1e-4):
            of = [w.detach().clone() for w in weights]
            of[layer][token] = by
            changed.append(float(logit(of).detach()))
        slope = (changed[1] - changed[0]) / 2e-4
        assert abs(slope) > 1e-6
        assert float(weights[layer].grad[token]) == pytest.approx(slope, rel=1e-4)
