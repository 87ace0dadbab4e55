"""A linear unit that predicts for each piece whether annotators would mark it, beside a classifier's head.

Axes: B window, T piece, D hidden width.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from eraser.files.owned import writes
from eraser.files.whole import write_whole
from rationale.models.adaptive import unwrap
from rationale.models.packed.layers import width_of

FILE = "rationale_head.safetensors"
MOST = 2**20  # bytes of a head's file: two hundred thousand numbers


class RationaleHead(nn.Module):
    """Logits of being marked, from the states that leave the last layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))  # [D]
        self.bias = nn.Parameter(torch.zeros(()))  # a number

    def forward(self, states: Tensor) -> Tensor:
        """Return logits [B,T] of states [B,T,D]."""
        return states.float() @ self.weight + self.bias  # [B,T]

    def identity(self) -> str:
        """Return a hash of the weights."""
        weights = torch.cat([self.weight.detach().flatten(), self.bias.detach().flatten()]).cpu()  # [D+1]
        return sha256(weights.numpy().tobytes()).hexdigest()


def save_head(head: RationaleHead, folder: Path) -> None:
    """Write a head beside its model."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in head.state_dict().items()}
    write_whole(folder / FILE, lambda partial: save_file(tensors, partial))
    writes(folder, FILE)


def load_head(folder: Path, model: PreTrainedModel) -> RationaleHead | None:
    """Return the head in a model's folder; None where there is none.

    Raises:
        InputError: its file is too large, cannot be read, or belongs to a model of another width.
    """
    file = folder / FILE
    if not file.exists():
        return None
    if not file.is_file() or file.stat().st_size > MOST:
        raise InputError(Fault(f"a rationale head of at most {MOST:,} bytes", "another file", file))
    width = width_of(unwrap(model))
    head = RationaleHead(width)
    try:
        head.load_state_dict(load_file(file))
    except Exception as error:  # no safetensors, or tensors of other names or shapes
        first = str(error).splitlines()[0]
        raise InputError(Fault(f"a rationale head of width {width}", first, file)) from None
    return head.to(model.device).requires_grad_(False).eval()
