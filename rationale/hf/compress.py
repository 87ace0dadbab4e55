"""Store a model small: matrices in eight bits, the rest in sixteen; loading converts all to float32.

Eight bits are float8 e4m3 (arXiv 2209.05433): 3 bits of mantissa, so weights change by 2 to 3 % of their
size, except small ones (below 1/64), which change by at most 1/1024. `rationale evaluate` measures what that
costs in accuracy; the card of the shipped model says it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eraser import Fault, InputError
from eraser.files.owned import MANIFEST, claim, together
from eraser.progress import progress
from rationale.hf.card import write_card
from rationale.hf.classifier import load_classifier
from rationale.hf.folder_checks import WEIGHTS, content_of_model
from rationale.hf.rationale_head import FILE as HEAD
from rationale.process.terminal import say

# Thresholds: few, and every bit may decide a token; states lie closer together than sixteen bits tell apart.
EXACT = ("eta", "theta", "first", "mean", "deviation")
LARGEST = torch.finfo(torch.float8_e4m3fn).max


def small(name: str, weight: Tensor) -> Tensor:
    """Return a weight in the type it is stored in."""
    if (
        name.rpartition(".")[2] in EXACT or not weight.is_floating_point() or weight.element_size() == 1
    ):  # small already
        return weight
    if weight.dim() == 2 and weight.abs().max() <= LARGEST:
        return weight.to(torch.float8_e4m3fn)
    return weight.half()


def compress(model: Path, out: Path, overwrite: bool = False) -> int:
    """Write a copy of a model folder with small weights; return the folder's size in bytes.

    Raises:
        InputError: no classifier can be loaded from it, it is compressed already, or `out` is not free (see
            `eraser.files.owned`).
    """
    load_classifier(model)  # refuses what is not whole
    if not (model / WEIGHTS).is_file():
        raise InputError(Fault.of(f"the model has no {WEIGHTS} that holds all weights", model))
    stored = load_file(model / WEIGHTS)
    if any(w.dtype == torch.float8_e4m3fn for w in stored.values()):
        raise InputError(
            Fault.of("the model is compressed already: its matrices are stored in eight bits", model)
        )
    if claim(out, "compress", {"content_of_model": content_of_model(model)}, (model,), (), overwrite):
        say(f"already done: {out}", err=True)
    else:
        with together(out) as new:
            weights = progress(stored.items(), "compress", "weights", len(stored))
            save_file({k: small(k, v) for k, v in weights}, new / WEIGHTS, metadata={"format": "pt"})
            for file in (f for f in model.iterdir() if f.is_file() and f.name != MANIFEST):
                if file.suffix != ".safetensors" or file.name == HEAD:  # a row of numbers stays as it is
                    shutil.copyfile(file, new / file.name)
            write_card(new, "Its matrices are stored in eight bits, the rest in sixteen.")
    return sum(f.stat().st_size for f in out.iterdir())
