"""What makes a tokenizer, and what is said where the library cannot make one of it."""

from __future__ import annotations

import base64
import json
import re

import pytest
from transformers import AutoTokenizer, EsmTokenizer

from eraser import InputError
from rationale.hf import classifier as hf
from rationale.hf import tokenizer_files
from rationale.hf.classifier import load_classifier, load_tokenizer
from tests.helpers.families.tiny import save_family, tiny_tokenizer

SAVE = "save it there: tokenizer.save_pretrained(FOLDER)"
FILES = (
    "tokenizer.json, vocab.txt, vocab.json, spm.model, spiece.model, sentencepiece.bpe.model, "
    "sentencepiece.model, tokenizer.model, tiktoken.model"
)
PIECES = {  # the file that each family's tokenizer stands in, and its class
    "deberta-v2": ("spm.model", "DebertaV2Tokenizer"),
    "albert": ("spiece.model", "AlbertTokenizer"),
    "t5": ("spiece.model", "T5Tokenizer"),
    "xlnet": ("spiece.model", "XLNetTokenizer"),
    "llama": ("tokenizer.model", "LlamaTokenizer"),
}


def refused(folder, message):
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}\Z"):
        load_tokenizer(folder)


@pytest.fixture
def without(monkeypatch):
    """Let the library fail as it does without packages, and them not be there."""

    def fails(*_, **__):
        raise ValueError(
            "`tiktoken` is required to read a `tiktoken` file. Install it with `pip install tiktoken`."
        )

    def hide(*names):
        monkeypatch.setattr(AutoTokenizer, "from_pretrained", fails)
        monkeypatch.setattr(tokenizer_files, "installed", lambda package: package not in names)

    return hide


@pytest.fixture(params=PIECES)
def of_pieces(request, tmp_path):
    """A folder whose tokenizer is a file of pieces alone, and that file."""
    folder = save_family(tmp_path / request.param, request.param)
    name, of_class = PIECES[request.param]
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": of_class}))
    return folder, folder / name


@pytest.mark.parametrize(("missing", "packages", "lacks"), [
    (("sentencepiece",), "sentencepiece", "no sentencepiece"),
    (("sentencepiece", "protobuf"), "sentencepiece protobuf", "no sentencepiece and no protobuf"),
])  # fmt: skip
def test_what_reads_a_file_of_pieces_is_named_where_it_is_missing(
    of_pieces, without, missing, packages, lacks
):
    folder, file = of_pieces
    file.write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    without(*missing)
    expected = f"tokenizer.json, or packages to make one of {file.name} (pip install {packages})"
    refused(folder, f"{folder}: expected {expected}, got {lacks}")


@pytest.mark.skipif(tokenizer_files.installed("sentencepiece"), reason="sentencepiece is there")
def test_the_library_needs_sentencepiece_and_says_something_else(of_pieces):
    folder, file = of_pieces
    file.write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(ValueError, match="pip install tiktoken"):
        AutoTokenizer.from_pretrained(folder)
    with pytest.raises(InputError, match=r"\(pip install sentencepiece\), got no sentencepiece\Z"):
        load_tokenizer(folder)


def test_on_the_hub_the_files_are_not_known_but_the_remedy_is(without, monkeypatch):
    without("sentencepiece")
    monkeypatch.setattr(hf, "tokenizer_place", lambda path: path)  # it is not looked for there
    expected = "tokenizer.json, or packages to make one of a model of pieces (pip install sentencepiece)"
    refused("somebody/model", f"somebody/model: expected {expected}, got no sentencepiece")


def test_a_file_of_tiktoken_needs_tiktoken(tmp_path, without):
    folder = save_family(tmp_path / "m", "llama")
    (folder / "tokenizer.json").unlink()
    lines = [f"{base64.b64encode(bytes([i])).decode()} {i}\n" for i in range(256)]
    (folder / "tokenizer.model").write_text("".join(lines))
    without("tiktoken")
    expected = "tokenizer.json, or packages to make one of tokenizer.model (pip install tiktoken)"
    refused(folder, f"{folder}: expected {expected}, got no tiktoken")


def test_a_damaged_file_of_pieces_is_named(of_pieces, monkeypatch):
    folder, file = of_pieces
    file.write_bytes(b"\xff" * 100)
    monkeypatch.setattr(tokenizer_files, "installed", lambda package: True)
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(file))}: expected a tokenizer that sentencepiece can"
    ):
        load_tokenizer(folder)


