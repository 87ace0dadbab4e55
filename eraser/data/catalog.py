"""The data sets that can be downloaded: addresses, checksums, and where they are stored."""

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
    """One data set: its files as name here → address, and sha256 and examples per split where known.

    Files in a form of their `own` are kept unchanged; `rationale data import` converts them.
    """

    name: str
    files: Mapping[str, str]
    about: str
    licence: str
    sha256: Mapping[str, str | None]
    counts: Mapping[str, int] | None = None
    own: bool = False

    @property
    def told(self) -> str:
        """The description, and what cannot be verified."""
        unchecked = "; no checksum known" if None in self.sha256.values() else ""
        return f"{self.about}{'; needs data import' if self.own else ''}{unchecked}"


@dataclass(frozen=True)
class Status:
    """A data set in the cache: `state` is here, partial or absent, `size` in bytes."""

    name: str
    state: str
    path: Path
    size: int
    description: str


_ERASER = "https://www.eraserbenchmark.com/zipped/"
_HATEXPLAIN = (
    "https://raw.githubusercontent.com/hate-alert/HateXplain/01d742279dac941981f53806154481c0e15ee686/Data/"
)


_TOXIC = "https://raw.githubusercontent.com/ipavlopoulos/toxic_spans/"
_HATEBR = (
    "https://raw.githubusercontent.com/isadorasalles/HateBRXplain/52c7df9a7c5127935dd1aac287cc8236bc98267a/"
)


def _own(name: str, about: str, licence: str, *urls: str) -> Archive:
    files = {url.rpartition("/")[2]: url for url in urls}
    return Archive(name, files, about, licence, dict.fromkeys(files), own=True)


def _eraser(name: str, about: str, licence: str, sha256: str | None = None, *counts: int) -> Archive:
    file, by_split = f"{name}.tar.gz", dict(zip(SPLITS, counts, strict=False)) or None
    return Archive(name, {file: _ERASER + file}, about, licence, {file: sha256}, by_split)


# sha256 and counts: huggingface/datasets, datasets/*/dataset_infos.json; tensorflow/datasets, url_checksums/,
# has the same sha256 of movies and multirc. Addresses: there and in other public code. What is left out was
# not confirmed. Licences: of the data's repository or Hugging Face card; the ERASER form states none.
# Files of their own form: at a commit of their authors' repositories that holds them; none has a checksum.
# SciFact is not here: its authors' archive is neither in ERASER form nor a table.
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
    _own("hatebrxplain", "offensive comments in Portuguese, two annotators (Salles et al. 2025)", "unknown",
         f"{_HATEBR}HateBRXplain.json"),
    _own("toxic_spans", "toxic words of comments (Pavlopoulos et al. 2021); hurtful to read", "unknown",
         f"{_TOXIC}fb9f14058b8791a972ee45450869a8a0da1eead3/SemEval2021/data/tsd_train.csv",
         f"{_TOXIC}e5a9157fc50abcf76535dc01e1d5a8a0260eb802/data/tsd_trial.csv",
         f"{_TOXIC}942454e69a97a4b23c6230fd8436b59ca400bb9b/SemEval2021/data/tsd_test.csv"),
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
    if table[name].own:
        remedy = "run `rationale data import` on its files, and give the folder with `--data PATH`"
        raise InputError(Fault.of(f"the data set {name} has a form of its own: {remedy}", folder))
    return folder


def status(*, table: Table = ARCHIVES) -> list[Status]:
    """Return the state in the cache of each data set of the table."""
    rows = []
    for name, archive in table.items():
        here, part = cache_dir() / name, cache_dir() / f"{name}.part"
        state = "here" if here.is_dir() else "partial" if part.is_dir() else "absent"
        path = part if state == "partial" else here
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        rows.append(Status(name, state, path, size, archive.told))
    return rows


def known(name: str, table: Table) -> Archive:
    """Return the data set of that name; another name is refused."""
    if name not in table:
        raise InputError(Fault(f"one of {', '.join(table)}, or `--data PATH`", short_repr(name)))
    return table[name]
