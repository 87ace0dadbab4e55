from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from eraser import InputError
from rationale.models.gates import Gates, gated
from rationale.models.packed.encoder import layers_of, run_packed
from rationale.models.packed.matrices import dimensions
from rationale.models.pruning import PrunedForSequenceClassification, build, cut, original
from rationale.models.shrink import NoAttention
from tests.helpers.models.batches import batch
from tests.helpers.models.cuttable import (
    BERT_LIKES,
    FIRST_ONE_A_FAMILY,
    KINDS,
    ONE_A_FAMILY,
    SIZES,
    all_open,
    logits,
    random_openings,
    tiny,
    without_scales,
)

L, D, WIDTH = SIZES.layers, SIZES.hidden, 8


def without(openings, heads=(), units=()):
    """Close these layers' heads and units, all of them, each one alone."""
    openings = replace(openings, heads=openings.heads.clone(), units=openings.units.clone())
    openings.heads[list(heads)] = 0
    openings.units[list(units)] = 0
    return openings


def closed_sublayers(openings, attention=(), ffn=()):
    """Close these layers' sublayers by their coarse gates."""
    openings = replace(openings, attention=torch.ones(L), ffn=torch.ones(L))
    openings.attention[list(attention)] = 0
    openings.ffn[list(ffn)] = 0
    return openings


def some(seed=0):
    return replace(random_openings(seed), attention=torch.tensor([1.0, 0.6, 0.0]), ffn=torch.ones(L))


CASES = {
    "random 0": random_openings(0),
    "random 1": random_openings(1),
    "random 2": random_openings(2),
    "no heads in layer 1": without(closed_sublayers(random_openings(3)), heads=[1]),
    "no units in layer 2": without(closed_sublayers(random_openings(4)), units=[2]),
    "neither in layer 0": without(closed_sublayers(random_openings(5)), heads=[0], units=[0]),
    "sublayers closed": closed_sublayers(random_openings(6), attention=[0, 2], ffn=[1, 2]),
    "only hidden": replace(all_open(), hidden=random_openings(7).hidden),
    "all sublayers closed": closed_sublayers(random_openings(8), attention=range(L), ffn=range(L)),
    "nothing": all_open(),
}


SOME = ("random 0", "neither in layer 0", "all sublayers closed")
ALL_CASES = ("bert", "modernbert", "llama")  # of these kinds; some of the others
PAIRS = [(kind, name) for kind in KINDS for name in (CASES if kind in ALL_CASES else SOME)]


@pytest.mark.parametrize(("kind", "name"), PAIRS)
@torch.no_grad()
def test_cut_model_answers_as_the_gated_one(kind, name):
    model, openings = tiny(kind), CASES[name]
    small = cut(model, openings)
    assert type(small) is type(model)
    for way in ("padded", "packed"):
        with gated(model, openings):
            expected = logits(model, way)
        assert torch.allclose(logits(small, way), expected, atol=1e-5)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6), st.floats(0, 1))
@torch.no_grad()
def test_any_gates_that_leave_a_hidden_dimension_can_be_cut(kind, seed, share):
    model, openings = tiny(kind, seed), random_openings(seed)
    closed = torch.rand(D, generator=torch.Generator().manual_seed(seed)) < share
    closed[seed % D] = False
    hidden = openings.hidden.masked_fill(closed, 0.0)
    hidden[seed % D] = 1.0
    openings = replace(openings, hidden=hidden)
    small = cut(model, openings)
    with gated(model, openings):
        expected = logits(model, "packed")
    assert torch.allclose(logits(small, "packed"), expected, atol=1e-5)
    assert torch.allclose(logits(small, "padded"), expected, atol=1e-5)
    again = build(small.config)
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in small.named_parameters()
    }


@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
@torch.no_grad()
def test_nothing_closed_is_the_dense_model_and_the_original_is_left_alone(kind):
    model = tiny(kind)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    assert torch.equal(logits(cut(model, all_open()), "padded"), logits(model, "padded"))
    cut(model, random_openings(0))
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not hasattr(model.config, "cut")


def matrices(model):
    """The prunable parameters: those of the matrices of layers."""
    layers = [m for layer in layers_of(model) for m in layer.modules() if isinstance(m, nn.Linear)]
    return sum(m.weight.numel() for m in layers)


