from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from eraser import InputError, Text
from rationale.hf.classifier import SHIPPED, cast_once, load_classifier
from rationale.hf.compress import compress
from rationale.hf.rationale_head import RationaleHead, save_head
from rationale.inference.capabilities import drops_tokens
from rationale.inference.predict import window_probs
from rationale.models.adaptive import unwrap
from rationale.models.packed.encoder import Output
from rationale.models.packed.layers import width_of
from tests.conftest import dropping, tiny_model


@pytest.fixture
def folder(tmp_path, tokenizer):
    folder = tmp_path / "whole"
    dropping(tiny_model("bert", tokenizer, ("NEG", "POS"))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "notes.txt").write_text("kept")
    return folder


def test_matrices_take_eight_bits_thresholds_all_of_theirs(folder, tmp_path):
    size = compress(folder, tmp_path / "small")
    before, after = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "small"))
    assert before.keys() == after.keys()
    for name, weight in before.items():
        if name in ("eta", "theta", "first"):
            assert torch.equal(after[name], weight)
        elif weight.dim() == 2:
            assert after[name].dtype == torch.float8_e4m3fn
            error = (after[name].float() - weight).abs()
            assert (error <= torch.maximum(weight.abs() / 16, torch.tensor(2.0**-10))).all()
        else:
            assert torch.equal(after[name], weight.half())
    assert size == sum(f.stat().st_size for f in (tmp_path / "small").iterdir())
    assert (tmp_path / "small" / "notes.txt").read_text() == "kept"
    loaded = load_classifier(tmp_path / "small")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    assert drops_tokens(loaded)


def test_a_rationale_head_stays_as_it_is(folder, tmp_path):
    head = RationaleHead(width_of(unwrap(load_classifier(folder).model)))
    torch.nn.init.normal_(head.weight)
    save_head(head, folder)
    compress(folder, tmp_path / "small")
    assert load_classifier(tmp_path / "small").rationale_head.identity() == head.identity()


def test_a_weight_too_large_for_eight_bits_keeps_sixteen(folder, tmp_path):
    model = load_classifier(folder).model
    model.model.classifier.weight.data[0, 0] = 500.0
    model.save_pretrained(folder)
    compress(folder, tmp_path / "small")
    found = load_file(tmp_path / "small" / "model.safetensors")["model.classifier.weight"]
    assert found.dtype == torch.float16
    assert found[0, 0] == 500.0


def test_a_folder_is_not_compressed_onto_itself(folder):
    expected = "the output folder is or contains the input .*whole; choose another --out$"
    for overwrite in (False, True):
        with pytest.raises(InputError, match=expected):
            compress(folder, folder, overwrite)


def test_a_model_is_compressed_once(folder, tmp_path):
    small = tmp_path / "small"
    compress(folder, small)
    with pytest.raises(InputError) as error:
        compress(small, tmp_path / "again")
    expected = "the model is compressed already: its matrices are stored in eight bits"
    assert str(error.value) == f"{small}: {expected}"
    assert not (tmp_path / "again").exists()


def test_another_model_is_not_replaced_unless_it_is_ours_and_that_is_asked_for(folder, tmp_path, tokenizer):
    theirs = tmp_path / "theirs"
    tiny_model("electra", tokenizer, ("NEG", "POS")).save_pretrained(theirs)
    before = (theirs / "model.safetensors").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="the folder holds other files"):
            compress(folder, theirs, overwrite)
    assert (theirs / "model.safetensors").read_bytes() == before
    compress(folder, tmp_path / "small")
    tokenizer.save_pretrained(theirs)
    with pytest.raises(InputError, match="holds results with other content_of_model"):
        compress(theirs, tmp_path / "small")
    compress(theirs, tmp_path / "small", overwrite=True)
    assert "electra" in (tmp_path / "small/config.json").read_text()


def test_casting_once_gives_the_numbers_of_casting_each_time(classifier, tokenizer, sample):
    texts = [sample.text(e) for e in sample.splits["test"][:6]]
    model = tiny_model("bert", tokenizer, ("NEG", "POS")).requires_grad_(False)
    running = replace(classifier, model=model, bf16=True)
    windows = [w for text in running.encoder.encode(texts) for w in text]
    before = window_probs(running, windows)
    assert (window_probs(cast_once(running), windows) == before).all()
    assert model.classifier.weight.dtype == torch.bfloat16


def test_shipped_model_is_small_drops_tokens_and_reads_any_text():
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) <= 25_000_000
    shipped = load_classifier(SHIPPED)
    assert shipped.labels == ("NEG", "POS")
    words = ("Naïve", "żółć", "電影", "unputdownable", "☃", "great")
    (windows,) = shipped.encoder.encode([Text("t", words, {"t": 0}, (0,))])
    assert set(windows[0].word.tolist()) == {-1, *range(6)}
    batch = shipped.encoder.collate(windows)
    output = shipped.model(input_ids=batch.ids, **shipped.inputs(batch))
    assert isinstance(output, Output)
    assert output.trace[-1].kept.sum() < batch.real.sum()