def test_pieces_are_sentencepieces_own_where_it_is_there(of_pieces, sample, tmp_path):
    library = pytest.importorskip("sentencepiece", reason="needs sentencepiece to read its files")
    folder, file = of_pieces
    family = folder.name
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(sample.text(e).words) for e in sample.splits["train"][:40]))
    own = {"deberta-v2": ["[PAD]", "[CLS]", "[SEP]"], "albert": ["<pad>", "[CLS]", "[SEP]", "[MASK]"],
           "t5": ["<pad>"], "llama": [],
           "xlnet": ["<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]}  # fmt: skip
    library.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "pieces"), vocab_size=500, minloglevel=3,
        model_type="bpe" if family == "llama" else "unigram", byte_fallback=family == "llama",
        control_symbols=own[family],
    )  # fmt: skip
    file.write_bytes((tmp_path / "pieces.model").read_bytes())
    pieces = library.SentencePieceProcessor(model_file=str(file))
    tokenizer = load_tokenizer(folder)
    line = "the film is too long , but never dull ."
    ids = tokenizer(line, add_special_tokens=False).input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == pieces.encode(line, out_type=str)


def test_vocabulary_and_merges_are_a_tokenizer(tmp_path):
    folder = save_family(tmp_path / "m", "gpt2")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    vocabulary = ["<|endoftext|>", "a", "b", "Ġ", "Ġa", "Ġb", "ab", "Ġab"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\nĠ a\nĠ b\na b\nĠa b\n")
    assert load_tokenizer(folder)(" ab ab b").input_ids == [7, 7, 5]
    load_classifier(folder, device="cpu")
    (folder / "merges.txt").unlink()
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(folder))}: the tokenizer cannot be read: ValueError"
    ):
        load_tokenizer(folder)


def test_a_vocabulary_of_word_pieces_is_a_tokenizer(tmp_path):
    folder = save_family(tmp_path / "m", "bert")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "##s"])
    )
    assert load_tokenizer(folder)("films film").input_ids == [2, 5, 6, 5, 3]


def test_a_folder_without_a_tokenizer_is_refused(model_folder):
    (model_folder / "tokenizer.json").unlink()
    refused(model_folder, f"{model_folder}: no tokenizer ({FILES}); {SAVE}")


def test_a_tokenizer_of_python_alone_is_refused_and_told_what_works(tmp_path):
    folder = save_family(tmp_path / "m", "bert")
    for file in folder.glob("token*"):
        file.unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", "<mask>", *"LAGV"]))
    EsmTokenizer(tmp_path / "vocab.txt").save_pretrained(folder)
    expected = "a fast tokenizer, which can say where its pieces stand (one with tokenizer.json can)"
    refused(folder, f"{folder}: expected {expected}, got EsmTokenizer, which is Python alone")


def test_a_tokenizer_made_up_of_special_tokens_is_refused(tmp_path):
    """The library makes one where a class finds none of its own files."""
    folder = save_family(tmp_path / "m", "bert")
    for file in folder.glob("token*"):
        file.unlink()
    (folder / "sentencepiece.model").write_bytes(b"of another class")
    refused(folder, f"{folder}: the tokenizer's vocabulary is 5 special tokens and nothing else")


@pytest.mark.parametrize("name", ["tokenizer.json", "spm.model", "merges.txt", "tokenizer_config.json"])
def test_a_file_far_too_large_is_refused_before_it_is_read(model_folder, name):
    with (model_folder / name).open("ab") as file:
        file.truncate(2**28 + 1)  # which takes no room on the disk
    refused(model_folder, f"{model_folder / name}: expected a file of at most 268435456 bytes, got 268435457")


def test_a_name_that_is_no_file_is_no_tokenizer(model_folder):
    (model_folder / "tokenizer.json").unlink()
    (model_folder / "tokenizer.json").mkdir()
    refused(model_folder, f"{model_folder}: no tokenizer ({FILES}); {SAVE}")


@pytest.mark.parametrize("limit", ["", False, [512], None])
def test_a_limit_that_is_no_number_is_refused(tmp_path, limit):
    folder = save_family(tmp_path / "m", "bert", tiny_tokenizer("pad"))
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": limit}))
    if limit is None:  # no limit
        assert load_classifier(folder, device="cpu").encoder.max_length == 64
    else:
        refused(folder, f"{folder}: expected a tokenizer whose model_max_length is a number, got {limit!r}")
