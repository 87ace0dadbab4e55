"""FLOPs as torch itself counts them."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def text(n):
    return torch.randint(5, 1400, (1, n), generator=torch.Generator().manual_seed(n))


def counted(model, ids):
    """Return torch's own count of a forward pass, and the output.

    torch counts no fused attention of the CPU, so attention is spelt out as its two matrix products.
    """
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = model(input_ids=ids)
    return counter.get_total_flops(), output
