from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForSequenceClassification

from eraser import InputError
from rationale.models.packed import attention as packed
from rationale.models.packed.attention import packed_layout
from rationale.models.packed.encoder import check_encoder
from rationale.models.packed.layers import depth_of
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.models.batches import LENGTHS, batch, kept_words


@pytest.fixture(scope="module", params=FAMILIES)
def adapler(request, tokenizer):
    return dropping(tiny_model(request.param, tokenizer, ("NEG", "POS")))


def test_batched_equals_alone_and_left_padded_equals_right_padded(adapler):
    ids, real = batch(LENGTHS)
    left_ids, left_real = batch(LENGTHS, "left")
    right, left = adapler(ids, real), adapler(left_ids, left_real)
    assert torch.allclose(right.logits, left.logits, atol=1e-5)
    for row, n in enumerate(LENGTHS):
        alone = adapler(ids[row : row + 1, :n])
        assert torch.allclose(alone.logits[0], right.logits[row], atol=1e-5)
        expected = kept_words(alone, 0, torch.ones(1, n, dtype=torch.bool))
        assert kept_words(right, row, real) == expected
        assert kept_words(left, row, left_real) == expected


def test_attention_padded_for_short_sequences_is_that_of_each_alone(adapler, monkeypatch):
    ids, real = batch(LENGTHS)
    found = []
    for longest in (0, 10**6):
        monkeypatch.setattr(packed, "SHORT", longest)
        found.append(adapler(ids, real))
    assert torch.allclose(found[0].logits, found[1].logits, atol=1e-5)
    assert all((a.kept == b.kept).all() for a, b in zip(found[0].trace, found[1].trace, strict=True))


def test_some_tokens_go_and_some_stay(adapler):
    ids, real = batch(LENGTHS)
    counts = [int(layer.kept.sum()) for layer in adapler(ids, real).trace]
    assert len(LENGTHS) < counts[-1] < int(real.sum())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0.05, 1.0), st.integers(0, 99))
def test_first_token_stays_and_kept_sets_shrink(adapler, lengths, eta, seed):
    adapler.eta.data.fill_(eta)
    ids, real = batch(lengths, seed=seed)
    output = adapler(ids, real)
    adapler.eta.data.fill_(0.6)
    before = real
    for layer in output.trace:
        assert layer.kept[:, 0].all()
        assert not (layer.kept & ~before).any()
        assert torch.allclose(layer.contribution.sum(1), torch.ones(len(lengths)), atol=1e-5)
        before = layer.kept


def test_soft_equals_hard_in_the_limit(adapler):
    ids, real = batch(LENGTHS)
    hard = adapler(ids, real)
    soft = adapler.soft(ids, torch.zeros_like(ids), real, 1e20)
    assert torch.allclose(soft.logits, hard.logits, atol=1e-4)
    for step, layer in zip(soft.steps, hard.trace, strict=True):
        alive = step.mask > 0.5
        alive[:, 0] = True
        assert (alive == layer.kept).all()


def test_dial_at_zero_is_the_dense_model(adapler):
    ids, real = batch(LENGTHS)
    adapler.config.dial = 0.0
    output = adapler(ids, real)
    adapler.config.dial = 1.0
    assert all((layer.kept == real).all() for layer in output.trace)
    dense = adapler.model(input_ids=ids, attention_mask=real.long()).logits
    assert torch.allclose(output.logits, dense, atol=1e-5)


def test_higher_dial_keeps_no_more(adapler):
    ids, real = batch(LENGTHS)
    counts = []
    for dial in (0.0, 0.5, 1.0, 2.0, 1e6):
        adapler.config.dial = dial
        counts.append(int(adapler(ids, real).trace[0].kept.sum()))
    adapler.config.dial = 1.0
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == len(LENGTHS)


def test_saved_and_loaded_by_auto_classes(adapler, tmp_path):
    adapler.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert AutoConfig.from_pretrained(tmp_path).model_type == "adapler"
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids, real = batch(LENGTHS)
    assert torch.equal(loaded(ids, real).logits, adapler(ids, real).logits)


def test_the_model_is_left_with_its_own_attention(adapler):
    adapler(*batch((5,)))
    assert adapler.model.config._attn_implementation == "sdpa"


def test_a_model_without_layers_is_refused():
    from transformers import BartConfig, BartForSequenceClassification

    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 20}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    model = BartForSequenceClassification(BartConfig(**sizes, **heads, encoder_ffn_dim=8, decoder_ffn_dim=8))
    expected = r"^expected a classifier whose layers can be run .* got Bart\w+: an encoder and a decoder$"
    with pytest.raises(InputError, match=expected):
        check_encoder(model)


# rows


def rows_of(lengths):
    return packed_layout(tuple(lengths), torch.device("cpu"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**16))
def test_what_rows_say_of_each_sequence_is_said_of_it_alone(lengths, seed):
    random = torch.Generator().manual_seed(seed)
    parts = [3 * torch.randn(n, generator=random) for n in lengths]
    rows = rows_of(lengths)
    assert torch.allclose(rows.softmax(torch.cat(parts)), torch.cat([p.softmax(0) for p in parts]), atol=1e-6)
    own = torch.arange(1.0, len(lengths) + 1)  # [B]
    expected = [(i + 1) / n for i, n in enumerate(lengths) for _ in range(n)]
    assert (rows.of_each(rows.shared(own)) * torch.ones(sum(lengths))).tolist() == pytest.approx(expected)
    assert rows.first.tolist() == [sum(lengths[:i]) for i in range(len(lengths))]


def test_rows_left_after_dropping_by_hand():
    left = rows_of((3, 1, 4)).keep(torch.tensor([0, 2, 3, 4, 7]))
    assert (left.lengths, left.reach) == ((2, 1, 2), 4)
    assert left.sequence_index.tolist() == [0, 0, 1, 2, 2]
    assert left.position.tolist() == [0, 2, 0, 0, 3]
    assert left.first.tolist() == [0, 2, 3]
    one = rows_of((5,)).keep(torch.tensor([0, 3]))
    assert (one.lengths, one.first.tolist(), one.position.tolist()) == ((2,), [0], [0, 3])


# how much is asked of torch: on one short text that costs more time than the arithmetic


class Operations(TorchDispatchMode):
    """Counts what is asked of torch inside."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(model, **given):
    with torch.inference_mode(), Operations() as counted:
        model(**given)
    return counted.count


def test_one_text_costs_few_operations_more_than_without_removal(adapler):
    ids, real = batch([9])
    given = {"input_ids": ids, "attention_mask": real.long()}
    dense = adapler.model
    adapler(**given)  # anatomy is told by passes of its own
    more = operations(adapler, **given) - operations(dense, **given)
    assert more <= 34 * depth_of(dense) + 20  # 60 and more a layer where every index is looked up
