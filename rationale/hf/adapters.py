"""PEFT adapters: a folder with a few low-rank matrices and a head, merged into the model they were made for.

An adapter's configuration is untrusted input: only its numbers, switches and plain names reach the
library. Which matrices are adapted is told by the names of those stored, not by patterns to search for.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.hf.folder_checks import (
    ADAPTER,
    Shapes,
    check_folder,
    fetched,
    first_line,
    pickled,
    read_config,
    read_object,
    shapes_in,
)
from rationale.hf.tokenizer_files import BESIDE, FILES, has_tokenizer, installed

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."  # of every stored name
LORA = re.compile(r"(.+)\.lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)(?:\.weight|\.bias)?")
HUB_ID = re.compile(r"(?:\w[\w.-]{0,95}/)?\w[\w.-]{0,95}")
PLAIN = re.compile(r"\^?[\w.]{1,200}")  # a module's name, no pattern that may take for ever to search for
HARMLESS = {  # settings that change neither the model nor what is stored
    "init_lora_weights": (None, True, False, "gaussian", "eva", "orthogonal"),
    "revision": (None, "main"),
    "bias": (None, "none"),
}
WITHOUT_EFFECT = (  # on what is stored
    "peft_type", "task_type", "auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version",
    "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    "modules_to_save", "eva_config", "runtime_config",
)  # fmt: skip
MERGE = "merged where it was made by model.merge_and_unload().save_pretrained(FOLDER)"
Load = Callable[..., tuple[PreTrainedModel, set[str]]]


def adapter_folder(path: str | Path) -> Path | None:
    """Return the folder of an adapter, fetched if `path` is a hub id; None if it is no adapter."""
    if Path(path).is_dir():
        return Path(path) if (Path(path) / ADAPTER).is_file() else None
    if fetched(path, ADAPTER) is None:
        return None
    return fetched(path, ADAPTER, WEIGHTS, *FILES, *BESIDE)


def tokenizer_place(path: str | Path) -> str | Path:
    """Return where a model's tokenizer is: an adapter may use its base model's."""
    folder = adapter_folder(path)
    if folder is None:
        return path
    return folder if has_tokenizer(folder) else base_of(folder)


def base_of(folder: Path) -> str:
    """Return the folder or hub id of the model that an adapter was made for."""
    base, file = read_object(folder / ADAPTER).get("base_model_name_or_path"), folder / ADAPTER
    if not isinstance(base, str) or not (_is_folder(base) or HUB_ID.fullmatch(base)):
        expected = "base_model_name_or_path of a folder that is there, or a hub id"
        raise InputError(Fault(expected, short_repr(base), file))
    if adapter_folder(base) is not None:
        raise InputError(Fault.of(f"its base model {short_repr(base)} is an adapter itself", file))
    return base


def _is_folder(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_dir()
    except (OSError, ValueError):  # too long, or no name at all
        return False


def load_adapter(folder: Path, load: Load, **changes: Any) -> tuple[PreTrainedModel, set[str]]:
    """Load an adapter's base model and merge them; also return the names of weights that neither has.

    Raises:
        InputError: peft is missing, the adapter is not LoRA or changes more than matrices and head, or
            either of the two folders is refused.
    """
    _peft(folder)
    if any(folder.glob("model*.safetensors*")):
        raise InputError(Fault.of("the folder holds both an adapter and a whole model; keep one", folder))
    if not (folder / WEIGHTS).is_file():
        only = f": only {name}, which may hold code" if (name := pickled(folder)) else ""
        raise InputError(Fault.of(f"the adapter has no {WEIGHTS}{only}", folder))
    shapes = shapes_in(folder / WEIGHTS)
    targets, parts = _stored(shapes, folder / WEIGHTS)
    settings = _settings(read_object(folder / ADAPTER), _rank(shapes), folder / ADAPTER)
    base = base_of(folder)
    n_labels = _labels(base, parts, shapes, folder / WEIGHTS)
    model, missing = load(base, **{"num_labels": n_labels} | changes)
    try:
        merged = _merged(model, {**settings, "target_modules": targets, "modules_to_save": parts}, folder)
    except Exception as error:  # whatever peft says to it
        raise InputError(Fault(f"an adapter of {base}", first_line(error), folder)) from None
    return merged, {name for name in missing if name.split(".")[0] not in parts}


def _peft(folder: Path) -> Any:
    """Return the library that reads adapters."""
    try:
        return import_module("peft")
    except Exception as error:  # not there, or of another time than transformers
        got = "no peft" if not installed("peft") else first_line(error)
        expected = f"peft to read an adapter (pip install peft), or the adapter {MERGE}"
        raise InputError(Fault(expected, got, folder)) from None


def _stored(shapes: Shapes, file: Path) -> tuple[list[str], list[str]]:
    """Return the names of the adapted modules, and of the stored parts of the classifier."""
    targets: set[str] = set()
    parts: set[str] = set()
    for name in shapes:
        if not name.startswith(PREFIX):
            raise InputError(Fault(f"weights called {PREFIX}…", short_repr(name), file))
        own = name.removeprefix(PREFIX)
        found = LORA.fullmatch(own)
        targets |= {found[1]} if found else set()
        parts |= set() if found else {own.split(".")[0]}
    if not targets:
        raise InputError(Fault.of("no matrices called lora_A and lora_B", file))
    return sorted(targets), sorted(parts)


def _rank(shapes: Shapes) -> int:
    """Return the largest rank of what is stored, which bounds what a configuration may ask for."""
    pairs = [shape for name, shape in shapes.items() if ".lora_" in name and len(shape) == 2]  # noqa: PLR2004
    return max(map(min, pairs), default=0)


def _settings(record: Mapping[str, Any], rank: int, file: Path) -> dict[str, Any]:
    """Return the fields of an adapter's configuration that decide what its matrices do."""

    def is_rank(value: Any) -> bool:
        return type(value) is int and 0 < value <= rank

    switches = ("fan_in_fan_out", "use_rslora", "use_dora", "lora_bias")
    rules: dict[str, Callable[[Any], bool]] = {
        "r": is_rank,
        "lora_alpha": _is_number,
        "rank_pattern": lambda value: _by_name(value, is_rank),
        "alpha_pattern": lambda value: _by_name(value, _is_number),
        **dict.fromkeys(switches, lambda value: isinstance(value, bool)),
    }
    expected = f"an adapter of kind LORA with numbers that fit its matrices, or one {MERGE}"
    if record.get("peft_type") != "LORA":
        raise InputError(Fault(expected, f"peft_type {short_repr(record.get('peft_type'))}", file))
    usual = vars(_peft(file.parent).LoraConfig())
    for key, value in record.items():
        known = key in WITHOUT_EFFECT or value in HARMLESS.get(key, (usual.get(key),))
        fits = rules[key](value) if key in rules else known or not value
        if not fits:
            raise InputError(Fault(expected, f"{short_repr(key)[1:-1]} {short_repr(value)}", file))
    return {key: record[key] for key in rules if key in record}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _by_name(value: Any, fits: Callable[[Any], bool]) -> bool:
    """Return whether a value maps plain module names to numbers."""
    return isinstance(value, dict) and all(PLAIN.fullmatch(k) and fits(v) for k, v in value.items())


