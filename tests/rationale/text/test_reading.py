"""A text is read the same alone and in a batch, whatever a folder says of padding, caches and outputs."""

from __future__ import annotations

import json
import re

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from eraser import InputError, Text
from rationale.hf.classifier import load_classifier, new_classifier, save_classifier
from rationale.inference.predict import window_logits
from rationale.text.reading import note
from tests.helpers.families.tiny import BOS, EOS, FAMILIES, PAD, TOKENS, save_family, tiny_tokenizer

TEXTS = ["a fine film", "too long but never dull . a slow film but never too long .", "slow"]
LONG = " ".join(["a fine film but too long ."] * 6)
DECODERS = ["gpt2", "opt", "llama", "qwen2", "mistral", "bloom"]
BY_LENGTH = "note: {}: texts of one length are read at a time, for padding changes the answers\n"


@pytest.fixture(autouse=True)
def _notes_anew():
    note.cache_clear()


def change(folder, name="config.json", **changes):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits(classifier, texts):
    """What is read of texts together, a window each."""
    written = [Text(str(i), tuple(text.split()), {str(i): 0}, (0,)) for i, text in enumerate(texts)]
    windows = [window for (window,) in classifier.encoder.encode(written)]
    return torch.from_numpy(window_logits(classifier, windows)).float()


@torch.no_grad()
def plain_logits(folder, tokenizer, texts):
    """What the library's own class says to each text, in a process of its own as it were."""
    answers = []
    for text in texts:
        model = AutoModelForSequenceClassification.from_pretrained(folder, return_dict=True).eval()
        ids = torch.tensor([tokenizer(text).input_ids])
        answers.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits)
    return torch.cat(answers)


def assert_alone_as_in_a_batch(folder, texts=TEXTS):
    classifier = load_classifier(folder, device="cpu")
    plain = plain_logits(folder, classifier.encoder.tokenizer, texts)
    torch.testing.assert_close(logits(classifier, texts), plain, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(classifier, texts[::-1]), plain.flip(0), rtol=1e-5, atol=1e-5)
    return classifier


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_alone_as_in_a_batch_and_as_the_library_does(family, tmp_path):
    classifier = assert_alone_as_in_a_batch(save_family(tmp_path / family, family), [*TEXTS, LONG])
    assert (classifier.encoder.pad_id, classifier.model.config.pad_token_id) == (PAD, PAD)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("said", [None, -1])
def test_a_padding_token_that_only_the_tokenizer_has_is_the_models_in_memory(family, said, tmp_path):
    folder = save_family(tmp_path / family, family)
    change(folder, pad_token_id=said)
    before = (folder / "config.json").read_bytes()
    classifier = assert_alone_as_in_a_batch(folder)
    assert classifier.model.config.pad_token_id == classifier.encoder.pad_id == PAD
    assert (folder / "config.json").read_bytes() == before


@pytest.mark.parametrize("family", [f for f in DECODERS if f != "qwen2"])  # whose tokenizers all have one
def test_without_any_padding_token_the_end_of_text_pads(family, tmp_path):
    folder = save_family(tmp_path / family, family, tiny_tokenizer("bos", "eos", ends="<s> $A"))
    change(folder, pad_token_id=None)
    classifier = assert_alone_as_in_a_batch(folder)
    assert classifier.encoder.pad_id == classifier.model.config.pad_token_id == EOS


def test_a_token_that_ends_every_text_is_not_what_pads(tmp_path):
    """Its head looks for the last token that is not padding."""
    folder = save_family(tmp_path / "m", "llama", tiny_tokenizer("bos", "eos", ends="$A </s>"))
    change(folder, pad_token_id=None)
    assert assert_alone_as_in_a_batch(folder).encoder.pad_id == BOS


def test_a_padding_token_that_only_the_configuration_has_is_the_tokenizers(tmp_path):
    folder = save_family(tmp_path / "m", "llama", tiny_tokenizer("bos", "eos", ends="<s> $A"))
    change(folder, pad_token_id=TOKENS.index("<mask>"))
    assert assert_alone_as_in_a_batch(folder).encoder.pad_id == TOKENS.index("<mask>")


def test_two_padding_tokens_do_no_harm(tmp_path, capsys):
    folder = save_family(tmp_path / "m", "llama")
    change(folder, pad_token_id=TOKENS.index("<mask>"))
    assert_alone_as_in_a_batch(folder)
    assert capsys.readouterr().err == BY_LENGTH.format(folder)


def test_a_tokenizer_without_any_token_to_pad_with_is_refused(tmp_path):
    bare = tiny_tokenizer(ends="$A")
    bare.unk_token = None
    folder = save_family(tmp_path / "m", "llama", bare)
    change(folder, pad_token_id=None)
    message = "the tokenizer has no padding or end-of-text token; set pad_token in tokenizer_config.json"
    with pytest.raises(InputError, match=rf"\A{re.escape(f'{folder}: {message}')}\Z"):
        load_classifier(folder, device="cpu")


