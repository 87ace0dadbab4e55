"""What a text costs with each method, and a hundred million of them: hours of cores, and disk.

`python -m benchmarks.unit_costs --model rationale/movies_model --n 40`, or with `--dataset` and `--data`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from eraser.load import load
from rationale.hf.classifier import cast_once, load_classifier
from rationale.hf.memory import keep_freed_memory
from rationale.settings import StreamSettings
from rationale.stream import collect, stream

DOCUMENTS = 100_000_000
CORES = 1000


def main() -> None:
    """Measure each method on its own, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--methods", default="survivors,attention,gradient_x_input_l2,integrated_gradients")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--ig-steps", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    dataset = load(given.dataset, given.data)
    texts = [dataset.text(e).words for e in dataset.splits["test"][: given.n]]
    classifier = cast_once(load_classifier(given.model, precision="auto"))
    words = sum(map(len, texts)) / len(texts)
    print(f"{given.dataset}, {len(texts)} texts of {words:.0f} words on average; {classifier.where()}")
    print(f"{DOCUMENTS / 1e6:.0f} million such texts: hours on {CORES} cores as fast as this one, and disk")
    print(f"{'method':22} {'CPU ms a text':>13} {'kB a text':>10} {'hours':>8} {'TB':>6}")
    for method in given.methods.split(","):
        with TemporaryDirectory() as folder:
            file = Path(folder) / "texts.jsonl"
            file.write_text("".join(json.dumps({"text": " ".join(t)}) + "\n" for t in texts))
            settings = StreamSettings(
                file=str(file), model=given.model, methods=(method,), ig_steps=given.ig_steps
            )
            begin = time.process_time()
            collect(stream(classifier, settings, Path(folder) / "out"))
            each = (time.process_time() - begin) / len(texts)
            size = sum(f.stat().st_size for f in (Path(folder) / "out").rglob("*.parquet")) / len(texts)
        hours, disk = each * DOCUMENTS / CORES / 3600, size * DOCUMENTS / 1e12
        print(f"{method:22} {each * 1000:13.1f} {size / 1000:10.2f} {hours:8.1f} {disk:6.2f}")


if __name__ == "__main__":
    main()