def _labels(base: str, parts: Collection[str], shapes: Shapes, file: Path) -> int:
    """Return the number of labels of the stored head, or of the model itself if no head is stored.

    Raises:
        InputError: what is stored beside the matrices is more than a classifier's own head.
    """
    if Path(base).is_dir():
        check_folder(Path(base), {})
    try:
        config, _ = read_config(base, {})
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise InputError(Fault("a model that an adapter was made for", first_line(error), base)) from None
    head = {name for name, _ in model.named_children()} - {model.base_model_prefix}
    if beyond := sorted(set(parts) - head):
        expected = f"weights of the classifier's head ({', '.join(sorted(head))}), or an adapter {MERGE}"
        raise InputError(Fault(expected, f"some of {', '.join(beyond)}", file))
    described = {PREFIX + name: tuple(p.shape) for name, p in model.named_parameters()}
    counts = {shape[0] for name, shape in shapes.items() if shape != described.get(name, shape)}
    return counts.pop() if len(counts) == 1 else int(config.num_labels or 0)


def _merged(model: PreTrainedModel, settings: Mapping[str, Any], folder: Path) -> PreTrainedModel:
    peft = _peft(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters in them is checked
        wrapped = peft.get_peft_model(model, peft.LoraConfig(**settings, inference_mode=True))
        found = peft.set_peft_model_state_dict(wrapped, load_file(folder / WEIGHTS))
        own = [n for n in found.missing_keys if ".lora_" in n or ".modules_to_save." in n]
        if left := [*found.unexpected_keys, *own]:
            raise ValueError(f"no counterpart of {left[0]}")
        merged: PreTrainedModel = wrapped.merge_and_unload()
    return merged