def test_a_backbone_to_train_gets_its_padding_token_and_keeps_it(tmp_path):
    folder = save_family(tmp_path / "m", "gpt2", tiny_tokenizer("bos", "eos", ends="<s> $A"))
    change(folder, pad_token_id=None)
    model, tokenizer = new_classifier(folder, ("NEG", "POS"))
    assert model.config.pad_token_id == tokenizer.pad_token_id == EOS
    (tmp_path / "trained").mkdir()
    save_classifier(model, tokenizer, tmp_path / "trained")
    assert json.loads((tmp_path / "trained" / "config.json").read_text())["pad_token_id"] == EOS


@pytest.mark.parametrize("family", [*DECODERS, "bart", "t5"])
def test_states_for_further_tokens_are_not_kept(family, tmp_path):
    classifier = load_classifier(save_family(tmp_path / family, family), device="cpu")
    ids = torch.tensor([classifier.encoder.tokenizer("a fine film").input_ids])
    assert classifier.model(input_ids=ids).get("past_key_values") is None
    assert classifier.model.config.use_cache is False


def test_a_configuration_that_makes_no_cache_stays_as_it_is(tmp_path):
    """It is part of what a stored score depends on."""
    assert load_classifier(save_family(tmp_path / "m", "bert"), device="cpu").model.config.use_cache is True


@pytest.mark.parametrize("family", ["bert", "distilbert", "llama", "t5", "xlnet"])
@pytest.mark.parametrize("said", [{"return_dict": False}, {"torchscript": True}])
def test_a_model_answers_with_fields_whatever_its_configuration_says(family, said, tmp_path):
    folder = save_family(tmp_path / family, family)
    change(folder, **said)
    assert_alone_as_in_a_batch(folder)


def test_a_model_inside_another_answers_with_fields(adaptive, tmp_path):
    save_classifier(adaptive.model, adaptive.encoder.tokenizer, tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    change(tmp_path, return_dict=False, encoder=record["encoder"] | {"return_dict": False})
    found = load_classifier(tmp_path, device="cpu")
    torch.testing.assert_close(logits(found, TEXTS), logits(adaptive, TEXTS))


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("asked", ["flash_attention_2", "flash_attention_3", "flex_attention", "of_tomorrow"])
def test_attention_that_is_not_here_gives_way_to_the_librarys_with_a_note(key, asked, tmp_path, capsys):
    folder = save_family(tmp_path / "m", "llama")
    want = plain_logits(folder, load_classifier(folder).encoder.tokenizer, TEXTS)
    change(folder, **{key: asked})
    for _ in range(2):  # the note comes once
        found = load_classifier(folder, device="cpu")
    assert found.model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(logits(found, TEXTS), want, rtol=1e-5, atol=1e-5)
    told = f"attention runs as sdpa; {asked}, which it asks for, is not here or not for float32"
    assert capsys.readouterr().err == f"note: {folder}: {told}\n"


@pytest.mark.parametrize(("family", "asked", "runs"), [
    ("llama", "eager", "eager"), ("llama", "sdpa", "sdpa"), ("xlnet", "eager", "eager"),
])  # fmt: skip
def test_attention_that_is_here_is_used_without_a_word(family, asked, runs, tmp_path, capsys):
    folder = save_family(tmp_path / family, family)
    change(folder, attn_implementation=asked)
    assert load_classifier(folder, device="cpu").model.config._attn_implementation == runs
    assert "attention runs" not in capsys.readouterr().err


def test_a_giant_is_refused_whatever_attention_it_asks_for(tmp_path):
    folder = save_family(tmp_path / "m", "llama")
    change(folder, attn_implementation="flash_attention_2", intermediate_size=10**8)
    with pytest.raises(InputError, match="the configuration describes "):
        load_classifier(folder, device="cpu")


def test_sparse_attention_is_not_turned_off_for_good_by_a_short_text(tmp_path):
    folder = save_family(tmp_path / "m", "big_bird")
    classifier = load_classifier(folder, device="cpu")  # which reads a word to check
    for texts in ([LONG], [TEXTS[0]], [LONG], [TEXTS[0], LONG], [LONG, TEXTS[2]]):
        plain = plain_logits(folder, classifier.encoder.tokenizer, texts)
        torch.testing.assert_close(logits(classifier, texts), plain, rtol=1e-5, atol=1e-5)
    sparse, full = (plain_logits(folder, classifier.encoder.tokenizer, [t]) for t in (LONG, TEXTS[0]))
    change(folder, attention_type="original_full")
    tokenizer = classifier.encoder.tokenizer
    assert not torch.allclose(plain_logits(folder, tokenizer, [LONG]), sparse, atol=1e-3)
    assert torch.allclose(plain_logits(folder, tokenizer, [TEXTS[0]]), full, atol=1e-5)


@pytest.mark.parametrize("family", ["xlnet", "convbert", "big_bird"])
def test_where_padding_changes_answers_texts_of_one_length_are_read_and_it_is_told(family, tmp_path, capsys):
    folder = save_family(tmp_path / family, family)
    load_classifier(folder, device="cpu")
    assert capsys.readouterr().err == BY_LENGTH.format(folder)


def test_where_padding_changes_nothing_no_word_is_said(tmp_path, capsys):
    load_classifier(save_family(tmp_path / "m", "mistral"), device="cpu")
    assert capsys.readouterr().err == ""
