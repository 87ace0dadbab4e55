"""SST-2 and 263 sentences with annotators' marks → train, validation and test rows that share no phrase.

python -m scripts.sst2_rows SST2_FOLDER sst_llms.jsonl --out rows

The folder holds train.csv and test.csv (columns text and label, 0 or 1); the sentences become the test rows.
Texts are compared by their letters and digits alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = {"0": "NEG", "1": "POS"}
PHRASE = 3  # words from which on a part of a sentence is left out; shorter ones stand in any text

Row = Mapping[str, Any]


def letters(text: str) -> str:
    """Return the letters and digits of a text, case folded.

    >>> letters("It 's FINE .")
    'itsfine'
    """
    return "".join(c for c in text.casefold() if c.isalnum())


def apart(rows: Sequence[Row], sentences: Sequence[Row]) -> list[Row]:
    """Return the rows that are none of the sentences, and no phrase of one."""
    whole = {letters(s["text"]) for s in sentences}
    joined = "\n".join(letters(s["text"]) for s in sentences)

    def within(text: str) -> bool:
        key = letters(text)
        return key in whole or (len(text.split()) >= PHRASE and bool(key) and key in joined)

    return [row for row in rows if not within(row["text"])]


def drawn(rows: Sequence[Row], size: int, seed: int) -> list[Row]:
    """Return `size` rows at random."""
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    return mixed[:size]


def named(split: str, rows: Iterable[Row]) -> list[Row]:
    """Return rows with ids, and labels in words."""
    return [
        {"id": f"{split}_{i}", "text": row["text"], "label": NAMES[row["label"]]}
        for i, row in enumerate(rows)
    ]


def splits(folder: Path, sentences: Sequence[Row], size: int, seed: int) -> dict[str, list[Row]]:
    """Return the rows of each split; SST-2's own test.csv is the validation split."""
    given = {split: _read(folder / f"{name}.csv") for split, name in (("train", "train"), ("val", "test"))}
    left = {split: apart(rows, sentences) for split, rows in given.items()}
    for split, rows in given.items():
        sys.stdout.write(f"{split}: {len(rows)} rows, {len(rows) - len(left[split])} left out\n")
    marked = [
        {"id": s["id"], "text": s["text"], "label": NAMES[str(s["label"])], "rationale": s["human"]}
        for s in sentences
    ]
    train = named("train", drawn(left["train"], size, seed))
    return {"train": train, "val": named("val", left["val"]), "test": marked}


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write train.jsonl, val.jsonl and test.jsonl."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="SST2_FOLDER")
    parser.add_argument("sentences", type=Path, metavar="SENTENCES")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    sentences = [json.loads(line) for line in given.sentences.read_text(encoding="utf-8").splitlines()]
    found = splits(given.folder, sentences, given.size, given.seed)
    given.out.mkdir(parents=True)
    for split, rows in found.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (given.out / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    sys.stdout.write(f"written: {given.out} ({', '.join(f'{s} {len(r)}' for s, r in found.items())})\n")


if __name__ == "__main__":
    main()
