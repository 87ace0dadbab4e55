"""A training run's state in one safetensors file, so that a killed run resumes as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from eraser import Fault, InputError
from eraser.files.lock import locked
from eraser.files.owned import MANIFEST
from eraser.files.whole import write_whole
from eraser.progress import say
from rationale.hf.card import read_settings


def alone(out: Path, is_made: Callable[[], bool], train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Train into a claimed folder while no other process does: two would take each other's checkpoints.

    Args:
        out: the claimed folder.
        is_made: whether it holds the model wanted; asked again, as another may have made it meanwhile.
        train: trains, and returns the settings that it stored.
    """
    waits = f"{out}: another process trains into this folder; waiting until it ends"
    with locked(out / f"{MANIFEST}.training", lambda _: say(waits)):
        return made_before(out) if is_made() else train()


def made_before(out: Path) -> dict[str, Any]:
    """Say that the model is there, and return its settings."""
    say(f"already done: {out}")
    return read_settings(out)


def save_state(
    path: Path, model: nn.Module, optimizers: Mapping[str, Optimizer], progress: Mapping[str, Any]
) -> None:
    """Write weights, optimiser moments, random state and progress; the file appears whole or not at all."""
    tensors = {f"model/{k}": v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                tensors[f"optim/{name}/{index}/{key}"] = torch.as_tensor(value).detach().cpu().clone()
    tensors["rng/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    metadata = {"progress": json.dumps(progress)}
    try:
        write_whole(path, lambda partial: save_file(tensors, partial, metadata=metadata))
    except SafetensorError as error:  # the library's own name for an I/O error
        raise InputError(Fault.of(f"the checkpoint cannot be written: {error}", path)) from None


def load_state(
    path: Path, model: nn.Module, optimizers: Mapping[str, Optimizer], run: Mapping[str, Any]
) -> dict[str, Any]:
    """Put a saved state back into model and optimisers; return its progress.

    Raises:
        InputError: the file is broken, or of another run than `run` identifies.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress: dict[str, Any] = json.loads(file.metadata()["progress"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            Fault.of(f"the checkpoint cannot be read ({error}); delete it to start over", path)
        ) from None
    if progress.pop("run", None) != run:
        message = "the checkpoint is of another data set, backbone or settings; delete it to start over"
        raise InputError(Fault.of(message, path))
    model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
    for name, optimizer in optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optim/{name}/"):
                _, _, index, field = key.split("/")
                moments.setdefault(int(index), {})[field] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    torch.set_rng_state(tensors["rng/cpu"])
    if "rng/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng/cuda"])
    return progress
