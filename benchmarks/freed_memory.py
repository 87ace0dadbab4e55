"""What keeping freed memory (rationale/hf/memory.py) saves and costs when training on a CPU.

Ten bf16 forward and backward passes of eight windows of 200 to 510 pieces, after four to warm up, in a fresh
process each, with and without it in turn. Printed: user, kernel and wall-clock seconds, and peak memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time

WARM_UP, MEASURED, ROWS = 4, 10, 8


def measure(backbone: str, keep: bool) -> None:
    """Print one process's figures."""
    import torch

    from rationale.hf.classifier import new_classifier, quiet
    from rationale.hf.memory import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.set_num_threads(1)
    quiet()
    model, _ = new_classifier(backbone, ["a", "b"])
    model.train()
    random.seed(0)
    for step in range(WARM_UP + MEASURED):
        if step == WARM_UP:
            before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        ids = torch.randint(5, 1000, (ROWS, random.randint(200, 510)))
        mask = torch.ones_like(ids)
        mask[0, ids.shape[1] // 2 :] = 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=mask).logits
        logits.float().sum().backward()
        model.zero_grad()
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{'kept' if keep else 'given back':10}  user {after.ru_utime - before.ru_utime:5.1f} s  "
        f"kernel {after.ru_stime - before.ru_stime:5.1f} s  wall {time.perf_counter() - begin:5.1f} s  "
        f"peak {after.ru_maxrss // 1024} MB"
    )


def main() -> None:
    """Run both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True, help="folder or hub id of a pretrained encoder")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=("kept", "given-back"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        measure(options.backbone, options.only == "kept")
        return
    for way in ("given-back", "kept") * options.rounds:
        subprocess.run([sys.executable, __file__, "--backbone", options.backbone, "--only", way], check=True)


if __name__ == "__main__":
    main()
