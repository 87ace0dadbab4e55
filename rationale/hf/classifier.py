"""Loading and saving classifiers with Hugging Face: model, tokenizer, labels, and how texts are read."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from eraser import Fault, InputError
from eraser.errors import short_repr
from eraser.files.owned import writes
from eraser.types import Floats
from rationale.heads import MULTI_LABEL, REGRESSION, Head, read_head
from rationale.hf.adapters import adapter_folder, load_adapter, tokenizer_place
from rationale.hf.card import read_settings, write_card
from rationale.hf.device import pick_device, precision_of, round_matrices, use_bf16, where_it_runs
from rationale.hf.folder_checks import (
    TRAINING_RECORD,
    check_answer,
    check_folder,
    fetched,
    first_line,
    must_exist,
    new_head,
    read_config,
)
from rationale.hf.identity import fingerprint
from rationale.hf.positions import longest, read_at_once
from rationale.hf.rationale_head import FILE, RationaleHead, load_head
from rationale.hf.tokenizer_files import (
    check_fetched,
    check_first_token,
    check_room,
    check_tokenizer,
    check_tokenizer_files,
    check_usable,
    why_unread,
)
from rationale.inference.predict import read_model
from rationale.models import adapler, dact, inforcoef  # noqa: F401 (known to Auto classes from here)
from rationale.models.capabilities import as_saved, as_used, has_dial
from rationale.models.capabilities import without_removal as without_removal_of
from rationale.models.packed.alone import length_matters, settled
from rationale.models.packed.entry import takes_types
from rationale.pass_cache import PassCache
from rationale.settings import SHIPPED as SHIPPED
from rationale.settings import LongTexts, Precision
from rationale.text.encode import Batch, Encoder
from rationale.text.reading import note, settle, settle_padding, stop_caching
from rationale.text.windows import Window
from rationale.text_classifier import TextClassifier

LAYER = re.compile(r"\blayers?\.\d+\.")  # in the name of a layer's weight
AskedT = TypeVar("AskedT", bound=TextClassifier)


@dataclass(frozen=True)
class Classifier:
    """A model, the encoder that feeds it, its labels in the order of its answers, device and precision.

    `passes`, if given, caches what methods share; `head` is how logits become answers; `rationale_head`
    predicts which pieces annotators would mark, where that was taught. `record` is what the model's folder
    says of its training.
    """

    model: PreTrainedModel
    encoder: Encoder
    labels: tuple[str, ...]
    device: torch.device
    bf16: bool = False
    passes: PassCache | None = None
    head: Head = "softmax"
    rationale_head: RationaleHead | None = None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    opaque: ClassVar[bool] = False

    def read(self, windows: Sequence[Window]) -> Floats:
        """Return logits [window, C] of windows that differ, in batches of equal work."""
        return read_model(self, windows)

    def identity(self) -> str:
        """Return a hash of what the model computes and how it is read: head and labels, unless its own."""
        own: dict[Any, str] = dict(self.model.config.id2label or {})
        labels = "" if list(self.labels) == [own[i] for i in sorted(own)] else repr(self.labels)
        answers = ("" if self.head == "softmax" else self.head) + labels
        return fingerprint(
            self.model, answers + ("" if self.rationale_head is None else self.rationale_head.identity())
        )

    def where(self) -> str:
        """Return device, threads and precision, as every timing needs them."""
        return where_it_runs(self.device, precision_of(self.model, self.bf16))

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
    """Round matrices to bf16 once if the classifier runs in bf16, instead of at each call.

    The numbers are the same. Only for models that are not trained further.
    """
    if classifier.bf16:
        round_matrices(classifier.model)
    return classifier


def without_removal(classifier: AskedT) -> AskedT:
    """Return the classifier with nothing removed and every layer run; itself if it never does less."""
    model = without_removal_of(classifier.model)
    if model is classifier.model:
        return classifier
    return replace(classifier, model=model, passes=None)  # another model's answers


def quiet() -> None:
    """Silence Hugging Face's progress bars and load reports; what matters in them is checked below."""
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").setLevel(logging.ERROR)


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer, whose offsets align pieces with words.

    Raises:
        InputError: there is none, it cannot be read, or it is not fast.
    """
    quiet()
    path = tokenizer_place(path)
    if Path(path).is_dir():
        check_tokenizer_files(Path(path))
    else:
        check_fetched(str(path))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, use_fast=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many kinds for one cause
        raise InputError(why_unread(path, error)) from None
    check_usable(tokenizer, path)
    return tokenizer


def load_model(path: str | Path, **config: Any) -> tuple[PreTrainedModel, set[str]]:
    """Load a sequence classifier from safetensors; also return the names of newly initialised weights.

    Raises:
        InputError: it would run code or read outside its folder, or weights and configuration do not match.
    """
    quiet()
    if (adapter := adapter_folder(path)) is not None:
        return load_adapter(adapter, load_model, **config)
    if Path(path).is_dir():
        check_folder(Path(path), config)
    try:
        described, asked = read_config(path, config)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path,
            config=described,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
        )
    except Exception as error:
        message = f"cannot load a model with safetensors: {first_line(error)}"
        nowhere = "" if Path(path).is_dir() else "no such folder, and from the hub: "
        raise InputError(Fault.of(nowhere + message, path)) from None
    new = new_head(path, config, info["mismatched_keys"])
    if unused := sorted(name for name in info["unexpected_keys"] if LAYER.search(name)):
        raise InputError(Fault.of(f"config.json has no place for the stored weights {unused[0]}", path))
    if asked not in (None, now := model.config._attn_implementation):
        note(f"{path}: attention runs as {now}; {asked}, which it asks for, is not here or not for float32")
    settle(model)
    return model, {*info["missing_keys"], *new}


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
        path: folder or hub id, of a model or of an adapter of one.
        labels: names of the logits in order, for models that only call them LABEL_0, LABEL_1, …; two names
            for one logit let it be read as two classes.
        device: `auto`, `cpu`, `cuda`, …
        precision: of the forward and backward passes; `auto` is bf16 where that is faster.
        max_length: pieces read at once; default what the model was trained with, what it can, or 512.
        long_texts: `window` reads all of a long text, `truncate` its first window.

    Raises:
        InputError: the folder is missing or refused, has no head, or parts do not fit each other.
    """
    must_exist(path)
    model, invented = load_model(path)
    model = as_used(model)
    if invented:
        missing = ", ".join(sorted(invented)[:3])
        remedy = "`rationale train dense --backbone PATH` fine-tunes a pretrained encoder"
        raise InputError(Fault.of(f"not a fine-tuned classifier: no weights for {missing}; {remedy}", path))
    folder = Path(path) if Path(path).is_dir() else fetched(path, TRAINING_RECORD, FILE)
    record = {} if folder is None else read_settings(folder)
    how = {"labels": labels, "device": device, "precision": precision, "long_texts": long_texts}
    found = classifier_of(model, load_tokenizer(path), path, max_length=max_length, record=record, **how)  # type: ignore[arg-type]
    return found if folder is None else replace(found, rationale_head=load_head(folder, model))


