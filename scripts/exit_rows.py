"""The rows of scripts.sst2_rows → fewer of them, on which rules for early exits are compared.

python -m scripts.exit_rows ROWS --out rows-exits

Val and test of ROWS are one pool, drawn anew: the dense model saw none of it, and one split must be left to
choose dials on.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

TRAIN, VAL = 3500, 350
SEED = 0


def rows_of(folder: Path, *splits: str) -> list[dict[str, str]]:
    """Return the rows of some splits, one after another."""
    found: list[dict[str, str]] = []
    for split in splits:
        with (folder / f"{split}.jsonl").open(encoding="utf-8") as lines:
            found += map(json.loads, lines)
    return found


def divided(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each split, drawn at random."""
    draw = random.Random(SEED)
    train, pool = rows_of(folder, "train"), rows_of(folder, "val", "test")
    draw.shuffle(pool)
    draw.shuffle(train)
    return {"train": train[:TRAIN], "val": pool[:VAL], "test": pool[VAL:]}


def main() -> None:
    """Write a file for each split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)  # refuses a folder that is there
    for split, rows in divided(asked.rows).items():
        named = ({"id": f"{split}_{i}", "text": r["text"], "label": r["label"]} for i, r in enumerate(rows))
        lines = (f"{json.dumps(row)}\n" for row in named)
        (asked.out / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
