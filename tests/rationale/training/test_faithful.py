"""Masked fine-tuning: half of a batch loses words, each text at a share of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eraser import InputError
from rationale.hf.card import read_settings
from rationale.text.encode import Encoder
from rationale.training import dense
from rationale.training.dense import train_dense
from rationale.training.faithful import erased, half_erased
from rationale.training.loop import training_windows
from rationale.training.settings import TrainSettings
from tests.conftest import tiny_model
from tests.helpers.models.trainings import few_of, same, weights

SETTINGS = TrainSettings(epochs=1, batch_size=4, max_length=64, precision="float32", device="cpu")


@pytest.fixture
def encoder(tokenizer):
    return Encoder(tokenizer, 64)


@pytest.fixture
def rows(encoder, sample):
    return training_windows(encoder, sample, sample.splits["train"])


def masked_share(window, encoder):
    of_words = window.word != -1
    return (window.ids[of_words] == encoder.mask_id).mean()


def test_half_of_a_batch_is_erased_and_half_is_as_it_was(rows, encoder):
    found = half_erased(rows[:9], encoder, "mask", np.random.default_rng(0))
    same_rows = [one is other for one, other in zip(found, rows, strict=False)]
    assert sum(same_rows) == 5
    assert [r.label for r in found] == [r.label for r in rows[:9]]
    assert [r.id for r in found] == [r.id for r in rows[:9]]


def test_shares_are_uniform_from_none_to_all(rows, encoder):
    """Of 600 draws the quartiles of the masked share are those of a uniform one."""
    rng = np.random.default_rng(1)
    long = max(rows, key=lambda r: len(r.window)).window
    shares = [masked_share(erased(long, encoder, "mask", rng), encoder) for _ in range(600)]
    assert np.quantile(shares, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


@pytest.mark.parametrize("how", ["mask", "delete"])
def test_words_go_whole_and_special_tokens_stay(rows, encoder, how):
    rng = np.random.default_rng(2)
    for row in rows[:20]:
        window, found = row.window, erased(row.window, encoder, how, rng)
        outside = window.ids[window.word == -1].tolist()
        if how == "delete":
            assert set(found.word.tolist()) <= set(window.word.tolist())
            kept = np.isin(window.word, found.word)
            assert found.ids.tolist() == window.ids[kept].tolist()
        else:
            gone = {int(w) for w, id in zip(window.word, found.ids, strict=True) if id == encoder.mask_id}
            at = np.isin(window.word, list(gone))
            assert (found.ids[at] == encoder.mask_id).all()
            assert (found.ids[~at] == window.ids[~at]).all()
        assert found.ids[found.word == -1].tolist() == outside


def test_a_window_of_words_alone_is_not_deleted_to_nothing(encoder):
    from rationale.text.windows import Window

    one = Window(*(np.array([n]) for n in (5, 0, 0, 1)))
    rng = np.random.default_rng(0)
    assert {len(erased(one, encoder, "delete", rng)) for _ in range(50)} == {1}


def test_a_model_is_trained_on_erased_texts_the_same_after_a_kill(tokenizer, sample, tmp_path, monkeypatch):
    few, settings = few_of(sample), replace(SETTINGS, faithful=True, checkpoint_seconds=0.0, epochs=2)
    start = lambda: (tiny_model("bert", tokenizer, few.labels), tokenizer)  # noqa: E731
    record = train_dense(start, few, tmp_path / "whole", settings)
    assert record["training"]["faithful"] is True
    assert "faithful_by" not in read_settings(tmp_path / "whole")["training"]
    step, calls = dense._Run._step, []

    def dies_at_third(run, rows):
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(run, rows)

    with monkeypatch.context() as patch:
        patch.setattr(dense._Run, "_step", dies_at_third)
        with pytest.raises(KeyboardInterrupt):
            train_dense(start, few, tmp_path / "cut", settings)
    train_dense(start, few, tmp_path / "cut", settings)
    assert same(tmp_path / "cut", weights(tmp_path / "whole"))
    train_dense(start, few, tmp_path / "plain", replace(settings, faithful=False))
    assert not same(tmp_path / "plain", weights(tmp_path / "whole"))


def test_masking_needs_a_mask_token_and_deleting_none(tokenizer, sample, tmp_path):
    few = few_of(sample)
    bare = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]")
    start = lambda: (tiny_model("bert", tokenizer, few.labels), bare)  # noqa: E731
    message = "B: --faithful masks words, and the tokenizer has no mask token: use --faithful-by delete"
    with pytest.raises(InputError, match=f"^{message}$"):
        train_dense(start, few, tmp_path / "m", replace(SETTINGS, faithful=True), "B")
    assert not (tmp_path / "m").exists()
    train_dense(start, few, tmp_path / "m", replace(SETTINGS, faithful=True, faithful_by="delete"))


def test_what_no_plain_training_has_is_not_in_its_record():
    assert "faithful" not in SETTINGS.as_record()
    assert replace(SETTINGS, faithful=True, faithful_by="delete").as_record()["faithful_by"] == "delete"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faithful": True, "faithful_by": "burn"}, "expected --faithful-by of delete, mask, got 'burn'"),
        (
            {"faithful_by": "delete"},
            "expected --faithful-by together with --faithful, got delete without it",
        ),
        (
            {"faithful": True, "batch_size": 1},
            "expected --batch-size of at least 2 with --faithful, got 1",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        replace(SETTINGS, **change).check()
