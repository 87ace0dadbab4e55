"""HateXplain posts, and files of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def post(
    labels: tuple[str, ...] = ("hatespeech",) * 3,
    rationales: tuple[list[Any], ...] = (),
    words: str = "one two three four five",
    targets: tuple[list[str], ...] = (),
) -> dict[str, Any]:
    people = [{"label": label, "annotator_id": n} for n, label in enumerate(labels)]
    for person, target in zip(people, targets, strict=False):
        person["target"] = target
    return {"post_tokens": words.split(), "annotators": people, "rationales": list(rationales)}


def make(folder: Path, posts: Any, divisions: Any, train_text: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in (("dataset.json", posts), ("post_id_divisions.json", divisions)):
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    if train_text is not None:
        (folder / "train_text.jsonl").write_text(train_text)
    return folder
