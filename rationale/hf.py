"""The one door to Hugging Face: a fine-tuned classifier, its tokenizer, and how it reads."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from eraser import Fault, InputError
from eraser.errors import shown
from rationale.model_folder import check_answer, check_folder, first_line
from rationale.models import dact, inforcoef  # noqa: F401 (known to Auto classes from here)
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adaptive import AdaptiveForSequenceClassification
from rationale.models.alone import settled
from rationale.models.entry import takes_types
from rationale.models.pruning import PrunedForSequenceClassification
from rationale.passes import Passes
from rationale.text import MIN_ROOM, Batch, Encoder, LongTexts

Precision = Literal["float32", "bf16", "auto"]
SETTINGS = "rationale.json"  # beside the weights: how the model was trained and reads
SHIPPED = Path(__file__).parent / "movies_model"  # AdapLeR trained on ERASER movies; see its README.md
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
LAYER = re.compile(r"\blayers?\.\d+\.")  # in the name of a layer's weight
UNSET_LENGTH = 10**6  # tokenizers without a limit carry a huge model_max_length


@dataclass(frozen=True)
class Classifier:
    """A model, the encoder that feeds it, its labels in the order of its logits, and its precision.

    `passes`, where given, keeps what methods share.
    """

    model: PreTrainedModel
    encoder: Encoder
    labels: tuple[str, ...]
    device: torch.device
    bf16: bool = False
    passes: Passes | None = None

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which the model runs."""
        if self.bf16:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def inputs(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the model's keyword arguments for a batch, without the ids."""
        arguments = {"attention_mask": batch.real.long()}
        if takes_types(self.model, self.encoder.tokenizer):
            arguments["token_type_ids"] = batch.types
        return arguments


def cast_once(classifier: Classifier) -> Classifier:
    """Round matrices to bf16 for good where the classifier runs in bf16, instead of at each call.

    The same numbers come out. Only for models that are not trained further.
    """
    if classifier.bf16:
        round_matrices(classifier.model)
    return classifier


def round_matrices(model: nn.Module) -> None:
    """Round the matrices of a model's linear layers to bf16."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.to(torch.bfloat16)


def drops_tokens(classifier: Classifier) -> bool:
    """Return whether the model drops tokens."""
    return isinstance(classifier.model, AdaptiveForSequenceClassification) and classifier.model.drops_tokens


def spares(classifier: Classifier) -> bool:
    """Return whether the model works less than the dense one it was made from: adaptive, or cut."""
    adaptive = isinstance(classifier.model, AdaptiveForSequenceClassification)
    return adaptive or getattr(classifier.model.config, "cut", None) is not None


def without_removal(classifier: Classifier) -> Classifier:
    """Return the classifier with nothing removed and every layer run, or itself where it never does less."""
    if isinstance(classifier.model, AdaptiveForSequenceClassification):
        model = classifier.model.unshortened()
        return replace(classifier, model=model, passes=None)  # another model's answers
    return classifier


def describe(classifier: Classifier) -> str:
    """Return device, threads and precision, as every timing needs them."""
    kind = classifier.device.type
    where = torch.cuda.get_device_name() if kind == "cuda" else f"{kind}, {torch.get_num_threads()} threads"
    return f"{where}, {'bf16' if classifier.bf16 else 'float32'}"


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(Fault("a device torch can use", f"{name!r} ({error})")) from None
    return device


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Return whether to run in bf16; `auto` where the hardware has it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def quiet() -> None:
    """Silence Hugging Face's progress bars and load reports: what matters in them is checked below."""
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").setLevel(logging.ERROR)


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer; its `word_ids` are what aligns pieces with words."""
    folder = Path(path)
    if folder.is_dir() and not any((folder / name).is_file() for name in TOKENIZER_FILES):
        # the library would make an empty one up, to which every word is unknown
        raise InputError(Fault(f"a tokenizer ({', '.join(TOKENIZER_FILES)})", "none", path))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, use_fast=True, add_prefix_space=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many kinds for one cause
        raise InputError(Fault("a tokenizer", first_line(error), path)) from None
    if not tokenizer.is_fast:
        raise InputError(Fault("a fast tokenizer (tokenizer.json)", type(tokenizer).__name__, path))
    if tokenizer.pad_token_id is None:
        raise InputError(Fault("a tokenizer with a padding token", "none", path))
    return tokenizer


def load_model(path: str | Path, **config: Any) -> tuple[PreTrainedModel, set[str]]:
    """Load a sequence classifier from safetensors; also return the names of weights it had to invent.

    Raises:
        InputError: it would run code or read outside its folder, or its weights are not its configuration's.
    """
    quiet()
    if Path(path).is_dir():
        check_folder(Path(path), config)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **config,
        )
    except Exception as error:
        raise InputError(
            Fault("a model folder or hub id with safetensors", first_line(error), path)
        ) from None
    for name, stored, described in sorted(info["mismatched_keys"]):
        expected = f"{name} of shape {list(described)}, as config.json says"
        raise InputError(Fault(expected, str(list(stored)), path))
    if unused := sorted(name for name in info["unexpected_keys"] if LAYER.search(name)):
        raise InputError(Fault("a configuration with all stored layers", f"one without {unused[0]}", path))
    return model, set(info["missing_keys"])


def load_classifier(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    max_length: int | None = None,
    long_texts: LongTexts = "window",
) -> Classifier:
    """Load a fine-tuned classifier and check that it, its tokenizer and its labels belong together.

    Args:
        path: folder or hub id.
        labels: names of the logits in order, for models that only call them LABEL_0, LABEL_1, …
        device: `auto`, `cpu`, `cuda`, …
        precision: of the forward and backward passes; `auto` is bf16 where the hardware has it.
        max_length: pieces read at once; default what the model was trained with, else what it can.
        long_texts: `window` reads all of a long text, `truncate` its first window.
    """
    _must_exist(path)
    model, invented = load_model(path)
    if isinstance(model, PrunedForSequenceClassification):
        model = model.model
    if invented:
        got = f"no weights for {', '.join(sorted(invented)[:3])}"
        raise InputError(Fault("a fine-tuned classifier", got, path))
    tokenizer = load_tokenizer(path)
    check_tokenizer(tokenizer, model, path)
    if isinstance(model, AdaptiveForSequenceClassification):
        check_first_token(tokenizer, path)
    if isinstance(model, AdaplerForSequenceClassification):
        model.check_thresholds(path)
    names = _labels(model, labels, path)
    wanted = read_settings(path).get("max_length") if max_length is None else max_length
    length = min(2**31 if wanted is None else wanted, longest(model, tokenizer))
    if max_length is None:  # else Encoder judges what was asked for
        check_room(length, tokenizer, path)
    where = pick_device(device)
    model.to(where).eval()  # type: ignore[arg-type]
    model.requires_grad_(False)
    check_answer(model, tokenizer, len(names), path)
    encoder = Encoder(tokenizer, length, long_texts)
    return settled(Classifier(model, encoder, names, where, use_bf16(precision, where)))


def _must_exist(path: str | Path) -> None:
    """Refuse a path that is neither a folder nor could be a hub id (`name` or `owner/name`)."""
    text = str(path)
    in_folder = "/" in text and Path(text).parent.is_dir()
    looks_local = text.startswith((".", "/", "~")) or text.count("/") > 1 or in_folder
    if looks_local and not Path(text).is_dir():
        raise InputError(Fault("a model folder or hub id", "nothing there", path))


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, path: str | Path) -> None:
    """Refuse a tokenizer that knows ids the model has no embedding for."""
    rows = int(model.get_input_embeddings().weight.shape[0])  # type: ignore[index]
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise InputError(Fault(f"a tokenizer with ids below {rows}", f"id {largest}", path))


def check_room(length: int, tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Refuse to read so few pieces at once that nearly every word would be cut apart."""
    least = tokenizer.num_special_tokens_to_add(pair=False) + MIN_ROOM
    if length < least:
        raise InputError(Fault(f"a max_length of at least {least}", str(length), path))


def check_first_token(tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Refuse a tokenizer that does not begin with [CLS]: the first token alone is never dropped."""
    first = tokenizer("a").input_ids[0]
    if tokenizer.cls_token_id is None or first != tokenizer.cls_token_id:
        got = repr(tokenizer.convert_ids_to_tokens(first))
        raise InputError(Fault("a tokenizer whose first token is [CLS]", got, path))


def longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the most pieces the model can read at once, special tokens included."""
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    embeddings = getattr(model.base_model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    if padding is not None:
        positions -= int(padding) + 1  # RoBERTa and kin: positions start after the padding index
    limit = tokenizer.model_max_length
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise InputError(Fault("a tokenizer whose model_max_length is a number", shown(limit)))
    return min(positions, int(limit)) if limit < UNSET_LENGTH else positions


def _labels(model: PreTrainedModel, given: Sequence[str] | None, path: str | Path) -> tuple[str, ...]:
    names = model.config.id2label or {}
    own = tuple(str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0])))
    if len(set(found := own if given is None else tuple(given))) < len(found):
        raise InputError(Fault("labels that differ", shown(list(found), 100), path))
    if len(found) != len(own):
        raise InputError(Fault(f"{len(own)} labels, as the model has", f"{len(found)}: {list(found)}", path))
    return found


