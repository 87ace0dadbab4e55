"""A file reads the pieces that the model reads, or is not written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eraser import InputError, Text
from rationale.export.pieces import check_pieces
from rationale.text.encode import Encoder
from tests.helpers.families.classifiers import FAMILIES, family_classifier
from tests.helpers.families.tiny import WORDS

OUT = Path("model.onnx")


def texts():
    return [
        Text.of(str(n), " ".join(WORDS[:n]), "whitespace", query) for n, query in ((5, None), (40, "long"))
    ]


ONE_OF_EACH_FRAME = {family.frame: name for name, family in FAMILIES.items()}.values()


@pytest.mark.parametrize("family", ["bert", *ONE_OF_EACH_FRAME])
def test_tokenizers_cut_alike_in_a_file(family):
    check_pieces(family_classifier(family), texts(), OUT)


def test_texts_that_are_cut_off_are_compared_as_far_as_they_are_read(classifier):
    encoder = Encoder(classifier.encoder.tokenizer, 16, "truncate")
    check_pieces(replace(classifier, encoder=encoder), texts(), OUT)


def test_a_setting_that_stays_behind_is_refused(classifier):
    tokenizer = classifier.encoder.tokenizer
    tokenizer.split_special_tokens = True
    try:
        with pytest.raises(InputError) as refused:
            check_pieces(classifier, [], OUT)
    finally:
        tokenizer.split_special_tokens = False
    assert str(refused.value) == (
        "the tokenizer has settings beside tokenizer.json, such as split_special_tokens, without which "
        "the file would read other pieces in 'a [UNK] [SEP] [PAD] [CLS] [MASK] b'"
    )


def test_what_is_exported_is_checked_before_it_takes_time(rationale, model_folder, tmp_path):
    settings = model_folder / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"split_special_tokens": True}))
    code, out, errors = rationale(
        "export", "--model", model_folder, "--dataset", "sample", "--out", tmp_path / "model.onnx"
    )
    assert (code, out) == (2, "")
    assert errors.startswith("error: the tokenizer has settings beside tokenizer.json, such as split_special")
    assert not (tmp_path / "model.onnx").exists()
