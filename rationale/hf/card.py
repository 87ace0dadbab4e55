"""The card of a model folder: what it is, how it was made, how to load it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eraser import Fault, InputError
from eraser.errors import short_repr
from eraser.files.owned import EDITABLE, writes
from eraser.files.whole import write_json, write_text
from rationale.hf.folder_checks import CONFIG, TRAINING_RECORD, read_object

CARD = EDITABLE
MARK = "<!-- Written by rationale-suite, which rewrites it. Delete this line, and what you change stays. -->"
HEAD = 1000  # characters of a card in which the mark is
KINDS = {
    "adapler": "It drops tokens before each layer (AdapLeR); the words that are left are its rationale.",
    "dact": "A text stops at the layer that decides it (DACT-BERT).",
    "inforcoef": "It drops tokens before each layer (Infor-Coef); the words that are left are its rationale.",
    "pruned": "Heads, units and hidden dimensions are cut out of it.",
}  # what a model type of this package does
TEXT = """\
---
library_name: transformers
pipeline_tag: text-classification
# license: yours to say
---
{mark}

# A text classifier

{kinds}

```json
{facts}
```

## How it was made

{made}

## How to load it

With rationale-suite, which tells the words that decided:

```python
from rationale.explanation import explain
from rationale.hf import load_classifier

print(explain(load_classifier("FOLDER"), "Too long , but never dull .").label)
```

With transformers' own pipeline{beside}:

```python
{first}
from transformers import pipeline

print(pipeline("text-classification", model="FOLDER")("Too long, but never dull."))
```

## Licence

Not stated: it is yours to say. The model that this one was made from, and the texts it has learned from,
have their own.
"""


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write how a model was trained beside its weights, and into its card."""
    write_json(folder / TRAINING_RECORD, record)
    writes(folder, TRAINING_RECORD)
    write_card(folder)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return the content of `rationale.json` beside the weights; {} if there is none.

    Raises:
        InputError: it is not a JSON object, or its max_length is not a number.
    """
    file = Path(path) / TRAINING_RECORD
    if not file.is_file():
        return {}
    settings = read_object(file)
    if not isinstance(settings.get("max_length", 1), int):
        raise InputError(Fault("a JSON object with a whole max_length", short_repr(settings), file))
    return settings


def write_card(folder: Path, *remarks: str) -> None:
    """Write the card of a model folder, unless the user wrote or changed one."""
    if may_write(folder / CARD):
        config = read_object(folder / CONFIG)
        record = read_object(folder / TRAINING_RECORD) if (folder / TRAINING_RECORD).is_file() else {}
        text = card(config, record, remarks)
        write_text(folder / CARD, text.encode("utf-8", "backslashreplace").decode("utf-8"))
        writes(folder, CARD)


def may_write(file: Path) -> bool:
    """Return whether there is no card, or one that was written here and not changed."""
    if not file.exists():
        return True
    with file.open(encoding="utf-8", errors="replace") as opened:
        return MARK in opened.read(HEAD)


def card(config: Mapping[str, Any], record: Mapping[str, Any], remarks: tuple[str, ...] = ()) -> str:
    """Return the card of a model; strings of its configuration and record appear only inside JSON."""
    types = _types(config)
    own = [KINDS[t] for t in types if t in KINDS]
    facts = {"model": " around ".join(types), "labels": _labels(config)}
    facts |= {k: v for k in ("problem_type", "cut") if (v := config.get(k)) is not None}
    made = "Nothing is known of it: there is no `rationale.json` beside the weights (yet)."
    if record:
        told = {k: v for k, v in record.items() if k != "log"}
        made = f"With these settings, to this end (`rationale.json` has all):\n\n```json\n{_json(told)}\n```"
    return TEXT.format(
        mark=MARK,
        kinds=" ".join([*own, *remarks, "Its labels are in the order of its logits:"]),
        facts=_json(facts),
        made=made,
        beside=" (`import rationale` tells transformers of the model)" if own else "",
        first="import rationale" if own else "",
    ).replace("```python\n\n", "```python\n")


def _types(config: Mapping[str, Any]) -> list[str]:
    """Return the type of a model, of the one inside it, and so on."""
    types = [str(config.get("model_type"))]
    while isinstance(config := config.get("encoder"), Mapping):  # type: ignore[assignment]
        types.append(str(config.get("model_type")))
    return types


def _labels(config: Mapping[str, Any]) -> list[str]:
    names = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}  # which the library does not write
    return [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
