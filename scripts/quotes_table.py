"""Explanations files made of quotes → a CSV table of how many stand in the texts.

python -m scripts.quotes_table llama3.jsonl mistral.jsonl --out docs/results/quotes.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from eraser import Fault, InputError
from eraser.files.cells import as_csv
from rationale.explanations.quotes.rows import share_found
from rationale.explanations.read import read_explanations

ABSENT = "quotes not in the text"
INSIDE = "quotes that are only parts of words (of those not in the text)"


def quotes_table(files: Sequence[Path]) -> pd.DataFrame:
    """Return a column for each file: what was quoted, and where it was found.

    Raises:
        InputError: a file holds no quotes.
    """
    columns = {}
    for file in files:
        method = read_explanations(file)
        found = share_found(method)
        if not (total := found["quotes"]):
            raise InputError(Fault("explanations made of quotes", "others", file))
        answers = {"answers read": len(method.examples)}
        kinds = {k: n for k, n in method.counts.items() if k.startswith("answers that are ")}
        counts = {**answers, **kinds, **found, INSIDE: method.counts.get(INSIDE, 0)}
        texts = {name: f"{n:,}" for name, n in counts.items()}
        texts[ABSENT] += f" ({found[ABSENT] / total:.1%})"
        columns[method.name] = texts
    table = pd.DataFrame(columns).fillna("0")
    return table.rename_axis("of").reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="EXPLANATIONS")
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")
    given = parser.parse_args(arguments)
    try:
        table = quotes_table(given.files)
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
    given.out.write_text(as_csv(table), encoding="utf-8")
    sys.stdout.write(f"written: {given.out} ({len(table)} rows)\n")


if __name__ == "__main__":
    main()