def check_labels(classifier: Classifier, wanted: Sequence[str], where: str | Path) -> None:
    """Refuse a model whose labels are not the data set's."""
    if set(wanted) <= set(classifier.labels):
        return
    expected = f"a model with the labels {sorted(wanted)} (or --labels in the order of its logits)"
    raise InputError(Fault(expected, f"{len(classifier.labels)} labels {list(classifier.labels)}", where))


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return what `rationale.json` beside the weights says; nothing where there is none."""
    file = Path(path) / SETTINGS
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(Fault("JSON", str(error), file)) from None
    if not isinstance(settings, dict) or not isinstance(settings.get("max_length", 1), int):
        raise InputError(Fault("a JSON object with a whole max_length", shown(settings), file))
    return settings


def new_classifier(
    path: str | Path, labels: Sequence[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a pretrained encoder to train; its head is new unless it has one for as many labels."""
    _must_exist(path)
    tokenizer = load_tokenizer(path)
    names = dict(enumerate(labels))
    model, _ = load_model(
        path, num_labels=len(labels), id2label=names, label2id={v: k for k, v in names.items()}
    )
    check_tokenizer(tokenizer, model, path)
    return model, tokenizer


def save_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights, configuration and tokenizer; each file appears whole or not at all."""
    quiet()
    if getattr(model.config, "cut", None) is not None:
        model = PrunedForSequenceClassification.from_dense(model)
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        for file in partial.iterdir():
            os.replace(file, folder / file.name)
    except (OSError, SafetensorError) as error:
        raise InputError(Fault("room on the disk for the model", str(error), folder)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