def classifier_of(  # noqa: PLR0913 (as load_classifier)
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    max_length: int | None = None,
    long_texts: LongTexts = "window",
    record: Mapping[str, Any] = {},
) -> Classifier:
    """Return a model and a tokenizer in memory as a classifier, checked as in `load_classifier`.

    The model is moved to the device and frozen; of one that is trained on give a `frozen_view`. `path` is its
    name in messages, `record` what is known of its training; other arguments are those of `load_classifier`.

    Raises:
        InputError: model, tokenizer and labels do not fit each other.
    """
    for name, value, choices in (("precision", precision, Precision), ("long_texts", long_texts, LongTexts)):
        if value not in get_args(choices):
            raise InputError(Fault(f"a {name} of {', '.join(get_args(choices))}", short_repr(value)))
    if type(max_length) not in (int, type(None)):
        raise InputError(Fault("max_length as a whole number", short_repr(max_length), path))
    settle(model)
    check_tokenizer(tokenizer, model, path)
    if has_dial(model):
        model.check_thresholds(path)
    head, names, n_logits = read_head(model.config, labels, path)
    wanted = record.get("max_length") if max_length is None else max_length
    where = pick_device(device)
    model.to(where).eval()  # type: ignore[arg-type]
    model.requires_grad_(False)
    stop_caching(model, check_answer(model, tokenizer, n_logits, path))
    settle_padding(model, tokenizer, path)
    if has_dial(model):
        check_first_token(tokenizer, model, path)
    length = read_at_once(wanted, longest(model, tokenizer))
    if max_length is not None and length < max_length:
        note(f"{path}: reads at most {length} pieces at once, not {max_length}")
    check_room(length, tokenizer, path if max_length is None else None)
    encoder = Encoder(tokenizer, length, long_texts)
    classifier = Classifier(
        model, encoder, names, where, use_bf16(precision, where), head=head, record=record
    )
    if length_matters(settled(classifier)):
        note(f"{path}: texts of one length are read at a time, for padding changes the answers")
    return classifier


def new_classifier(
    path: str | Path, labels: Sequence[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a pretrained model to train; its head is new unless it has one with that number of labels.

    It will predict one class, whatever it predicted before.
    """
    must_exist(path)
    tokenizer = load_tokenizer(path)
    names = dict(enumerate(labels))
    model, _ = load_model(
        path, num_labels=len(labels), id2label=names, label2id={v: k for k, v in names.items()}
    )
    if model.config.problem_type in (MULTI_LABEL, REGRESSION):
        model.config.problem_type = None
    check_tokenizer(tokenizer, model, path)
    settle_padding(model, tokenizer, path)
    return model, tokenizer


def save_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights, configuration, tokenizer and card; each file appears whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    quiet()
    model = as_saved(model)
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        names = sorted(file.name for file in partial.iterdir())
        writes(folder, *names, out_of=partial)
        for name in names:
            os.replace(partial / name, folder / name)
        write_card(folder)
    except (OSError, SafetensorError) as error:
        raise InputError(Fault.of(f"cannot write the model: {error}", folder)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
