"""The data sets that can be fetched: their addresses and checksums, and where they lie once fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_dir

from eraser.data.hatexplain import DIVISIONS, POSTS
from eraser.data.source import SPLITS
from eraser.errors import Fault, InputError, short_repr


@dataclass(frozen=True)
class Archive:
    """One data set: its files as name here → address, and sha256 and examples per split where known."""

    name: str
    files: Mapping[str, str]
    about: str
    licence: str
    sha256: Mapping[str, str | None]
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Status:
    """What the cache has of a data set: `state` is here, partial or absent, `size` in bytes."""

    name: str
    state: str
    path: Path
    size: int
    description: str


_ERASER = "https://www.eraserbenchmark.com/zipped/"
_HATEXPLAIN = (
    "https://raw.githubusercontent.com/hate-alert/HateXplain/01d742279dac941981f53806154481c0e15ee686/Data/"
)


def _eraser(name: str, about: str, licence: str, sha256: str | None = None, *counts: int) -> Archive:
    file, by_split = f"{name}.tar.gz", dict(zip(SPLITS, counts, strict=False)) or None
    return Archive(name, {file: _ERASER + file}, about, licence, {file: sha256}, by_split)


# sha256 and counts: huggingface/datasets, datasets/*/dataset_infos.json; tensorflow/datasets, url_checksums/,
# has the same sha256 of movies and multirc. Addresses: there and in other public code. What is left out was
# not confirmed. Licences: of the data's repository or Hugging Face card; the ERASER form states none.
ARCHIVES: dict[str, Archive] = {archive.name: archive for archive in (
    _eraser("movies", "sentiment of film reviews (Zaidan et al. 2007)", "unknown",
            "66e18d4e6c9df9e9f5544572b0bfe92a39673f74ecbfc3859b46cedb2f5b2dee", 1600, 200, 199),
    _eraser("multirc", "is this answer right? (Khashabi et al. 2018)", "research and academic use",
            "7d3364fad630d0949b40cc5c4b9fd7fac0ec9ebb3a31ffa92a491e3883edd826", 24029, 3214, 4848),
    _eraser("boolq", "yes or no, from Wikipedia (Clark et al. 2019)", "CC BY-SA 3.0"),
    _eraser("evidence_inference", "what a clinical trial found (Lehman et al. 2019)", "MIT"),
    _eraser("fever", "is this claim supported? (Thorne et al. 2018)", "CC BY-SA 3.0, GPL 3.0"),
    _eraser("esnli", "does one sentence entail the other? (Camburu et al. 2018)", "MIT"),
    _eraser("cose", "questions of common sense (Rajani et al. 2019)", "BSD 3-Clause"),
    Archive(
        "hatexplain", {name: _HATEXPLAIN + name for name in (POSTS, DIVISIONS)},
        "hate speech, offensive or normal (Mathew et al. 2021); hurtful to read", "MIT",
        {POSTS: "63bb3340fee0ec469b09690d04cb68f7c187787dd8b83807f071892c084967fb",
         DIVISIONS: "c2fb0d89862e7897b11ea3e9380753f15a793482b4b70ad0532dfb1212212835"},
        {"train": 15383, "val": 1922, "test": 1924},
    ),
)}  # fmt: skip
Table = Mapping[str, Archive]


def cache_dir() -> Path:
    """Return the folder of the fetched data sets; RATIONALE_CACHE in the environment names another."""
    return Path(os.environ.get("RATIONALE_CACHE") or user_cache_dir("rationale", appauthor=False))


def cached(name: str, *, table: Table = ARCHIVES) -> Path:
    """Return the folder of a data set fetched before."""
    folder = cache_dir() / known(name, table).name
    if not folder.is_dir():
        remedy = f"run `rationale data fetch {name}`, or give its path with `--data PATH`"
        raise InputError(Fault.of(f"the data set {name} is not downloaded: {remedy}", folder))
    return folder


def status(*, table: Table = ARCHIVES) -> list[Status]:
    """Return what the cache has of each data set of the table."""
    rows = []
    for name, archive in table.items():
        here, part = cache_dir() / name, cache_dir() / f"{name}.part"
        state = "here" if here.is_dir() else "partial" if part.is_dir() else "absent"
        path = part if state == "partial" else here
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        rows.append(Status(name, state, path, size, archive.about))
    return rows


def known(name: str, table: Table) -> Archive:
    """Return the data set of that name; another name is refused."""
    if name not in table:
        raise InputError(Fault(f"one of {', '.join(table)}, or `--data PATH`", short_repr(name)))
    return table[name]