def predicted(kind, openings):
    """Count the parameters of the cut model by hand."""
    n = int((openings.hidden > 0).sum())
    heads = ((openings.heads > 0) & (openings.attention > 0)[:, None]).sum(1).tolist()
    units = ((openings.units > 0) & (openings.ffn > 0)[:, None]).sum(1).tolist()
    pooler, two = n * D + D, D * 2 + 2  # or the head's first matrix; two classes
    if kind == "modernbert":  # no biases; the first layer begins without a norm; a norm in the head
        layers = sum(4 * 8 * h * n + 3 * f * n + 2 * n for h, f in zip(heads, units, strict=True)) - n
        return layers + 1500 * n + n + n + n * D + D + two
    if kind in ("llama", "gemma3"):  # two heads share their keys; Gemma has more norms, two of each head
        norms = 2 if kind == "llama" else 4
        layers = sum(48 * h * n + 3 * f * n + norms * n for h, f in zip(heads, units, strict=True))
        of_heads = 0 if kind == "llama" else 2 * 8 * sum(h > 0 for h in heads)
        return layers + of_heads + 1500 * n + n + 2 * n
    if kind == "nomic":
        layers = sum(32 * h * n + 3 * f * n + 4 * n for h, f in zip(heads, units, strict=True))
        return layers + 1502 * n + 2 * n + pooler + two
    total = 0
    for h, f in zip(heads, units, strict=True):
        context = h * WIDTH
        total += 3 * (n * context + context) + context * n + n + 2 * n
        total += n * f + f + f * n + n + 2 * n
    if kind == "deberta-shared":  # words; 16 distances and their norm
        return total + 1500 * n + 2 * n + 16 * n + 2 * n + pooler + two
    rows = 1500 + 40 + (0 if kind == "distilbert" else 2)  # words, positions, types
    total += rows * 16 + 2 * 16 + 16 * n + n if kind == "projected" else rows * n + 2 * n
    return total + pooler + two


@pytest.mark.parametrize("kind", dict.fromkeys((*BERT_LIKES, *ONE_A_FAMILY)))
def test_parameters_are_those_the_openings_predict(kind):
    for openings in CASES.values():
        small = cut(tiny(kind), openings)
        assert sum(p.numel() for p in small.parameters()) == predicted(kind, openings)


@pytest.mark.parametrize("kind", ONE_A_FAMILY)
def test_sparsity_is_the_share_of_matrices_that_is_gone(kind):
    for openings in CASES.values():
        model = tiny(kind)
        small, found, sizes = cut(model, openings), without_scales(openings), dimensions(model)
        assert matrices(small) == int(found.size(sizes))
        sparsity = 1 - matrices(small) / matrices(model)
        assert float(found.sparsity(sizes)) == pytest.approx(sparsity, abs=1e-6)


def test_configuration_tells_the_cut_and_the_original_sizes():
    model = tiny("bert")
    openings = CASES["neither in layer 0"]
    small = cut(model, openings)
    expected = model.config.to_dict()
    told = small.config.to_dict()
    counts = told.pop("cut")
    assert told == expected
    assert counts == {
        "heads": (openings.heads > 0).sum(1).tolist(),
        "units": (openings.units > 0).sum(1).tolist(),
        "hidden": int((openings.hidden > 0).sum()),
    }
    assert counts["heads"][0] == counts["units"][0] == 0
    assert isinstance(layers_of(small)[0].attention.self, NoAttention)
    assert original(small.config).to_dict() == expected
    assert original(model.config).to_dict() == expected
    assert small.config.cut == counts  # `original` left it alone


def same_weights(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
@torch.no_grad()
def test_built_model_takes_the_cut_weights(kind):
    small = cut(tiny(kind), CASES["sublayers closed"])
    again = build(small.config).eval()
    again.load_state_dict(small.state_dict())
    assert same_weights(again, small)
    assert torch.allclose(logits(again, "padded"), logits(small, "padded"), atol=1e-6)
    assert build(original(small.config)).num_parameters() == tiny(kind).num_parameters()


@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
@torch.no_grad()
def test_saved_and_loaded_by_auto_classes(kind, tmp_path):
    dense = tiny(kind)
    small = cut(dense, CASES["neither in layer 0"])
    dense.save_pretrained(tmp_path / "dense")
    PrunedForSequenceClassification.from_dense(small).save_pretrained(tmp_path / "small")
    assert {p.name for p in (tmp_path / "small").iterdir()} == {"config.json", "model.safetensors"}
    assert AutoConfig.from_pretrained(tmp_path / "small").model_type == "pruned"
    loaded, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "small", output_loading_info=True
    )
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    loaded.eval()
    assert same_weights(loaded.model, small)
    for way in ("padded", "packed"):  # numbers that lie elsewhere in memory may add up in another order
        assert torch.allclose(logits(loaded.model, way), logits(small, way), atol=1e-6)
    sizes = {k: (tmp_path / k / "model.safetensors").stat().st_size for k in ("dense", "small")}
    saved = 4 * (dense.num_parameters() - small.num_parameters())  # float32
    assert saved > 0
    assert sizes["dense"] - sizes["small"] == pytest.approx(saved, abs=2000)  # but for the names of tensors


