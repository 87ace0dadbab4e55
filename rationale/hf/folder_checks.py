"""Checks of a model folder before the library opens it (no code, no giant sizes), and of the model after.

A configuration is untrusted input: it may name code to run, files outside, or sizes that no weights beside
it have, for which memory would be asked all the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from threading import get_ident
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils.hub import cached_file, cached_files

from eraser import Fault, InputError
from eraser.errors import first_line as first_line
from eraser.errors import short_repr
from eraser.files.bounds import regular
from eraser.files.owned import EDITABLE, content_of
from rationale.text.reading import note

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"  # in the place of the other one
TRAINING_RECORD = "rationale.json"  # beside the weights: how the model was trained and reads
RESAVE = "where you trust it, load it with transformers and save it again: model.save_pretrained(FOLDER)"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
LAYERS = re.compile(r"layers?$|^n_layer")  # what lists are made of before there is a model
SIZES = re.compile(r"^n_|^num_|^d_|_size$|_dim$|_embeddings$|^dim$|groups?$|experts?$")
MOST = 2**31  # of any one size; a row more of an embedding than this is in no model
LONGEST_LIST = 2**14  # of layers: `max_window_layers`, `feature_layer` and kin count none of this model's
SPARE = 2**22  # weights that may be new beside the stored ones: a head, a few buffers
PARTS, SPARE_PARTS = 8, 2000  # modules and weights there may be for one that is stored, and beside them
BYTES = 2**26  # of a JSON file: far above any configuration's or index's
Shapes = dict[str, tuple[int, ...]]
Differing = tuple[str, tuple[int, ...], tuple[int, ...]]  # a weight, its shapes as stored and as described


def check_folder(path: Path, changes: Mapping[str, Any]) -> None:
    """Refuse a model folder that would run code, read elsewhere, or need far more memory than it stores.

    Args:
        path: a folder; the library refuses one without a configuration.
        changes: fields that replace the configuration's.

    Raises:
        InputError: with the file and the value at fault.
    """
    file = path / CONFIG
    if not file.is_file():
        return
    config = read_object(file)
    if name := pickled(path):
        raise InputError(Fault.of(f"no safetensors, only {name}, which may hold code; {RESAVE}", path))
    for part in _parts(config):
        _refuse_code(part, file)
    shapes = stored_shapes(path)
    for part in _parts(config):
        _refuse_sizes(part, shapes, file)
    _refuse_giant(path, changes, shapes)


def content_of_model(path: str | Path) -> str:
    """Return a hash of a model's files, except its card.

    For a hub id it is the commit that is loaded, the same before all its files are here and after; nothing if
    there is none.
    """
    if not str(path):
        return ""
    folder = Path(path)
    return content_of(folder, (EDITABLE,)) if folder.is_dir() else _commit_of(str(path))


def _commit_of(id: str) -> str:
    """Return the commit of a hub repository, of which the configuration is fetched; "" if that fails."""
    with suppress(OSError, ValueError):  # what is wrong is told when it is loaded
        file = cached_file(id, CONFIG) or cached_file(id, ADAPTER)
        return Path(file).parent.name if file else ""
    return ""


def fetched(id: str | Path, *names: str) -> Path | None:
    """Fetch those of the files that a hub repository has; return their folder, None where it has none."""
    kinds = ("missing_entries", "gated_repo", "connection_errors")
    without: dict[str, Any] = {f"_raise_exceptions_for_{kind}": False for kind in kinds}
    try:
        files = cached_files(id, [*names], **without)
    except OSError:  # what is wrong is told when the model is asked for
        return None
    return Path(files[0]).parent if files else None


def check_size(file: Path, most: int) -> None:
    """Refuse a file that is too large for what its name says, before it is read."""
    if (size := file.stat().st_size) > most:
        raise InputError(Fault(f"a file of at most {most} bytes", f"{size}", file))


def read_object(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        InputError: it is too large, or something else.
    """
    check_size(file, BYTES)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(Fault("JSON", str(error), file)) from None
    if not isinstance(record, dict):
        raise InputError(Fault("a JSON object", short_repr(record), file))
    return record


def pickled(path: Path) -> str | None:
    """Return a file of pickled weights, if there are no others."""
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
        raise InputError(
            Fault.of(f"the model needs its own code: auto_map {short_repr(config['auto_map'])}", file)
        )
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        if "/" in str(config.get(key)):
            raise InputError(Fault.of(f"the model fetches code: {key} {short_repr(config[key])}", file))


def stored_shapes(path: Path) -> Shapes:
    """Return the shapes of a folder's weights, from the heads of its safetensors files.

    Raises:
        InputError: a file is broken, or the index names one that does not lie beside it.
    """
    shapes: Shapes = {}
    for file in _weight_files(path):
        shapes |= shapes_in(file)
    return shapes


def shapes_in(file: Path) -> Shapes:
    """Return the shapes of a safetensors file's weights, which are not read."""
    try:
        with regular(file), safe_open(file, "pt") as weights:  # a FIFO would be waited for
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except PermissionError as error:
        raise InputError(Fault.of(f"cannot read: {error.strerror}", file)) from None
    except (SafetensorError, OSError) as error:
        raise InputError(Fault("a safetensors file", str(error), file)) from None


