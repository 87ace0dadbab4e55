"""How much memory runs over generated data need: it must not grow with the number of texts.

Each run is a process of its own over short texts of one data set, with a random model of one layer; printed
is the most memory that any process of it held (peak resident set size).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = "from rationale.cli import main; main()"
WATCH = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]).returncode; "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr); sys.exit(done)"
)
WORDS = ["a", "film", "was", "good", "and", "moving", "never", "dull", "warm", "plot", "cast", "song", "joke"]


def tiny_model(folder: Path) -> Path:
    """Write a random model that knows these words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
    inner = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    inner.pre_tokenizer = Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    inner.post_processor = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    special = {f"{name.strip('[]').lower()}_token": name for name in names[:5]}
    PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **special).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(names), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=64, id2label={0: "NEG", 1: "POS"},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def texts_file(path: Path, n: int) -> Path:
    """Write n short texts, a JSON object each."""
    with path.open("w") as file:
        file.writelines(json.dumps({"id": str(i), "text": _text(i)}) + "\n" for i in range(n))
    return path


def eraser_folder(folder: Path, n: int) -> Path:
    """Write n short texts in ERASER format, each with two marked words."""
    folder.mkdir()
    with (folder / "docs.jsonl").open("w") as docs, (folder / "test.jsonl").open("w") as annotations:
        for i in range(n):
            span = {"docid": f"d{i}", "start_token": i % 5, "end_token": i % 5 + 2}
            row = {"annotation_id": f"e{i}", "docids": [f"d{i}"], "classification": ("NEG", "POS")[i % 2]}
            docs.write(json.dumps({"docid": f"d{i}", "document": _text(i)}) + "\n")
            annotations.write(json.dumps(row | {"evidences": [[span]], "query": ""}) + "\n")
    return folder


def _text(i: int) -> str:
    return " ".join(WORDS[(i * step) % len(WORDS)] for step in range(1, 8))


def evaluate(model: Path, folder: Path, n: int) -> list[object]:
    """Return a command that evaluates n texts."""
    data = eraser_folder(folder / f"data-{n}", n)
    return [
        *("evaluate", "--dataset", "made", "--data", data, "--model", model, "--out", folder / f"run-{n}"),
        *("--methods", "random,position", "--budget", "gold", "--chunk", 1000),
    ]


def attribute(model: Path, folder: Path, n: int) -> list[object]:
    """Return a command that explains n texts."""
    file = texts_file(folder / f"texts-{n}.jsonl", n)
    return [
        *("attribute", "--file", file, "--model", model, "--out", folder / f"scores-{n}"),
        *("--methods", "random", "--chunk", 1000),
    ]


RUNS = {"attribute": attribute, "evaluate": evaluate}


def peak(command: list[object]) -> int:
    """Run a command of `rationale`; return the most memory that a process of it held, in MB."""
    whole = [sys.executable, "-c", WATCH, sys.executable, "-c", COMMAND, *map(str, command)]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stderr.split()[-1])


def main() -> None:
    """Print a line for each command and number of texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--runs", choices=RUNS, nargs="+", default=list(RUNS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model(Path(folder) / "model")
        for name in given.runs:
            for n in given.texts:
                command, begin = RUNS[name](model, Path(folder), n), time.perf_counter()
                held, seconds = peak(command), time.perf_counter() - begin
                print(f"{name:10} {n:9,} texts  {held:6,} MB  {seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
