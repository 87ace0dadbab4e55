"""Tokenizers: which files make one, what to do if it cannot be read, and whether it fits a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.hf.folder_checks import check_size, first_line
from rationale.models.adaptive import unwrap
from rationale.models.packed.layers import anatomy_of
from rationale.text.tokenizer_trial import MOST, check_file
from rationale.text.windows import MIN_ROOM

FAST = "tokenizer.json"
MODELS = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model",
          "tiktoken.model")  # fmt: skip
FILES = (FAST, "vocab.txt", "vocab.json", *MODELS)  # at least one of them
BESIDE = ("merges.txt", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")
TIKTOKEN = re.compile(rb"[A-Za-z0-9+/=]+ \d+\r?\n")  # its first line; sentencepiece's files are no text
READERS = {"sentencepiece": ("sentencepiece", "protobuf"), "tiktoken": ("tiktoken",)}  # packages for each


def _files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    return (folder / name for name in names if (folder / name).is_file())


def has_tokenizer(folder: Path) -> bool:
    """Return whether there is a file that the library can make a tokenizer of."""
    return any(_files(folder, FILES))


def check_tokenizer_files(folder: Path) -> None:
    """Refuse a folder without a tokenizer, and files too large to be parts of one."""
    if not has_tokenizer(folder):  # the library would make an empty one up, to which every word is unknown
        remedy = "save it there: tokenizer.save_pretrained(FOLDER)"
        raise InputError(Fault.of(f"no tokenizer ({', '.join(FILES)}); {remedy}", folder))
    for file in _files(folder, (*FILES, *BESIDE)):
        check_size(file, MOST)
    if (folder / FAST).is_file():
        check_file(folder / FAST)


def check_fetched(id: str) -> None:
    """Refuse an unbounded tokenizer of the hub; what cannot be fetched is reported later."""
    file = None
    with suppress(OSError, ValueError):
        file = cached_file(id, FAST)
    if file is not None:
        check_file(Path(file))


def why_unread(path: str | Path, error: Exception) -> Fault:
    """Return what to do about a tokenizer, in a folder or on the hub, that the library could not read."""
    folder = Path(path)
    file = None if (folder / FAST).is_file() else next(_files(folder, MODELS), None)
    on_hub = not folder.is_dir() and re.search("tiktoken|sentencepiece|protobuf", str(error))
    if file is None and not on_hub:
        return Fault.of(f"the tokenizer cannot be read: {first_line(error)}", path)
    reader = "sentencepiece" if file is None else _reader(file)
    missing = [package for package in READERS[reader] if not installed(package)]
    if not missing:
        return Fault(f"a tokenizer that {reader} can read", first_line(error), file or path)
    expected = f"{FAST}, or packages to make one of {'a model of pieces' if file is None else file.name}"
    return Fault(f"{expected} (pip install {' '.join(missing)})", f"no {' and no '.join(missing)}", path)


def _reader(file: Path) -> str:
    with file.open("rb") as opened:
        return "tiktoken" if TIKTOKEN.match(opened.read(1000)) else "sentencepiece"


def installed(package: str) -> bool:
    """Return whether a package is there, without importing it."""
    try:
        return find_spec({"protobuf": "google.protobuf"}.get(package, package)) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def check_usable(tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Refuse a tokenizer without offsets, without a vocabulary, or without a length limit."""
    if not tokenizer.is_fast:
        expected = f"a fast tokenizer, which can say where its pieces stand (one with {FAST} can)"
        raise InputError(Fault(expected, f"{type(tokenizer).__name__}, which is Python alone", path))
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        message = f"the tokenizer's vocabulary is {len(tokenizer)} special tokens and nothing else"
        raise InputError(Fault.of(message, path))
    limit = tokenizer.model_max_length
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise InputError(Fault("a tokenizer whose model_max_length is a number", short_repr(limit), path))


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, path: str | Path) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for."""
    rows = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise InputError(Fault(f"a tokenizer with ids below {rows}", f"id {largest}", path))


def check_room(length: int, tokenizer: PreTrainedTokenizerBase, path: str | Path | None) -> None:
    """Refuse a window length, the folder's or the user's, so small that words are cut apart."""
    least = tokenizer.num_special_tokens_to_add(pair=False) + MIN_ROOM
    if length < least:
        raise InputError(Fault(f"a max_length of at least {least}", str(length), path))


def check_first_token(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, path: str | Path) -> None:
    """Refuse a tokenizer without a leading special token if the first token is the one never dropped."""
    first = tokenizer("a").input_ids[0]
    if anatomy_of(unwrap(model)).reads != "last" and first not in tokenizer.all_special_ids:
        got = repr(tokenizer.convert_ids_to_tokens(first))
        raise InputError(Fault("a tokenizer whose first token is [CLS] or its like", got, path))