def _weight_files(path: Path) -> list[Path]:
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    index = path / INDEX
    if not index.is_file():
        raise InputError(Fault.of("the model has no safetensors file", path))
    names = read_object(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise InputError(Fault("a weight_map of file names", short_repr(names), index))
    for name in sorted(set(names.values())):
        plain = name == PurePosixPath(name).name == PureWindowsPath(name).name
        if not plain or not name.endswith(".safetensors"):
            raise InputError(Fault("safetensors files beside the index", short_repr(name), index))
    return [path / name for name in sorted(set(names.values()))]


def _refuse_sizes(config: Mapping[str, Any], shapes: Shapes, file: Path) -> None:
    """Refuse sizes of no model, and lists far longer than any weights there can need.

    What is built in a loop is counted while it is built (`_refuse_giant`), whatever its field is called; what
    a field of layers or a list of repetitions makes the library write down before that is bounded here.
    """
    largest = max((n for shape in shapes.values() for n in shape), default=0)
    listed = max(largest, LONGEST_LIST)
    for key, value in config.items():
        if isinstance(value, list) and (n := max(_numbers(value), default=0)) > listed:
            raise InputError(Fault(f"numbers up to {listed} in {key}", str(n), file))
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        least, most, of = _range(key, largest)
        if not least <= value <= most:
            raise InputError(Fault(f"{key} from {least} to {most}, {of}", short_repr(value), file))


def _range(key: str, largest: int) -> tuple[float, float, str]:
    """Return from where to where a field may be, and what that is, where weights have so large a size."""
    if key == "num_labels":
        return 0, largest, "the largest size of its weights"
    if LAYERS.search(key):  # −1 is the last one
        return -LONGEST_LIST, LONGEST_LIST, "far above any model's"
    if SIZES.search(key):  # −1 position: no limit
        return -1 if "position" in key else 0, MOST, "far above any model's"
    return -math.inf, math.inf, ""


def _numbers(values: list[Any]) -> Iterator[int]:
    """Yield the whole numbers of a list and of the lists inside."""
    waiting = [values]
    while waiting:
        for value in waiting.pop():
            if isinstance(value, list):
                waiting.append(value)
            elif isinstance(value, int):
                yield value


class _TooManyParts(Exception):  # noqa: N818 (ends a building, is no error of a program)
    """Raised when a model being built has more parts than its weights can fill."""


@contextmanager
def _at_most(parts: int) -> Iterator[None]:
    """Stop this thread from building more than `parts` modules and weights."""
    thread, built = get_ident(), 0

    def count(*_: Any) -> None:
        nonlocal built
        built += get_ident() == thread
        if built > parts:
            raise _TooManyParts

    hooks = [
        register_module_module_registration_hook(count),
        register_module_parameter_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def read_config(path: str | Path, changes: Mapping[str, Any]) -> tuple[PreTrainedConfig, str | None]:
    """Return a model's configuration with `changes`, and the attention it asks for.

    That is left to the library's choice, but for `eager`: kernels of other packages may not be here, and are
    not for float32.
    """
    config = AutoConfig.from_pretrained(path, trust_remote_code=False, **changes)
    asked = config._attn_implementation
    if asked != "eager":
        config._attn_implementation = None
    return config, asked


def new_head(path: str | Path, config: Mapping[str, Any], differ: Collection[Differing]) -> set[str]:
    """Return the weights of a head that is made anew, as it is to give another number of logits, and note it.

    Raises:
        InputError: other weights differ from the configuration.
    """
    if not differ:
        return set()
    has, wanted = read_config(path, {})[0].num_labels, config.get("num_labels")
    for name, stored, described in sorted(differ):
        if (stored[:1], described[:1], stored[1:]) != ((has,), (wanted,), described[1:]):
            expected = f"{name} of shape {list(described)}, as config.json says"
            raise InputError(Fault(expected, str(list(stored)), path))
    note(f"{path}: its head has {has} outputs; it is made anew, untrained, with {wanted}")
    return {name for name, _, _ in differ}


def _refuse_giant(path: Path, changes: Mapping[str, Any], shapes: Shapes) -> None:
    """Refuse a configuration of far more weights than are stored: the others would be random."""
    most = PARTS * len(shapes) + SPARE_PARTS
    try:
        config, _ = read_config(path, changes)
        with torch.device("meta"), _at_most(most):  # shapes without memory
            model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                config, trust_remote_code=False
            )
    except _TooManyParts:
        parts = f"parts, but {len(shapes)} matrices and vectors are stored"
        raise InputError(
            Fault.of(f"the configuration describes more than {most} {parts}", path / CONFIG)
        ) from None
    except Exception:  # what is wrong is told when it is loaded
        return
    described = sum(p.numel() for p in (*model.parameters(), *model.buffers()))
    stored = sum(map(math.prod, shapes.values()))
    if described > 2 * stored + SPARE:
        message = f"the configuration describes {described} weights, but {stored} are stored"
        raise InputError(Fault.of(message, path / CONFIG))


@torch.no_grad()
def check_answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, n: int, path: str | Path) -> Any:
    """Return a model's output for a one-word text; refuse one that fails on it or lacks `n` logits.

    A configuration may be well-formed and still make each forward pass fail.
    """
    try:
        pieces = tokenizer("a", return_tensors="pt").to(model.device)
        answer = model(input_ids=pieces.input_ids, attention_mask=pieces.attention_mask)
        shape = tuple(answer.logits.shape)
    except Exception as error:  # whatever the layers say to it
        raise InputError(Fault.of(f"the model fails on a one-word text: {first_line(error)}", path)) from None
    if shape != (1, n):
        raise InputError(Fault(f"a model with {n} logits, as it has labels", f"shape {list(shape)}", path))
    return answer


def must_exist(path: str | Path) -> None:
    """Refuse a path that is neither a folder nor could be a hub id (`name` or `owner/name`)."""
    text = str(path)
    in_folder = "/" in text and Path(text).parent.is_dir()
    looks_local = text.startswith((".", "/", "~")) or text.count("/") > 1 or in_folder
    if looks_local and not Path(text).is_dir():
        raise InputError(Fault.of("no such model folder", path))
