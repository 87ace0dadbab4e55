"""How much CPU our explanations and their scores take beside ferret-xai's, on the same texts and model.

The peer's half: `Benchmark.explain` with its six default explainers, then `evaluate_explanations` with its
six default metrics and annotators' marks. All is at the peer's defaults but LIME's number of samples:
`--lime-samples`, where the peer would take min(pieces², 5000); with 5000, long texts are at its default.
Texts: the first reviews of the split with a marked word among the words whose pieces fit; by default bundled
ones, read by the shipped model with nothing removed. One thread each. Both halves warm up on a short text
before they are timed, and explain the class that the model predicts. `--rounds N` measures one side and the
other in turn, so that what else the machine does hits both alike.
A pass is one row through the model, whatever the batch; passes that read the same are counted as one
distinct pass of their half.

ferret-xai is no dependency of ours and cannot share our environment. It runs in its own, where this works
(Python 3.11; give pip a CPU wheel of torch, by --find-links or --extra-index-url, or it may fetch CUDA):

    python3.11 -m venv peer-env
    peer-env/bin/pip install torch==2.13.0 ferret-xai==0.4.2 'pyarrow<20'
    python -m benchmarks.peers --peer-python peer-env/bin/python

Without the last pin pip chooses a pyarrow that refuses the numpy ferret asks for. `--peer-results FILE`
keeps what the peer took, with its versions and CPU, to be used again while model, texts, threads and samples
are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ferret_half import Half, Reading, Timed, cpu_name
from benchmarks.our_half import THREADS, ours
from eraser.words import joined
from rationale.text.windows import words_of_pieces

FERRET = Path(__file__).with_name("ferret_half.py")
Runs = dict[str, list[Timed]]  # what each side took of each text
TARGETS = {"ours, float32": 4.0, "ours, bf16": 8.0}


# --- the input


def words_that_fit(word_of_piece: Sequence[int | None], n_words: int, room: int) -> int:
    """Return how many of the first words have all their pieces among the first `room` pieces.

    >>> words_that_fit([0, 1, 1, 2], 3, 2)
    1
    """
    if len(word_of_piece) <= room:
        return n_words
    cut = word_of_piece[room]
    return n_words if cut is None else cut


def word_of_piece(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Return the word of each piece of words between spaces."""
    text, spans = joined(words)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = np.array(found["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    return words_of_pieces(offsets, spans)[0].tolist() if len(offsets) else []


def read(tokenizer: Any, name: str, words: Sequence[str], marked: Sequence[bool], limit: int) -> Reading:
    """Cut a text to the words whose pieces fit in `limit` with the special tokens."""
    room = limit - tokenizer.num_special_tokens_to_add()
    kept = tuple(words[: words_that_fit(word_of_piece(tokenizer, words), len(words), room)])
    pieces = tuple(int(marked[w]) for w in word_of_piece(tokenizer, kept))
    return Reading(name, kept, tuple(tokenizer(joined(kept)[0])["input_ids"]), pieces)


def readings(options: argparse.Namespace) -> list[Reading]:
    """Return what is read of the first reviews of the split with a marked word in it."""
    from eraser import InputError
    from eraser.load import load
    from rationale.hf.classifier import load_tokenizer

    try:
        dataset = load("sample" if options.data is None else "movies", options.data, [options.split])
        tokenizer = load_tokenizer(options.model)
    except InputError as error:
        sys.exit(f"peers.py: {error}")
    found: list[Reading] = []
    for example in dataset.examples(options.split):
        if len(found) == options.n:
            break
        gold = dataset.truth(example).gold.tolist()
        reading = read(tokenizer, example.id, dataset.text(example).words, gold, options.max_pieces)
        found += [reading] * any(reading.marked)
    if len(found) < options.n:
        sys.exit(f"peers.py: {len(found)} reviews of {options.split} have a marked word, --n is {options.n}")
    return found


@contextmanager
def model_of(given: Path | None) -> Iterator[Path]:
    """Lend the folder of the model: the given one, or the shipped one's classifier, nothing removed."""
    if given is not None:
        yield given
        return
    from rationale.hf.classifier import SHIPPED, load_classifier
    from rationale.models.adaptive import unwrap

    with tempfile.TemporaryDirectory() as folder:
        shipped = load_classifier(SHIPPED, device="cpu")
        unwrap(shipped.model).save_pretrained(folder)
        shipped.encoder.tokenizer.save_pretrained(folder)
        yield Path(folder)


def digest(*parts: bytes) -> str:
    """Return a short name of the bytes."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def settings(model: Path, texts: Sequence[Reading], lime_samples: int) -> dict[str, Any]:
    """Return what must be the same for the peer's results to be used again."""
    files = [model / "config.json", *sorted(model.glob("*.safetensors")), model / "tokenizer.json"]
    return {
        "model": digest(*(file.read_bytes() for file in files)),
        "texts": digest(*(json.dumps(asdict(text)).encode() for text in texts)),
        "n": len(texts),
        "lime_samples": lime_samples,
        "threads": THREADS,
    }


def complaint(problem: str) -> str:
    """Return the one line that says what is missing.

    >>> complaint("no Python")
    'peers.py: no Python (its docstring says how to install the peer)'
    """
    return f"peers.py: {' '.join(problem.split())} (its docstring says how to install the peer)"


def call_peer(python: str, job: dict[str, Any]) -> dict[str, Any]:
    """Measure the peer in its own environment; stop with one line where that does not work."""
    alone = {"OMP_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as folder:
        job_file, results = Path(folder) / "job.json", Path(folder) / "results.json"
        job_file.write_text(json.dumps(job), encoding="utf-8")
        # -I: without our PYTHONPATH and this folder
        command = [python, "-I", "-W", "ignore", str(FERRET), str(job_file), str(results)]
        try:
            done = subprocess.run(
                command, env=os.environ | alone, stderr=subprocess.PIPE, text=True, check=False
            )
        except OSError as error:
            sys.exit(complaint(f"cannot run --peer-python {python}: {error.strerror}"))
        if done.returncode or not results.is_file():
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            sys.exit(complaint(f"--peer-python {python}: {last}"))
        found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return found


def recorded(file: Path | None, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the peer's results kept in the file, if they are of the same model, texts and settings."""
    if file is None or not file.is_file():
        return None
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record if record["settings"] == wanted else None


def peer(options: argparse.Namespace, texts: Sequence[Reading]) -> tuple[dict[str, Any], bool]:
    """Return what the peer took, and whether that was measured now."""
    wanted = settings(options.model, texts, options.lime_samples)
    if record := recorded(options.peer_results, wanted):
        return record, False
    if options.peer_python is None:
        sys.exit(complaint("no --peer-python, and no --peer-results of this model and these texts"))
    job = {"model": str(options.model.resolve()), "texts": [asdict(t) for t in texts], "settings": wanted}
    record = call_peer(options.peer_python, job)
    if options.peer_results is not None:
        options.peer_results.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record, True


# --- the report


def origin(record: dict[str, Any], now: bool, here: str) -> str:
    """Return which versions of the peer were measured, and on which CPU: `here` is the one ours runs on."""
    versions = record["versions"]
    peer_name = f"ferret-xai {versions['ferret-xai']} (torch {versions['torch']})"
    if now:
        return f"{peer_name} measured now on {here}"
    return f"{peer_name} recorded in another run on {record.get('cpu', 'an unnamed CPU')}, ours on {here}"


def of_record(record: dict[str, Any]) -> list[Timed]:
    """Return what a record says each text took."""
    return [Timed(t["id"], Half(**t["explain"]), Half(**t["evaluate"])) for t in record["texts"]]


def total(took: Sequence[Timed]) -> float:
    """Return the CPU seconds of both halves of all texts."""
    return sum(one.explain.cpu_s + one.evaluate.cpu_s for one in took)


def row(name: str, took: Sequence[Timed], against: Sequence[Timed]) -> str:
    """Return a line of the table: medians a text, and how many times as fast in total."""

    def median(value: Callable[[Timed], float]) -> float:
        return statistics.median(map(value, took))

    columns = (
        f"{name:18}",
        f"{median(lambda t: t.explain.cpu_s):9.2f}",
        f"{median(lambda t: t.evaluate.cpu_s):10.2f}",
        f"{median(lambda t: t.explain.cpu_s + t.evaluate.cpu_s):7.2f}",
        f"{total(took):7.2f}",
        f"{median(lambda t: t.explain.passes + t.evaluate.passes):7.0f}",
        f"{total(against) / total(took):7.2f}",
    )
    target = f" (target: {TARGETS[name]})" if name in TARGETS else ""
    return " ".join(columns) + target


def table(peer_name: str, runs: Runs) -> str:
    """Return the table; the peer's run is the one called `peer_name`."""
    names = f"{'explain':>9} {'evaluate':>10} {'both':>7} {'sum':>7} {'passes':>7} {'ratio':>7}"
    return "\n".join(
        [f"{'CPU s a text':18} {names}", *(row(name, took, runs[peer_name]) for name, took in runs.items())]
    )


def detail(took: Sequence[Timed]) -> str:
    """Return where the peer's passes go, as medians a text."""
    lines = []
    for name in ("explain", "evaluate"):
        halves: list[Half] = [getattr(one, name) for one in took]
        figures = {f: statistics.median(getattr(h, f) for h in halves) for f in asdict(halves[0])}
        lines.append(
            f"  {name:8} {figures['passes']:.0f} passes, {figures['distinct']:.0f} distinct, "
            f"{figures['with_gradient']:.0f} with gradient, {figures['pieces']:.0f} pieces; "
            f"{figures['wall_s']:.2f} s by the clock"
        )
    return "\n".join(lines)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--model", type=Path, help="folder of a fine-tuned classifier; default the shipped one"
    )
    parser.add_argument("--data", type=Path, help="ERASER movies; by default the bundled reviews")
    parser.add_argument("--split", default="test")
    parser.add_argument("--n", type=int, default=3, help="reviews")
    parser.add_argument("--rounds", type=int, default=1, help="how often each side is measured, in turn")
    parser.add_argument("--max-pieces", type=int, default=128, help="of a review, special tokens included")
    parser.add_argument("--lime-samples", type=int, default=100, help="LIME's samples, on both sides")
    parser.add_argument("--peer-python", help="python of an environment with ferret-xai")
    parser.add_argument("--peer-results", type=Path, help="where the peer's results are kept for later runs")
    parser.add_argument("--out", type=Path, help="JSON with everything measured")
    options = parser.parse_args(arguments)
    if options.n < 1 or options.rounds < 1:
        parser.error("--n and --rounds must be at least 1")
    if options.rounds > 1 and options.peer_results is not None:
        parser.error("--peer-results is of one round")
    if options.model is not None and not options.model.is_dir():
        parser.error(f"--model {options.model}: no such folder")
    return options


def measured(options: argparse.Namespace, texts: Sequence[Reading]) -> tuple[dict[str, Any], Runs]:
    """Return the peer's record and whether it was measured now, and what each side took."""
    record, now = peer(options, texts)
    runs = {f"ferret-xai {record['versions']['ferret-xai']}": of_record(record)}
    for precision in ("float32", "bf16"):
        runs[f"ours, {precision}"] = ours(options.model, texts, precision, options.lime_samples)
    return record | {"measured_now": now}, runs


def joined_rounds(rounds: Sequence[Runs]) -> Runs:
    """Return all that each side took, of all rounds."""
    return {name: [one for of_round in rounds for one in of_round[name]] for name in rounds[0]}


def ratios(rounds: Sequence[Runs]) -> str:
    """Return how many times as fast as the first side the others were, round by round."""
    first, *others = rounds[0]
    lines = [
        f"  {name}: {' '.join(f'{total(r[first]) / total(r[name]):.2f}' for r in rounds)}" for name in others
    ]
    return "\n".join(["ratio of each round:", *lines])


def main() -> None:
    """Measure and print."""
    options = options_of()
    with model_of(options.model) as options.model:
        texts = readings(options)
        found = [measured(options, texts) for _ in range(options.rounds)]
    record, rounds = found[0][0], [runs for _, runs in found]
    runs, here = joined_rounds(rounds), cpu_name()
    name, lengths = next(iter(runs)), [len(text.ids) for text in texts]
    print(
        f"{len(texts)} texts of {min(lengths)} to {max(lengths)} pieces, rounds: {options.rounds}, "
        f"{THREADS} thread, {options.lime_samples} LIME samples; "
        f"{origin(record, record['measured_now'], here)}"
    )
    print(table(name, runs))
    print(ratios(rounds))
    print(f"{name}:\n{detail(runs[name])}")
    if options.out is not None:
        ours_by_name = {key: [asdict(t) for t in took] for key, took in runs.items() if key != name}
        options.out.write_text(
            json.dumps({"peer": [one for one, _ in found], "cpu": here, "ours": ours_by_name}, indent=1),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
