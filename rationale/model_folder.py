"""What a model folder must be before the library opens it (no code, no giant sizes), and the model after it.

A configuration is a stranger's text: it may name code to run, files outside, or sizes that no weights beside
it have, for which memory would be asked all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from eraser import Fault, InputError
from eraser.errors import shown

CONFIG, WEIGHTS, INDEX, ADAPTER = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "adapter_config.json",
)  # fmt: skip
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
COUNTS = re.compile(r"layers?$|^n_layer|groups?$|group_num$|experts$")  # what the library loops over
SIZES = re.compile(r"^n_|^num_|^d_|_size$|_dim$|_embeddings$|^dim$")
MOST = 2**31  # of any one size; a row more of an embedding than this is in no model
SPARE = 2**22  # weights that may be new beside the stored ones: a head, a few buffers
Shapes = dict[str, tuple[int, ...]]


def check_folder(path: Path, changes: Mapping[str, Any]) -> None:
    """Refuse a model folder that would run code, read elsewhere, or take far more memory than it stores.

    Args:
        path: a folder; one without a configuration is left to the library to refuse.
        changes: fields that take the place of the configuration's.

    Raises:
        InputError: with what stands in the file that is to blame.
    """
    file = path / CONFIG
    if not file.is_file():
        return
    config = _read_object(file)
    if (path / ADAPTER).exists():
        raise InputError(Fault("a whole model", "an adapter of another one", path / ADAPTER))
    if pickled := _pickled(path):
        got = f"only {pickled}, which may hold code"
        raise InputError(Fault("a model folder or hub id with safetensors", got, path))
    for part in _parts(config):
        _refuse_code(part, file)
    shapes = stored_shapes(path)
    for part in _parts(config):
        _refuse_sizes(part, shapes, file)
    _refuse_giant(path, changes, shapes)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("JSON", str(error), file)) from None
    if not isinstance(record, dict):
        raise InputError(Fault("a JSON object", shown(record), file))
    return record


def _pickled(path: Path) -> str | None:
    """Return a file of pickled weights, where there are no others."""
    if any(path.glob("*.safetensors")):
        return None
    return next((file.name for pattern in PICKLED for file in sorted(path.glob(pattern))), None)


def _parts(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a configuration, and those of the models inside it."""
    waiting = [config]
    while waiting:
        yield (part := waiting.pop())
        waiting += [value for value in part.values() if isinstance(value, dict)]


def _refuse_code(config: Mapping[str, Any], file: Path) -> None:
    """Refuse a class that only code beside the weights defines, and attention fetched from elsewhere."""
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING:
        got = f"auto_map {shown(config['auto_map'])}"
        raise InputError(Fault("a model that brings no code of its own", got, file))
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        if "/" in str(config.get(key)):
            got = f"{key} {shown(config[key])}"
            raise InputError(Fault("a model that fetches no code", got, file))


def stored_shapes(path: Path) -> Shapes:
    """Return the shapes of a folder's weights, from the heads of its safetensors files.

    Raises:
        InputError: a file is broken, or the index names one that does not lie beside it.
    """
    shapes: Shapes = {}
    for file in _weight_files(path):
        try:
            with safe_open(file, "pt") as weights:
                shapes |= {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(Fault("a safetensors file", str(error), file)) from None
    return shapes


def _weight_files(path: Path) -> list[Path]:
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    index = path / INDEX
    if not index.is_file():
        raise InputError(Fault("a model folder or hub id with safetensors", "none", path))
    names = _read_object(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise InputError(Fault("a weight_map of file names", shown(names), index))
    for name in sorted(set(names.values())):
        plain = name == PurePosixPath(name).name == PureWindowsPath(name).name
        if not plain or not name.endswith(".safetensors"):
            raise InputError(Fault("safetensors files beside the index", shown(name), index))
    return [path / name for name in sorted(set(names.values()))]


def _refuse_sizes(config: Mapping[str, Any], shapes: Shapes, file: Path) -> None:
    """Refuse what the library would loop over for longer than any weights there can need."""
    largest = max((n for shape in shapes.values() for n in shape), default=0)
    for key, value in config.items():
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        if key == "num_labels":
            most, of = largest, "the largest size of its weights"
        elif COUNTS.search(key):
            most, of = len(shapes), "the number of its weights"
        elif SIZES.search(key):
            most, of = MOST, "far above any model's"
        else:
            continue
        if not 0 <= value <= most:
            raise InputError(Fault(f"{key} from 0 to {most}, {of}", shown(value), file))


def _refuse_giant(path: Path, changes: Mapping[str, Any], shapes: Shapes) -> None:
    """Refuse a configuration of far more weights than are stored: what is not stored would be made up."""
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, **changes)
        with torch.device("meta"):  # shapes without memory
            model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                config, trust_remote_code=False
            )
    except Exception:  # what is wrong is told when it is loaded
        return
    described = sum(p.numel() for p in (*model.parameters(), *model.buffers()))
    stored = sum(map(prod, shapes.values()))
    if described > 2 * stored + SPARE:
        expected = f"a configuration of about the {stored} weights that are stored"
        raise InputError(Fault(expected, f"one of {described}", path / CONFIG))


@torch.no_grad()
def check_answer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, n: int, path: str | Path
) -> None:
    """Refuse a model that cannot read a word, or does not answer with `n` logits.

    A configuration may be well-formed, and end each forward pass all the same.
    """
    try:
        pieces = tokenizer("a", return_tensors="pt").to(model.device)
        shape = tuple(model(input_ids=pieces.input_ids, attention_mask=pieces.attention_mask).logits.shape)
    except Exception as error:  # whatever the layers say to it
        raise InputError(Fault("a model that can read a word", first_line(error), path)) from None
    if shape != (1, n):
        raise InputError(Fault(f"a model with {n} logits, as it has labels", f"shape {list(shape)}", path))


def first_line(error: Exception) -> str:
    """Return a library's error in one line: its kind, its first line, and the second after a colon."""
    lines = [line.strip() for line in str(error).splitlines()] or [""]
    more = lines[1:2] if lines[0].endswith(":") else []
    return f"{type(error).__name__}: {' '.join([lines[0], *more])}"
