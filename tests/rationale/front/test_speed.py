"""`rationale.speeds`: the tables and figures of `rationale speeds`, from one call."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import rationale
from eraser import InputError
from rationale.bench.ways import WAYS
from rationale.inference.savings import predict_split
from rationale.models.flops import costs


@pytest.fixture
def speeds(adaptive):
    small = {"windows": 2, "batch_size": 2, "rounds": 1}
    return rationale.speeds({"dropping": adaptive}, "sample", sample=4, dials=(0.0, 1.0), **small)


def test_the_dial_and_the_points_agree(speeds):
    assert speeds.dial.dial.tolist() == [0.0, 1.0]
    assert speeds.dial.accuracy_n.tolist() == [4, 4]
    points = speeds.points
    assert points.model.tolist() == ["dense", "dropping", "dropping"]
    assert points.flops[1:].tolist() == pytest.approx(speeds.dial.speedup.tolist())
    assert points.accuracy[1:].tolist() == speeds.dial.accuracy.tolist()
    assert speeds.areas.model.tolist() == ["dense", "dropping"]
    assert speeds.areas.area.between(0, 1).all()


def test_layers_add_up_to_what_the_model_takes(speeds, adaptive):
    found = predict_split(adaptive, speeds.dataset, "test")
    lengths = np.array([len(w) for w in found.windows])
    cost = costs(adaptive.model)
    inside = cost.shrinking(lengths, found.kept) - cost.embedding * lengths - cost.head
    layers = speeds.layers
    assert layers[["matrices", "attention", "deciding"]].to_numpy().sum() * 1e9 == pytest.approx(
        inside.mean()
    )
    whole = cost.dense(lengths) - cost.embedding * lengths - cost.head
    assert layers.dense.sum() * 1e9 == pytest.approx(whole.mean())


def test_ways_are_timed_beside_the_dense_one(speeds):
    timed = speeds.timed
    assert timed.way.tolist() == ["dense", "packed", "removal"]
    assert timed["FLOPs speed-up"][0] == timed["measured speed-up"][0] == 1
    assert timed["FLOPs speed-up"][2] == pytest.approx(timed.GFLOPs[0] / timed.GFLOPs[2])


def test_models_stand_beside_what_people_deploy(speeds, monkeypatch):
    for name in [name for name in WAYS if name not in ("hf", "packed")]:
        monkeypatch.delitem(WAYS, name)
    assert sorted(speeds.beside.table.way) == ["hf", "packed"]
    assert speeds.beside.where.startswith("sample test: ")
    assert isinstance(speeds.plot("ways"), Figure)


def test_figures(speeds):
    assert all(isinstance(speeds.plot(name), Figure) for name in ("dial", "layers", "frontier"))
    with pytest.raises(InputError, match="expected a figure of dial, layers, frontier, ways, got 'dails'"):
        speeds.plot("dails")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": {}}, "expected at least one model, got none"),
        ({"window": 3}, "expected a setting of batch_size, rounds, seed, split, windows, got window"),
        ({"dials": (-1.0,)}, "expected dials of at least 0, got -1.0"),
        ({"sample": 0}, "expected a sample of at least 1 example, got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, message, adaptive):
    with pytest.raises(InputError, match=message):
        rationale.speeds(**{"models": adaptive, **given})


def test_a_function_has_no_layers():
    with pytest.raises(InputError, match="expected a model whose layers can be counted, got BlackBox"):
        rationale.speeds(rationale.load(lambda texts: np.full((len(texts), 2), 0.5), labels=["NEG", "POS"]))
