"""Where a model runs, and in which precision."""

from __future__ import annotations

import torch
from torch import nn

from eraser import Fault, InputError
from rationale.models.packed.known import matrix_kinds
from rationale.settings import Precision


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` is CUDA if there is one.

    Raises:
        InputError: torch cannot use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(Fault("a device torch can use", f"{name!r} ({error})")) from None
    return device


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Return whether to run in bf16; `auto`: where the hardware multiplies faster in it.

    Of CPUs those with AMX do. One with AVX-512 alone took 1.7 times as long in bf16 as in float32 (LOG.md).
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def round_matrices(model: nn.Module) -> None:
    """Round the matrices of a model's linear layers to bf16, in place."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.to(torch.bfloat16)


def precision_of(model: nn.Module, bf16: bool) -> str:
    """Return what a model computes in: bf16 where it is asked for, else what its matrices are held in."""
    kinds = {torch.bfloat16} if bf16 else matrix_kinds(model)
    names = {"bf16" if kind == torch.bfloat16 else str(kind).removeprefix("torch.") for kind in kinds}
    return " and ".join(sorted(names)) or "float32"


def where_it_runs(device: torch.device, precision: str) -> str:
    """Return device, threads and precision in words."""
    threads = torch.get_num_threads()
    on_host = f"{device.type}, {threads} thread{'' if threads == 1 else 's'}"
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else on_host
    return f"{where}, {precision}"