@pytest.mark.parametrize("kind", ONE_A_FAMILY)
def test_a_cut_model_trains_on(kind):
    small = cut(tiny(kind), CASES["neither in layer 0"])
    ids, real = batch((5, 9))
    small(input_ids=ids, attention_mask=real.long(), labels=torch.tensor([0, 1])).loss.backward()
    assert all(p.grad is not None for p in small.parameters())
    frozen = cut(tiny(kind).requires_grad_(False), all_open())
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("kind", ["electra", "modernbert", "llama"])
def test_weights_of_gates_as_training_leaves_them(kind):
    model = tiny(kind)
    gates = Gates.of(model)
    torch.manual_seed(4)
    for alpha in gates.parameters():
        alpha.data.normal_(0.5, 3)
    openings = gates.expected()
    with gated(model, openings), torch.no_grad():
        expected = logits(model, "padded")
    assert torch.allclose(logits(cut(model, openings), "padded"), expected, atol=1e-5)


GOOD = {"heads": [1, 0, 3], "units": [10, 0, 4], "hidden": 7}
BAD = {
    "not a cut": (7, "a cut of heads, units and hidden, got 7"),
    "a part missing": ({"heads": [1, 1, 1]}, "a cut of heads, units and hidden, got {'heads': [1, 1, 1]}"),
    "too few layers": ({**GOOD, "heads": [1, 0]}, r"heads left in 3 layers, each 0 to 3, got [1, 0]"),
    "too many heads": ({**GOOD, "heads": [1, 0, 4]}, r"heads left in 3 layers, each 0 to 3, got [1, 0, 4]"),
    "less than none": (
        {**GOOD, "units": [-1, 0, 4]},
        r"units left in 3 layers, each 0 to 10, got [-1, 0, 4]",
    ),
    "not whole": ({**GOOD, "units": [1.5, 0, 4]}, r"units left in 3 layers, each 0 to 10, got [1.5, 0, 4]"),
    "no list": ({**GOOD, "units": 3}, r"units left in 3 layers, each 0 to 10, got 3"),
    "nothing hidden": ({**GOOD, "hidden": 0}, r"hidden dimensions left, 1 to 24, got 0"),
    "too wide": ({**GOOD, "hidden": 25}, r"hidden dimensions left, 1 to 24, got 25"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_cut_that_does_not_fit_is_refused(name):
    config = tiny("bert").config
    config.cut, text = BAD[name]
    with pytest.raises(InputError) as caught:
        build(config)
    assert str(caught.value) == f"expected {text}"
    config.cut = GOOD
    assert build(config).bert.encoder.layer[2].attention.self.query.out_features == 3 * WIDTH


def test_openings_that_do_not_fit_are_refused():
    model = tiny("bert")
    wide = replace(all_open(), hidden=torch.ones(30))
    with pytest.raises(InputError, match=r"^expected openings of hidden \(24,\), got \(30,\)$"):
        cut(model, wide)
    none = replace(all_open(), hidden=torch.zeros(D))
    with pytest.raises(InputError, match=r"^expected at least one open hidden dimension, got none$"):
        cut(model, none)
    small = cut(model, random_openings(0))
    with pytest.raises(
        InputError, match=r"^expected a classifier that is not cut yet, got one cut to \{'heads"
    ):
        cut(small, all_open())
    with pytest.raises(InputError, match=r"^expected a classifier that is not cut yet, got one cut to"):
        Gates.of(small)


@pytest.mark.parametrize("kind", ONE_A_FAMILY)
def test_dropping_tokens_of_a_cut_model_changes_no_other_sequence(kind):
    small = cut(tiny(kind), CASES["neither in layer 0"])
    ids, real = batch((6, 8))

    def drop(layer, states, rows):
        kept = torch.ones(len(states), dtype=torch.bool)
        kept[2] = layer == 0  # a word of the first sequence
        return kept, None

    with torch.no_grad():
        found = run_packed(small, ids, torch.zeros_like(ids), real, drop)
        alone = small(input_ids=ids[1:, :8]).logits
    assert torch.allclose(found.logits[1], alone[0], atol=1e-5)
