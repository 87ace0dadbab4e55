"""A small HateXplain in its own two JSON files, of harmless invented words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

LABELS = ("hatespeech", "normal", "offensive")
KNOWN = ("a", "film", "the", "and", "of", "it", "is", "story")  # a piece each, in the sample's vocabulary
SPELT = ("zqx", "vkj", "xyzzy", "qqv")  # several
TARGETS = ("African", "Women", "Islam")


def posts(n: int, seed: int = 0) -> dict[str, dict[str, object]]:
    """Return posts by id: three annotators with one label and target each; of toxic ones two marked words."""
    random, made = np.random.default_rng(seed), {}
    for i in range(n):
        words = random.choice([*KNOWN, *SPELT], size=int(random.integers(4, 9))).tolist()
        label, target = LABELS[i % 3], TARGETS[i // 3 % 3]
        marks = [(random.random(len(words)) < 0.4).astype(int) for _ in range(2)]
        for mark in marks:
            mark[int(random.integers(len(words)))] = 1
        people = [{"label": label, "annotator_id": k, "target": [target]} for k in range(3)]
        rationales = [] if label == "normal" else [mark.tolist() for mark in marks]
        made[f"p{i}"] = {
            "post_id": f"p{i}", "annotators": people, "rationales": rationales, "post_tokens": words
        }  # fmt: skip
    return made


def write_raw(folder: Path, n: int = 12, seed: int = 0) -> Path:
    """Write a folder of n posts, half of them test."""
    folder.mkdir()
    made = posts(n, seed)
    ids = list(made)
    (folder / "dataset.json").write_text(json.dumps(made))
    divisions = {"train": ids[: n // 4], "val": ids[n // 4 : n // 2], "test": ids[n // 2 :]}
    (folder / "post_id_divisions.json").write_text(json.dumps(divisions))
    return folder
